"""Clocks of the device that jump while it works, with the real programs: what they do is in preload/clocks.c."""

import json
import os
import time

import basics
import preloaded
import pytest
from basics import wait_for
from program import SLOWNESS
from rows import close_into_a_long_spread
from test_config_push import Site, file
from test_history import history

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")

SLEPT_S = 600
NOTICED_S = 30  # how long a sleep may go unnoticed where the kernel does not tell, and a library cannot do that for it


def test_a_sleep_counts_for_the_time_to_confirm(world):
    """[F78] [cfg-3] The device sleeps ten minutes while a revision waits for its confirmation, which has five: on waking
    up the old files are back at once, although the host's own clock stood still."""
    cloud, clocks = world.scripted_cloud(), []

    def prepare(agent):
        clocks.append(preloaded.into_hosts(agent, "clocks", "TEST_CLOCKS", [0, 0]))
    site = Site(world, cloud, cloud.auth_port, world.authority.file, prepare=prepare)
    cloud.keepalive_acks = False
    site.push("r1", [file(site.a, "cuts us off\n")], timeout_s=300)
    site.wait_status("r1", "applied")
    cloud.record.wait("data:monitoring", cloud.record.count("data:monitoring") + 3)  # two seconds, and it looks each second
    assert site.a.read_text() == "cuts us off\n"
    began = time.monotonic()
    preloaded.write(clocks[0], 0, SLEPT_S)
    status = site.wait_status("r1", "rolled_back")
    assert time.monotonic() - began < 5 * SLOWNESS
    assert site.a.read_text() == "one\ntwo\n" and status["reason"] == "not_confirmed", status
    assert site.reloads() == ["cuts us off\n", "one\ntwo\n"]


def started_with_clocks(agent):
    """hawserd's own clocks are the test's to move, its hosts' are not; the file that holds them."""
    clocks = agent.folder / "clocks.numbers"
    preloaded.write(clocks, 0, 0)
    agent.start(environment={"LD_PRELOAD": str(basics.built("clocks.so")), "TEST_CLOCKS": str(clocks),
                             "PATH": "/usr/bin:/bin"})
    return clocks


def test_a_sleep_of_the_device_ends_every_connection_that_it_had(world):
    """[F77] [conn-20] The device sleeps ten minutes: when it wakes up, hawserd calls its main connection dead at once and
    dials anew, whatever spread the cloud asked for, the service's subconnection too; history says that it slept and for
    how long, and the cloud is told why it was away."""
    cloud = world.scripted_cloud()
    cloud.spread_s = 3600
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=["hawser.monitoring"])
    clocks = started_with_clocks(agent)
    agent.wait_ready(("monitoring",))
    assert not [event for event in history(agent) if event["reason"] == "resumed"]
    began = time.monotonic()
    preloaded.write(clocks, 0, SLEPT_S)
    cloud.record.wait("connect", 2, (NOTICED_S + 10) * SLOWNESS)
    assert time.monotonic() - began < (NOTICED_S + 2 + 1) * SLOWNESS
    state = agent.wait_ready(("monitoring",))
    assert state["last_down_reason"] == "hang_up" and "slept" in state["last_down_detail"], state["last_down_detail"]
    cloud.record.wait("dial:monitoring", 2, 10 * SLOWNESS)
    [slept] = [event for event in history(agent) if event["reason"] == "resumed"]
    assert slept["kind"] == "network" and slept["detail"] == f"the device slept for {SLEPT_S} s", slept
    told = wait_for(lambda: [event for seen in cloud.record.all("main:report") for event in seen.data["body"]["events"]
                             if event["kind"] == "down"], 10, "the reason at the cloud")
    assert told[-1]["reason"] == "hang_up" and "slept" in told[-1]["detail"], told
    assert cloud.record.count("connect") == 2, "one sleep, one redial"


def test_a_sleep_ends_the_agents_own_wait_and_not_the_clouds(world):
    """[F77] [conn-20] A sleep while the agent waits: its own backoff ends at once, a wait that the cloud asked for does
    not."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[])
    clocks = started_with_clocks(agent)
    agent.wait_established()
    cloud.close_main(4003, "device_removed")
    agent.wait_state(lambda state: (state["next_attempt_in_s"] or 0) > 890, what="the wait of a removed device")
    preloaded.write(clocks, 0, SLEPT_S)
    agent.program.wait_line("network: the device slept", NOTICED_S + 10)
    time.sleep(3)  # a redial of its own would come within 2 s
    assert cloud.record.count("connect") == 1 and agent.state()["next_attempt_in_s"] > 800
    agent.ctl("reset")
    agent.wait_established()
    cloud.spread_s = 3600
    agent.ctl("reset")
    cloud.record.wait("connect", 3)
    agent.wait_established()
    count = close_into_a_long_spread(cloud, agent, 1012, "restarting", 2 * NOTICED_S)
    preloaded.write(clocks, 0, 2 * SLEPT_S)
    cloud.record.wait("connect", count + 1, (NOTICED_S + 10) * SLOWNESS)


def clock_marks(cloud):
    """Of each sample: whether it says that its time is that of a clock that nobody set, and that time in seconds."""
    for payload in cloud.messages.get("monitoring", []):
        resource = json.loads(payload)["resourceMetrics"][0]
        attributes = {each["key"]: each["value"]["stringValue"] for each in resource["resource"]["attributes"]}
        metrics = resource["scopeMetrics"][0]["metrics"]
        points = next(value for value in metrics[0].values() if isinstance(value, dict))["dataPoints"]
        yield attributes.get("hawser.clock") == "unset", int(points[0]["timeUnixNano"]) / 1e9


def test_a_boot_in_1970_and_a_late_time_server(world):
    """[F85] [conn-23] [mon-1] Agent and hosts start in 1970: the device moors, its samples say that their time is nobody's.
    Then the clock is set: the samples after it carry the right time and no mark, none is lost, and no connection ends."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=["hawser.monitoring"])
    clocks = preloaded.into_hosts(agent, "clocks", "TEST_CLOCKS", [86_400 - int(time.time()), 0])
    agent.start(environment={"LD_PRELOAD": str(basics.built("clocks.so")), "TEST_CLOCKS": str(clocks), "TZ": "UTC",
                             "PATH": "/usr/bin:/bin"})
    state = agent.wait_ready(("monitoring",), limit=30)
    assert state["clock_floor_used"] is True
    wait_for(lambda: len(list(clock_marks(cloud))) >= 3, 20, "samples of 1970")
    assert all(unset and 0 < at < 10 * 86_400 for unset, at in clock_marks(cloud)), list(clock_marks(cloud))
    preloaded.write(clocks, 0, 0)
    since = len(list(clock_marks(cloud)))
    wait_for(lambda: len(list(clock_marks(cloud))) >= since + 4, 20, "samples of today")
    marks = list(clock_marks(cloud))
    assert abs(marks[-1][1] - time.time()) < 5 * SLOWNESS
    assert [unset for unset, _ in marks] == sorted((unset for unset, _ in marks), reverse=True), "set once, for good"
    assert not marks[-1][0]
    row = agent.subconnection("monitoring")
    assert row["dropped"] == {} and row["reconnects"] == 0 and row["restarts"] == 0, row
    assert cloud.record.count("connect") == 1 and cloud.record.count("dial:monitoring") == 1, cloud.record.story()
