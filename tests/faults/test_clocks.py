"""Clocks of the device that jump while it works, with the real programs: what they do is in preload/clocks.c."""

import json
import os
import time

import basics
import preloaded
import pytest
from basics import wait_for
from program import SLOWNESS
from test_config_push import Site, file

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")

SLEPT_S = 600


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
