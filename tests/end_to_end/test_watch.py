"""Somebody watches the state of a real agent while its cloud and it itself go away and come back."""

import json
import signal

import pytest

from basics import built
from program import SLOWNESS

PROMPTLY = 5


def watch(world, agent, *words):
    return world.start(f"watch{len(world.programs)}",
                       [built("hawserctl"), "--socket", agent.socket, "state", "--watch", *words])


def test_a_watcher_sees_the_connection_go_and_come_and_the_agent_restart(world):
    """[state-1] `state --watch` on a pipe: a block each time that the connection changes, with its reason; the agent's
    restart is shown and waited out; Ctrl-C ends it with 0."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    seen = watch(world, agent)
    seen.wait_line(r"^Cloud connection state +: Established$")
    mark = seen.mark()
    cloud.close()
    seen.wait_line(r"^Cloud connection state +: (Unconnected|Request)$", PROMPTLY, mark)
    seen.wait_line(r"^Last down reason +: .*\(Details:", PROMPTLY, mark)
    seen.wait_line(r"^Failure reason +: .*refused", 10, mark)
    mark = seen.mark()
    cloud.open()
    agent.ctl("reset")
    seen.wait_line(r"^Cloud connection state +: Established$", PROMPTLY, mark)
    quiet = seen.mark()
    mark = seen.mark()
    assert agent.stop() == 0
    seen.wait_line(r"^hawserctl: no agent is running", PROMPTLY, mark)
    seen.wait_line(r"^Waiting for it\.$", PROMPTLY, mark)
    mark = seen.mark()
    agent.start()
    seen.wait_line(r"^Cloud connection state +: Established$", 20, mark)
    assert seen.count_lines(r"^Waiting for it\.$", quiet) == 1, "one block for the whole absence"
    seen.signal(signal.SIGINT)
    assert seen.wait_end(2) == 0


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_watcher_of_json_gets_one_object_a_change(world, end):
    """[state-1] `state --watch --json`: each line is one object, of the agent or of why there is none; a signal ends it at
    once, also while no agent is there."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    seen = watch(world, agent, "--json")
    seen.wait_line('"cloud_connection_state":"Established"')
    cloud.close_main(1012, "restarting")
    seen.wait_line('"last_down_reason":"restarting"', PROMPTLY)
    assert agent.kill() == -signal.SIGKILL
    seen.wait_line('"code":"not_running"', PROMPTLY)
    seen.signal(end)
    assert seen.wait_end(2) == 0
    objects = [json.loads(line) for line in seen.lines()]
    assert all("error" in each or "cloud_connection_state" in each for each in objects), objects
    assert all(a != b for a, b in zip(objects, objects[1:]))


def test_who_watches_an_agent_that_never_was_is_told(world):
    """[state-1] Without an agent at the beginning there is nothing to wait for: exit 3, with the socket's path."""
    agent = world.agent(1, "", plugins=[])
    seen = watch(world, agent)
    assert seen.wait_end(5 * SLOWNESS) == 3
    assert str(agent.socket) in seen.text()
