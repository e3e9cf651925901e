"""How long the device waits, by the cloud's word and by its own, and against which time it checks certificates."""

import email.utils
import time

from basics import SERVICES, free_port, wait_for
from program import SLOWNESS
from test_shell import shell


def test_the_spread_is_the_clouds(world):
    """[conn-19] After a loss the first round waits a random part of the spread that the registration named."""
    cloud = world.scripted_cloud()
    cloud.spread_s = 40
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    waits = []
    for count in range(1, 8):
        cloud.record.wait("connect", count)
        agent.wait_established()
        cloud.close_main(1012, "restarting")
        # A wait may be over before anybody looks.
        state = agent.wait_state(lambda state: state["cloud_connection_state"] != "Established" or
                                 len(cloud.record.all("connect")) > count, what="a wait")
        if state["cloud_connection_state"] == "Established":
            waits.append(0)
        else:
            waits.append(state["backoff_s"])
            agent.ctl("reset")
    assert all(0 <= wait <= 40 for wait in waits) and max(waits) > 4 and len(set(waits)) >= 3, waits


def test_rounds_double_and_never_follow_within_a_second(world):
    """[conn-19] Without any server: rounds wait at least 1 s, at most 1 s, 2 s, 4 s, 8 s, at random; inside a round the next
    server follows at once."""
    agent = world.agent(None, world.authority.file, plugins=[],
                        servers={"127.0.0.1": [free_port()], "127.0.0.2": [free_port()]}).start()
    seen = []

    def rounds():
        failed = [line for line in agent.program.lines() if "failed: connect_refused" in line]
        while len(seen) < len(failed):
            seen.append(time.monotonic())
        return len(seen) >= 10
    wait_for(rounds, 40, "five rounds", pause=0.01)
    for number in range(4):
        first, second, next_round = seen[2 * number], seen[2 * number + 1], seen[2 * number + 2]
        assert second - first < 0.5 * SLOWNESS, "inside a round there is no wait"
        assert 0.9 <= next_round - second <= 2 ** number + 0.5 * SLOWNESS, (number, seen)


def test_a_verified_date_is_the_floor(world):
    """[conn-23] After a verified answer with a later Date, certificates are checked against that: a server whose
    certificate the device's own clock calls not yet valid is connected, its services too, `state` says so; without that
    Date it is `certificate_clock`, with a word on the clock."""
    later = time.time() + 2 * 86400
    future = world.authority.issue(["127.0.0.1"], days=(1, 30))
    young = world.scripted_cloud(name="127.0.0.1", certificates={step: future for step in ("auth", "main", "service")})
    innocent = world.agent(young.auth_port, world.authority.file, domain="127.0.0.1", plugins=[], name="innocent").start()
    state = innocent.wait_failure("certificate_clock")
    assert "clock" in state["failure_detail"], state["failure_detail"]
    innocent.stop()
    old = world.scripted_cloud()
    old.headers["Date"] = email.utils.formatdate(later, usegmt=True)
    young.headers["Date"] = old.headers["Date"]
    agent = world.agent(None, world.authority.file, servers={"127.0.0.1": [young.auth_port], "localhost": [old.auth_port]})
    young.close()
    agent.start()
    agent.wait_ready()
    assert not agent.state()["cloud_server_domain_name"] == "127.0.0.1"
    young.open()
    old.close()
    young.record.wait("connect")
    state = agent.wait_ready()
    assert state["clock_floor_used"] is True and state["clock_ahead_s"] < -86400
    for service in SERVICES:
        young.record.wait(f"dial:{service}")
    text = agent.ctl("state").stdout
    assert "clock" in text.lower(), text
    walked = agent.ctl("doctor", expect=1).stdout  # for the cloud that is closed
    assert "the certificate is for 127.0.0.1" in walked and "behind the cloud's" in walked, walked
    agent.stop()
    agent.start()
    assert agent.wait_ready()["clock_floor_used"] is True, "the floor is kept over a restart"


def test_the_vendors_reset_connects_anew(world):
    """[state-5] `reset cloud-management tunnel` of the vendor's reference leaves the cloud and comes back."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    shell(agent, "reset cloud-management tunnel\n")
    cloud.record.wait("connect", 2)
    assert agent.wait_established()["last_down_reason"] == "reset_by_operator"


def test_a_reset_ends_the_waits_of_services_too(world):
    """[conn-20] An operator's `reset` does not leave a service in its own wait, which may last for minutes."""
    cloud = world.scripted_cloud()
    cloud.spread_s = 3600
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=["hawser.monitoring"]).start()
    agent.wait_ready(("monitoring",))
    cloud.close_service("monitoring", 1012, "restarting")
    agent.wait_state(lambda state: agent.subconnection("monitoring", state)["state"] == "backoff", what="a wait")
    agent.ctl("reset")
    cloud.record.wait("dial:monitoring", 2, 10 * SLOWNESS)
    agent.wait_ready(("monitoring",))
