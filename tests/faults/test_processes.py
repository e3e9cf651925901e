"""What the system does to the agent as a process: clocks that jump, too little CPU, signals in a storm."""

import json
import os
import signal
import time
from pathlib import Path

import processes
import pytest
from basics import wait_for
from program import SLOWNESS
from rows import assert_no_sample_lost, sample_times, wait_pings

CPU = Path("/sys/fs/cgroup/cpu")
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
ENDS_WITHIN_S = 5  # from SIGTERM on


def moored(world, plugins=("monitoring",), **options):
    cloud = world.scripted_cloud()
    cloud.grant_limits["ping_s"] = 5
    agent = world.agent(cloud.auth_port, world.authority.file, ping_s=5,
                        plugins=[f"hawser.{plugin}" for plugin in plugins]).start(**options)
    agent.wait_ready(plugins)
    return cloud, agent


def keeps_pinging(cloud, agent, plugins=("monitoring",)):
    """Three more pings of the main connection arrive, and it is still the first one."""
    wait_pings(cloud, 3)
    agent.wait_ready(plugins)
    assert cloud.record.count("connect") == 1, cloud.record.story()


@pytest.mark.parametrize("jump", ["+90d", "-730d"], ids=["forward", "back"])
def test_the_clock_jumps(world, tmp_path, jump):
    """[F83] [F84] The wall clock of the agent jumps 90 days ahead, or two years back: pings, keepalives and waits go on by
    the monotonic clock, the connection stays, and a reset a moment later connects anew."""
    clock = tmp_path / "clock"
    clock.write_text("+0d\n")
    cloud, agent = moored(world, environment={
        "LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1", "TZ": "UTC", "PATH": "/usr/bin:/bin"})
    clock.write_text(jump + "\n")
    keeps_pinging(cloud, agent)
    state = agent.state()
    assert 0 <= state["duration_s"] < 120, state["duration_s"]
    assert state["next_attempt_in_s"] is None and state["dropped_packets_after_reaching_buffer_limit"] == 0
    assert_no_sample_lost(cloud)


def test_the_machine_is_up_for_a_day_by_one_clock_only(world):
    """[F86] The boot clock is a day ahead of the monotonic one, as after a long sleep before the start: the agent moors
    and keeps its connection."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, ping_s=5, plugins=["hawser.monitoring"])
    agent.program = world.start("device", ["unshare", "-T", "--boottime", "86400", "--monotonic", "0", "--fork",
                                           "--kill-child", *agent.arguments()], place="device")
    agent.wait_ready(("monitoring",))
    keeps_pinging(cloud, agent)
    os.kill(processes.descendants(agent.program.pid)[0], signal.SIGTERM)  # unshare hands no signal on
    wait_for(lambda: not agent.program.running(), ENDS_WITHIN_S, "the end of the agent")


def test_a_storm_of_signals(world):
    """[F87] SIGHUP 200 times, then SIGTERM twice while a service sends: each reload is taken or joined with the next, the
    connection is not touched, and the agent ends with 0 within 5 s, its state whole."""
    cloud, agent = moored(world)
    for _ in range(200):
        os.kill(agent.program.pid, signal.SIGHUP)
    agent.wait_ready(("monitoring",))
    assert cloud.record.count("connect") == 1, cloud.record.story()
    began = time.monotonic()
    for _ in range(2):
        os.kill(agent.program.pid, signal.SIGTERM)
    wait_for(lambda: not agent.program.running(), ENDS_WITHIN_S, "the end of the agent")
    assert agent.program.exit_code == 0, agent.program.exit_code
    assert time.monotonic() - began < ENDS_WITHIN_S * SLOWNESS
    agent.start()
    agent.wait_ready(("monitoring",))
    kinds = [event["kind"] for event in json.loads(agent.ctl("history", "--json").stdout)["events"]]
    assert kinds.count("up") == 2, kinds
    times = sample_times(cloud)
    assert times == sorted(set(times)), "each sample once, in order"


@pytest.mark.skipif(not (CPU / "cpu.cfs_quota_us").exists() and not (CPU / "cgroup.procs").exists(),
                    reason="no cgroup v1 controller cpu here")
def test_little_cpu_is_no_death(world):
    """[F79] All of the agent gets 5 % of one CPU: no connection is given up for that."""
    group = CPU / f"hawser-test-{os.getpid()}"
    group.mkdir()
    try:
        cloud, agent = moored(world)
        (group / "cpu.cfs_quota_us").write_text("5000")
        for pid in (agent.program.pid, *agent.hosts()):
            (group / "cgroup.procs").write_text(str(pid))
        wait_pings(cloud, 3)
        assert cloud.record.count("connect") == 1 and cloud.record.count("dial:monitoring") == 1, cloud.record.story()
        for pid in (agent.program.pid, *agent.hosts()):
            (CPU / "cgroup.procs").write_text(str(pid))
        agent.wait_ready(("monitoring",))
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text().strip() or agent.program.running(), 5)
        for pid in (group / "cgroup.procs").read_text().split():
            (CPU / "cgroup.procs").write_text(pid)
        group.rmdir()
