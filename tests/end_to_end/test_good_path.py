"""The main job: a device moors to its cloud."""

import json
import re
from pathlib import Path

import processes
from basics import SERIAL, SERVICES

DISPLAY = ["Cloud connection state", "Device state", "Cloud server address", "Cloud server domain name",
           "Cloud connection mode", "Cloud server authentication port", "Cloud server connection port", "Connected at",
           "Duration", "Process state", "Failure reason", "Last down reason", "Last down at",
           "Last report failure reason", "Last report failure at", "Dropped packets after reaching buffer limit",
           "Total dropped packets", "Last report incomplete reason", "Last report incomplete at", "Buffer full count"]


def check_separate(agent, state):
    """Each subconnection is ready in a process of its own, which holds exactly one TCP connection."""
    pids = [agent.subconnection(service, state)["host_pid"] for service in SERVICES]
    assert len(set(pids)) == 3 and agent.program.pid not in pids
    assert sorted(pids) == sorted(agent.hosts())
    for pid in [agent.program.pid, *pids]:
        assert processes.tcp_connections(pid) == 1, f"{pid}: {processes.command_line(pid)}"
    # Where memory is short, the kernel takes one of them and not hawserd.
    scores = [int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in [agent.program.pid, *pids]]
    assert all(scores[0] < score for score in scores[1:]), scores


def test_the_agent_moors_to_hawser_cloud(world):
    """[conn-1] Authentication, registration, WebSocket and three subconnections from three processes, with
    hawser-cloud."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file).start()
    state = agent.wait_ready()
    check_separate(agent, state)
    assert state["cloud_server_authentication_port"] == cloud.auth_port
    assert state["cloud_server_connection_port"] == cloud.port
    assert state["serial"] == SERIAL
    device = cloud.wait_subconnections()
    assert {each["service"] for each in device["subconnections"]} == set(SERVICES)


def test_the_steps_come_in_their_order(world):
    """[conn-1] The steps come in the protocol's order, with a cloud that was written from protocol.md alone."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    state = agent.wait_ready()
    check_separate(agent, state)
    order = ["auth", "auth", "register", "connect", "main:subconnection_request"]
    steps = [step for step in cloud.record.steps() if step != "tls"]
    assert steps[:5] == order, steps
    dials = [step for step in steps if step.startswith("dial:")]
    assert sorted(dials) == sorted(f"dial:{service}" for service in SERVICES)
    assert steps.index(dials[0]) > steps.index("main:subconnection_request")
    first, second = cloud.record.all("auth")
    assert "proof" not in first.data["body"] and "proof" in second.data["body"]
    registration = cloud.record.all("register")[0].data["body"]
    assert registration["site"] == "branch-042"
    assert registration["keepalive_s"] == 180 and registration["keepalive_count"] == 3 and registration["ping_s"] == 60
    assert {row["service"] for row in registration["services"]} == set(SERVICES)
    for row in registration["services"]:
        assert re.fullmatch("sha256:[0-9a-f]{64}", row["digest"]) and row["protocols"]


def test_state_shows_the_twenty_lines(world):
    """[state-1] `hawserctl state` begins with the guide's 20 lines, in its order and layout, with real values."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    agent.wait_ready()
    lines = agent.ctl("state").stdout.splitlines()
    shown = dict(re.fullmatch(r"(.{43}) : (.*)", line).groups() for line in lines[:20])
    shown = {name.rstrip(): value for name, value in shown.items()}
    assert list(shown) == DISPLAY
    assert shown["Cloud connection state"] == "Established" and shown["Device state"] == "Request_success"
    assert shown["Cloud server address"] == "127.0.0.1" and shown["Cloud server domain name"] == "localhost"
    assert shown["Cloud connection mode"] == "Https" and shown["Process state"] == "Message received"
    assert shown["Cloud server authentication port"] == str(cloud.auth_port)
    assert shown["Cloud server connection port"] == str(cloud.main_port)
    assert re.fullmatch(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}", shown["Connected at"])
    assert re.fullmatch(r"\d\dd \d\dh \d\dm \d\ds", shown["Duration"])
    assert shown["Failure reason"] == "N/A" and shown["Last down reason"] == "N/A"
    for service in SERVICES:
        assert service in "\n".join(lines[20:])


def test_state_as_json_has_every_key(world):
    """[state-1] `hawserctl state --json` has all of it; what does not apply is null."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    state = agent.wait_ready()
    for line in DISPLAY:
        key = line.lower().replace(" ", "_")
        assert (key if key != "duration" else "duration_s") in state, key
    assert state["last_down_at"] is None and state["failure_reason"] is None
    for row in state["subconnections"]:
        for key in ("service", "plugin", "state", "since", "url", "failure_reason", "reconnects", "sent_messages",
                    "sent_bytes", "queued_messages", "queued_bytes", "spooled_bytes", "dropped", "acked_seq", "rtt_ms",
                    "host_pid", "isolation", "cpu_ms", "pss_kib", "restarts", "quarantine"):
            assert key in row, f"{row['service']}: {key}"
    for key in ("servers", "next_attempt_in_s", "backoff_s", "serial", "site"):
        assert key in state, key


def test_metrics_reach_hawser_cloud(world):
    """[mon-1] Real metrics of this machine arrive at hawser-cloud within seconds and can be read there."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file).start()
    agent.wait_ready()
    names = cloud.wait_metrics({"system.cpu.time", "system.memory.usage", "system.uptime"})
    assert any(name.startswith("system.network.") for name in names), names


def test_metrics_follow_the_conventions(world):
    """[mon-1] Metrics are OTLP/JSON with the device's attributes, OpenTelemetry's names, and numbers of this
    machine."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    agent.wait_ready()
    cloud.record.wait("data:monitoring", 3)
    request = json.loads(cloud.messages["monitoring"][-1])
    resource = request["resourceMetrics"][0]["resource"]
    attributes = {each["key"]: each["value"].get("stringValue") for each in resource["attributes"]}
    assert attributes["device.id"] == SERIAL and attributes["hawser.site"] == "branch-042"
    assert attributes["host.name"]
    metrics = {metric["name"]: metric for scope in request["resourceMetrics"][0]["scopeMetrics"]
               for metric in scope["metrics"]}
    for name in ("system.cpu.time", "system.memory.usage", "system.filesystem.usage", "system.network.io",
                 "system.disk.io", "system.uptime"):
        assert name in metrics, sorted(metrics)
        assert metrics[name].get("unit"), name
    total = sum(int(point.get("asInt", 0)) for point in metrics["system.memory.usage"]["sum"]["dataPoints"])
    real = next(int(line.split()[1]) * 1024 for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    assert 0.5 * real < total < 1.5 * real, (total, real)
