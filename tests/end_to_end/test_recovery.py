"""Programs are killed, and everything comes back by itself."""

import os
import signal
import time

import processes
from basics import SERIAL, SERVICES, wait_for
from program import SLOWNESS


def moored(world, **options):
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, **options).start()
    return cloud, agent, agent.wait_ready()


def reconnects(state):
    return {row["service"]: row["reconnects"] for row in state["subconnections"]}


def test_a_killed_cloud_comes_back(world):
    """[conn-1] hawser-cloud is killed with SIGKILL and started again: main connection and three subconnections
    return."""
    cloud, agent, before = moored(world)
    cloud.kill()
    agent.wait_state(lambda state: state["cloud_connection_state"] != "Established", what="the loss is seen")
    cloud.start()
    state = agent.wait_ready(limit=40)
    assert sorted(row["host_pid"] for row in state["subconnections"]) == \
        sorted(row["host_pid"] for row in before["subconnections"]), "hosts outlive the cloud"
    assert state["last_down_reason"] and state["last_down_at"]
    for service in SERVICES:
        assert reconnects(state)[service] > reconnects(before)[service], service
    cloud.wait_metrics({"system.uptime"}, newer_than=time.time())


def test_a_killed_agent_takes_its_hosts_along(world):
    """[iso-8] hawserd is killed with SIGKILL: its hosts end within 1 s; started again, it moors again with the same
    key."""
    cloud, agent, _ = moored(world)
    hosts = agent.hosts()
    assert len(hosts) == 3
    key = (agent.state_dir / "device.key").read_bytes()
    agent.kill()
    died = time.monotonic()
    wait_for(lambda: not any(processes.alive(pid) for pid in hosts), 5, "the hosts to end", pause=0.01)
    assert time.monotonic() - died < 1 * SLOWNESS
    agent.start()
    agent.wait_ready(limit=40)
    assert (agent.state_dir / "device.key").read_bytes() == key


def test_a_stopped_agent_leaves_nothing(world):
    """SIGTERM ends hawserd with 0 within 5 s, and its hosts with it; the cloud sees the device leave."""
    cloud, agent, _ = moored(world)
    hosts = agent.hosts()
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 5 * SLOWNESS
    wait_for(lambda: not any(processes.alive(pid) for pid in hosts), 1, "the hosts to end")
    cloud.wait_device(lambda device: device["state"] == "disconnected", what="the device has left")


def test_a_killed_host_comes_back_alone(world):
    """A host is killed: its subconnection returns; the others and the main connection are not touched."""
    cloud, agent, before = moored(world)
    killed = agent.kill_host("monitoring")
    state = agent.wait_state(lambda state: agent.subconnection("monitoring", state).get("state") == "ready" and
                             agent.subconnection("monitoring", state)["host_pid"] not in (killed, None), limit=30,
                             what="monitoring ready in a new host")
    assert state["connected_at"] == before["connected_at"]
    for service in ("config_push", "log_upload"):
        was, now = agent.subconnection(service, before), agent.subconnection(service, state)
        for key in ("host_pid", "since", "reconnects", "restarts"):
            assert was[key] == now[key], f"{service}: {key}"
    assert agent.subconnection("monitoring", state)["restarts"] == 1
    assert "hawser.monitoring" in agent.ctl("plugin", "list").stdout
    cloud.wait_metrics({"system.uptime"}, newer_than=time.time())


def test_a_stopped_process_does_not_hold_up_the_others(world):
    """A host that is frozen leaves the main connection and the other subconnections untouched."""
    _, agent, before = moored(world)
    frozen = agent.host_of("log_upload")
    os.kill(frozen, signal.SIGSTOP)
    try:
        sent = agent.subconnection("monitoring", before)["sent_messages"]
        agent.wait_state(lambda state: agent.subconnection("monitoring", state)["sent_messages"] >= sent + 3,
                         what="monitoring goes on")
        assert agent.state()["cloud_connection_state"] == "Established"
    finally:
        if processes.alive(frozen):
            os.kill(frozen, signal.SIGCONT)


def test_an_outage_of_the_network_loses_no_metrics(world):
    """[mon-2] Samples taken while the cloud cannot be reached arrive later, each once and with its own time."""
    cloud = world.scripted_cloud()
    proxy = world.proxy(cloud.service_port)
    cloud.service_port = proxy.port
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    agent.wait_ready()
    cloud.record.wait("data:monitoring", 2)
    proxy.refusing = True
    proxy.cut()
    agent.wait_state(lambda state: agent.subconnection("monitoring", state)["queued_messages"] >= 3, limit=30,
                     what="samples that wait")
    proxy.refusing = False
    agent.wait_ready(limit=60)
    agent.wait_state(lambda state: agent.subconnection("monitoring", state)["queued_messages"] == 0, limit=20,
                     what="an empty queue")
    times = [sample_time(message) for message in cloud.messages["monitoring"]]
    assert times == sorted(set(times)), "each sample once, in order"
    assert max(later - earlier for earlier, later in zip(times, times[1:])) < 2.5e9 * SLOWNESS, "none is missing"


def sample_time(message):
    import json
    metrics = json.loads(message)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    points = next(iter(value for value in metrics[0].values() if isinstance(value, dict)))["dataPoints"]
    return int(points[0]["timeUnixNano"])
