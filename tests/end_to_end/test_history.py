"""What happened, as hawserctl and hawser-cloud tell it, over restarts and a kill."""

import json

from basics import SERIAL, SERVICES, wait_for


def history(agent, *words):
    return json.loads(agent.ctl("history", "--json", *words).stdout)["events"]


def told(event):
    return event["kind"], event["service"] or "", event["reason"] or "", event["detail"] or ""


def stir(cloud, agent):
    """The main connection is left and made anew, and all services are refused or granted again: many events."""
    seen = cloud.record.count("connect")
    cloud.refused = {} if cloud.refused else {service: "not_enabled_for_site" for service in SERVICES}
    agent.ctl("reset")
    cloud.record.wait("connect", seen + 1)


def test_two_hundred_events_outlive_a_restart_and_a_kill(world):
    """[state-2] The last 200 events are there, oldest first, each with time, reason and detail, after a restart and after
    kill -9; that one is told from a stop in good order."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    agent.wait_ready()
    while len(first := history(agent, "--limit", 1000)) < 200:
        for _ in range(5):
            stir(cloud, agent)
    kinds = {event["kind"] for event in first}
    assert kinds >= {"agent", "up", "down", "grants", "service_state"}, kinds
    assert all(event["reason"] == "reset_by_operator" and event["detail"] for event in first if event["kind"] == "down")
    times = [(event["at"], event["uptime_ms"]) for event in first]
    assert all(at for at, _ in times) and times == sorted(times)
    agent.stop()
    agent.start()
    agent.wait_established()
    second = history(agent, "--limit", 1000)
    assert second[:len(first)] == first
    file = agent.state_dir / "history.jsonl"
    wait_for(lambda: len(file.read_text().splitlines()) >= len(second), 5, "all events on the disk, where they go each second")
    agent.kill()
    agent.start()
    agent.wait_established()
    third = history(agent, "--limit", 1000)
    assert third[:len(second)] == second
    assert len(history(agent)) >= 200, "without a limit at least 200 are shown"
    assert len(history(agent, "--limit", 3)) == 3
    assert len(agent.ctl("history").stdout.splitlines()) >= 200
    starts = [event["detail"] for event in third if (event["kind"], event["reason"]) == ("agent", "started")]
    assert "was stopped" in starts[1] and "without a stop" in starts[2], starts


def test_failover_grants_and_restarts_of_plugins_are_told_at_both_ends(world):
    """[state-2] A failover, a refused service, a killed plugin: hawserctl's history and the cloud's have the same kind,
    service and reason."""
    cloud = world.cloud(serials=[SERIAL]).start()
    front = world.proxy(cloud.auth_port)
    agent = world.agent(None, cloud.ca_file, plugins=["hawser.monitoring", "hawser.log_upload"],
                        servers={"127.0.0.1": [front.port], "localhost": [cloud.auth_port]}).start()
    agent.wait_ready(("monitoring", "log_upload"))
    cloud.command("service", "disable", SERIAL, "log_upload")
    agent.wait_state(lambda state: agent.subconnection("log_upload", state).get("state") != "ready", what="a revoked service")
    agent.kill_host("monitoring")
    agent.wait_state(lambda state: agent.subconnection("monitoring", state).get("restarts", 1), what="a restart")
    agent.wait_ready(("monitoring",), limit=30)
    front.refusing = True
    agent.ctl("reset")
    agent.wait_state(lambda state: state["cloud_server_domain_name"] == "localhost", what="the second server")
    agent.wait_ready(("monitoring",))

    def both():
        there = json.loads(cloud.command("device", "history", SERIAL, "--json").stdout)["events"]
        reported = {told(event) for event in there if event["side"] == "device"}
        mine = {told(event) for event in history(agent)}
        reasons = {(kind, reason) for kind, _, reason, _ in reported}
        wanted = {("down", "reset_by_operator"), ("plugin_state", "killed"), ("service_state", "not_enabled_for_site")}
        return (mine, reported) if wanted <= reasons and {"up", "failover"} <= {kind for kind, _ in reasons} else None
    mine, reported = wait_for(both, 20, "the events at the cloud", pause=0.2)
    assert reported <= mine, reported - mine
    for_the_device_alone = {"agent", "grants", "network", "dhcp"}
    missing = {event for event in mine - reported if event[0] not in for_the_device_alone}
    assert not missing, missing


def test_the_cloud_is_told_that_the_agent_was_restarted(world):
    """[state-2] A stop and a kill -9 of the agent: the loss stands in both histories with `agent_restarted` and how the run
    ended, which the run itself could not tell; and that it loads what nobody signed is told at each start."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=[]).start()
    agent.wait_established()

    def at_the_cloud(kind, count):
        def look():
            events = json.loads(cloud.command("device", "history", SERIAL, "--json").stdout)["events"]
            found = [told(event) for event in events if event["side"] == "device" and event["kind"] == kind]
            return found if len(found) >= count else None
        return wait_for(look, 20, f"{count} events {kind} at the cloud", pause=0.2)
    agent.stop()
    agent.start()
    at_the_cloud("down", 1)
    file = agent.state_dir / "history.jsonl"
    wait_for(lambda: file.read_text().count('"up"') >= 2, 5, "the second run on the disk, where it goes each second")
    agent.kill()
    agent.start()
    stopped, killed = at_the_cloud("down", 2)
    assert {stopped[2], killed[2]} == {"agent_restarted"}
    assert "was stopped" in stopped[3] and "without a stop" in killed[3], (stopped, killed)
    warnings = at_the_cloud("security", 3)
    assert all("plugins that nobody signed are loaded" in detail for *_, detail in warnings), warnings
    assert {stopped, killed, *warnings} <= {told(event) for event in history(agent)}
