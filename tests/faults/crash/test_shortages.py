"""Too little memory, allocations that fail, a disk that is slow, below the real programs."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import basics
import preloaded
import processes
import pytest
from basics import SERIAL, wait_for
from delivery import PLUGIN, Delivery
from program import SLOWNESS
from rows import assert_no_sample_lost

MEMORY = Path("/sys/fs/cgroup/memory")
LIMIT_MIB = 96           # of hawserd and its hosts together
FLOOD_MESSAGES = 6000    # some 24 MiB while the cloud takes nothing
FSYNC_DELAY_US = 300_000
LATE_S = 0.25            # less than one such fsync

@pytest.fixture
def memory_group():
    if not (MEMORY / "memory.limit_in_bytes").exists():
        pytest.skip("no cgroup v1 controller memory here; tests/vm has cgroup v2")
    group = MEMORY / f"hawser-test-{os.getpid()}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(LIMIT_MIB << 20))
    yield group
    wait_for(lambda: not (group / "cgroup.procs").read_text().split(), 10, "everything in the group has ended")
    group.rmdir()


def fails_at(agent, numbers, first, many):
    """Starts the agent with `many` failing allocations from the first-th on, until it has moored or ended. True when it
    was ended."""
    preloaded.write(numbers, 0, first, many)
    program = agent.start(environment={"LD_PRELOAD": str(basics.built("failing_malloc.so")), "TEST_MALLOC": str(numbers),
                                       "PATH": "/usr/bin:/bin"}).program
    wait_for(lambda: not program.running() or agent.state().get("cloud_connection_state") == "Established", 30,
             f"moored or ended, with allocation {first} failing")
    if program.running():
        assert agent.stop() == 0
        return False
    program.wait_end()  # and all that it said is read
    return True


def test_allocations_of_hawserd_fail(world):
    """[F104] An allocation of hawserd fails, any of them: it does without, or ends, says so, and does not call it a fault
    of its configuration, for which nobody would start it again. Started again it has the same key, its whole state, and
    moors."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=["hawser.monitoring"])
    agent.start()
    agent.wait_ready(["monitoring"])
    agent.stop()
    chance = random.Random(104)
    endings = []
    for _ in range(12):
        first = int(2 ** chance.uniform(6, 14))
        if fails_at(agent, agent.folder / "numbers", first, chance.choice([1, 20, 200])):
            endings.append((first, agent.program.exit_code, agent.program.lines()[-1:]))
    for first, code, words in endings:
        assert code in (1, -signal.SIGABRT), (first, code, words)
        assert words, f"it ended without a word when allocation {first} failed"
    print(f"{len(endings)} of 12 ended: {endings}")
    assert endings, "some allocations it cannot do without"
    agent.start()
    agent.ctl("plugin", "release", "--all", expect=None)  # three bad ends in a minute are safe mode (ops-6)
    agent.wait_ready(["monitoring"])
    assert len({seen.data["headers"].get("authorization") for seen in cloud.record.all("register")}) >= 2
    assert not cloud.faults, cloud.faults
    events = json.loads(agent.ctl("history", "--json", "--limit", 1000).stdout)["events"]
    assert sum(event["kind"] == "up" for event in events) >= 2, "the history is whole"


def test_allocations_of_a_host_fail(world):
    """[F104] [data-1] [iso-5] One allocation of 20 000 fails in a host, again and again: it goes on or ends, as out of
    memory or by an abort, and never by a wild pointer; it starts again, and all that it accepted is
    at the cloud, once and in order."""
    cloud = world.cloud(serials=[SERIAL])
    delivery = Delivery(world)
    cloud.start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=[PLUGIN], plugin_dir=delivery.plugins(),
                        plugin_files=delivery.files(), log_level="info")
    numbers = preloaded.into_hosts(agent, "failing_malloc", "TEST_MALLOC", [0, 0, 0])
    agent.start()
    agent.wait_ready(["log_upload"])
    preloaded.write(numbers, 20_000, 0, 0)

    def ended_often():
        agent.ctl("plugin", "release", PLUGIN, expect=None)  # that it would be in quarantine is iso-5
        return agent.subconnection("log_upload").get("restarts", 0) >= 4
    wait_for(ended_often, 90, "the host has ended four times", pause=0.3)
    preloaded.write(numbers, 0, 0, 0)
    agent.ctl("plugin", "release", PLUGIN, expect=None)
    delivery.pause()
    agent.wait_ready(["log_upload"], limit=60)
    wait_for(delivery.drained, 60, "everything is acknowledged")
    verdict = delivery.judge(cloud)
    assert verdict.good(), verdict.complaints[:10]
    events = json.loads(agent.ctl("history", "--json", "--limit", 1000).stdout)["events"]
    reasons = ("crashed", "exited", "out_of_memory", "killed")
    ends = [event["detail"] for event in events if event["reason"] in reasons]
    assert len(ends) >= 4 and not [each for each in ends if "SIGSEGV" in each or "SIGBUS" in each], ends
    print(dict(verdict.rows()), ends)


def test_little_memory(memory_group, world):  # in this order, so that the group ends last
    """[F82] hawserd and its hosts have little memory, and a plugin hands over more than that while the cloud takes nothing:
    what waits is on disk, nobody is killed for memory, and all of it arrives."""
    cloud = world.cloud(serials=[SERIAL])
    proxy = world.proxy(cloud.port)
    cloud.advertise(proxy.port)
    delivery = Delivery(world, period_ms=5, burst=40, bytes_max=8000)
    cloud.start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=[PLUGIN, "hawser.monitoring"],
                        plugin_dir=delivery.plugins(), plugin_files=delivery.files(), log_level="info")
    agent.arguments = (lambda plain: lambda: [
        "sh", "-c", f'echo $$ >"{memory_group}/cgroup.procs" && exec "$@"', "sh", *plain()])(agent.arguments)
    agent.start()
    agent.wait_ready(["log_upload", "monitoring"])
    proxy.stall()
    wait_for(lambda: sum(delivery.claims("A").values()) > FLOOD_MESSAGES, 60, "more is handed over than memory holds")
    delivery.pause()
    assert len((memory_group / "cgroup.procs").read_text().split()) == 3
    proxy.resume()
    wait_for(delivery.drained, 120, "everything is acknowledged", pause=0.2)
    control = dict(line.split() for line in (memory_group / "memory.oom_control").read_text().splitlines())
    assert control["oom_kill"] == "0", control
    for service in ("log_upload", "monitoring"):
        assert agent.subconnection(service)["restarts"] == 0, service
    peak = {name: processes.anonymous_kib(pid) for name, pid in (("hawserd", agent.program.pid),
                                                                  ("host", agent.host_of("log_upload")))}
    assert all(kib < LIMIT_MIB * 1024 / 2 for kib in peak.values()), peak
    assert delivery.judge(cloud).good()


def slowed(pids, seen):
    """strace at these processes: each sync of theirs takes 300 ms longer, and is noted in this file."""
    return subprocess.Popen(["strace", "-f", "-qq", "-o", seen, "-e", "trace=fsync,fdatasync",
                             "-e", f"inject=fsync,fdatasync:delay_enter={FSYNC_DELAY_US}",
                             *(word for pid in pids for word in ("-p", str(pid)))], stderr=subprocess.DEVNULL)


def pongs(cloud, service, count):
    """The longest of so many pings, one after the other; None is the main connection."""
    longest = 0.0
    for _ in range(count):
        longest = max(longest, cloud.ping(service))
        time.sleep(0.05)  # so that they spread over several syncs
    return longest


def test_a_slow_disk(world):
    """[F101] [iso-1] Each sync takes 300 ms. The main connection answers its pings as ever while hawserd writes its history,
    and so does a service that writes nothing; one that writes is late by its own sync at most, and loses nothing."""
    cloud, seen = world.scripted_cloud(), world.folder / "syncs"
    agent = world.agent(cloud.auth_port, world.authority.file, ping_s=5,
                        plugins=["hawser.monitoring", "hawser.config_push", "hawser.log_upload"]).start()
    agent.wait_ready()
    quiet, writer = agent.host_of("config_push"), agent.host_of("monitoring")
    tracer = slowed([agent.program.pid, quiet, writer], seen)
    try:
        wait_for(lambda: all(f"TracerPid:\t{tracer.pid}" in Path(f"/proc/{pid}/status").read_text()
                             for pid in (agent.program.pid, quiet, writer)), 10, "the tracer")
        before = cloud.record.count("data:monitoring")
        agent.kill_host("log_upload")  # its end and its new start are events, which hawserd writes down
        longest = {service or "main": pongs(cloud, service, 30) for service in (None, "config_push", "monitoring")}
        agent.wait_state(lambda state: agent.subconnection("log_upload", state)["restarts"] == 1, 20, "another host")
        cloud.record.wait("data:monitoring", before + 3)
        assert longest["main"] < LATE_S * SLOWNESS and longest["config_push"] < LATE_S * SLOWNESS, longest
        assert longest["monitoring"] < LATE_S * SLOWNESS + FSYNC_DELAY_US / 1e6, longest
    finally:
        tracer.terminate()
        tracer.wait()
    syncs = [line for line in seen.read_text().splitlines() if "DELAYED" in line]
    agents = [line for line in syncs if int(line.split()[0]) in threads(agent.program.pid)]
    assert len(syncs) >= 3 and agents, syncs[:20]
    print(longest, len(syncs), "slow syncs, of these by hawserd", len(agents))
    agent.wait_ready()
    assert cloud.record.count("dial:monitoring") == 1 and cloud.record.count("connect") == 1
    assert_no_sample_lost(cloud)


def threads(pid):
    return {int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()}
