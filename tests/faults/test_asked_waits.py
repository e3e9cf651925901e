"""What each close of the cloud asks for, held against the real agent: how long it waits, what it says of it, what ends
the wait and what does not, and which request comes first when it is over."""

import time

import pytest

from program import SLOWNESS
from rows import close_into_a_long_spread, moored
from test_changes import change_link, change_route

SPREAD_S = 300   # a wait that is cut to what the cloud asked for can be told from one that is not
LOCAL_S = 2      # what is left of a spread after a change of the network (conn-19)


def wait_of(agent, least, most, reason):
    """The state in which the agent waits for that long, with that reason."""
    state = agent.wait_state(lambda state: state["next_attempt_in_s"] is not None, what="a wait")
    assert least - 3 * SLOWNESS <= state["next_attempt_in_s"] <= most, (state["next_attempt_in_s"], least, most)
    assert state["last_down_reason"] == reason and state["cloud_connection_state"] == "Unconnected", state
    return state


def change_network(lab, agent, change):
    """The link or route changes, and the agent has noticed."""
    mark = agent.program.mark()
    change(lab, agent)
    agent.program.wait_line("network: ", 5, mark)


@pytest.mark.parametrize("change", [change_link, change_route])
@pytest.mark.parametrize("code, reason, asked, first",
                         [(1013, "try_again", 30, "register"), (4003, "device_removed", 900, "auth"),
                          (4009, "replaced", 60, "register"), (4010, "unbound", 900, "auth")])
def test_what_a_close_asks_for_outlasts_a_change_of_the_network(lab, code, reason, asked, first, change):
    """[F53] [conn-20] 1013, 4003, 4009, 4010: the wait is what the close asks for and the spread, `state` names the reason;
    a change of the network takes the spread away and nothing of the rest; `reset` ends it, and the first request is the
    one that protocol §4 says."""
    cloud = lab.scripted_cloud()
    cloud.spread_s = SPREAD_S
    cloud, agent = moored(lab, cloud)
    cloud.close_main(code, reason)
    wait_of(agent, asked, asked + SPREAD_S, reason)
    connections = cloud.record.count("tls")
    change_network(lab, agent, change)
    state = agent.wait_state(lambda state: state["next_attempt_in_s"] <= asked + LOCAL_S, 5, "the spread is gone")
    assert state["next_attempt_in_s"] >= asked - 10 * SLOWNESS, state["next_attempt_in_s"]
    time.sleep(LOCAL_S + 1)  # as long as a redial after a change of the network may wait
    assert cloud.record.count("tls") == connections, cloud.record.story()
    steps = len(cloud.record.steps())
    agent.ctl("reset")
    agent.wait_established()
    requests = [step for step in cloud.record.steps()[steps:] if step in ("auth", "register", "connect")]
    assert requests[0] == first and requests[-2:] == ["register", "connect"], requests


@pytest.mark.parametrize("change", [change_link, change_route])
def test_a_drain_outlasts_a_change_of_the_network(lab, change):
    """[F53] [conn-20] A drain: the agent leaves with 4011, says `drained`, and registers no sooner than it was asked to,
    also when the network changes; `reset` ends the wait."""
    cloud, agent = moored(lab)
    cloud.send_main({"type": "drain", "retry_after_s": 600, "spread_s": 0})
    assert cloud.record.wait("main:end").data["code"] == 4011
    wait_of(agent, 600, 601, "drained")
    connections = cloud.record.count("tls")
    change_network(lab, agent, change)
    time.sleep(LOCAL_S + 1)  # as above
    assert cloud.record.count("tls") == connections, cloud.record.story()
    assert agent.state()["next_attempt_in_s"] >= 580
    agent.ctl("reset")
    agent.wait_established()


@pytest.mark.parametrize("change", [change_link, change_route])
@pytest.mark.parametrize("code, reason", [(1001, "going_away"), (1012, "restarting"), (4000, "normal")])
def test_a_change_of_the_network_ends_a_spread(lab, code, reason, change):
    """[F53] [conn-20] [conn-19] A close that only says goodbye: the wait is the spread alone, and a change of the network
    leaves 2 s of it at most. A code that nobody named is treated alike."""
    cloud = lab.scripted_cloud()
    cloud.spread_s = 3600
    cloud, agent = moored(lab, cloud)
    count = close_into_a_long_spread(cloud, agent, code, reason, 2 * LOCAL_S)
    change_network(lab, agent, change)
    began = time.monotonic()
    cloud.record.wait("connect", count + 1, 10 * SLOWNESS)
    assert time.monotonic() - began <= (LOCAL_S + 1.5) * SLOWNESS
    requests = [step for step in cloud.record.steps() if step in ("auth", "register", "connect")]
    assert requests[-2:] == ["register", "connect"] and requests.count("auth") == 2, requests
