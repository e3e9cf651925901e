"""Keepalives, pings, and the closes of the main connection."""

import pytest

from basics import SERVICES
from program import SLOWNESS

INTERVAL_S = 10  # the least that may be set


def moored(world, cloud, **options):
    agent = world.agent(cloud.auth_port, world.authority.file, keepalive_s=INTERVAL_S, keepalive_count=1, **options)
    agent.start()
    return agent


def steps_after(cloud, step, number=1):
    steps = [each for each in cloud.record.steps() if each != "tls"]
    at = [index for index, each in enumerate(steps) if each == step][number - 1]
    return steps[at + 1:]


def test_unanswered_keepalives_lead_to_registration(world):
    """[conn-4] With one unanswered keepalive allowed, the agent closes 4008 and registers again; it does not
    authenticate."""
    cloud = world.scripted_cloud()
    cloud.keepalive_acks = False
    agent = moored(world, cloud)
    agent.wait_ready()
    end = cloud.record.wait("main:end", limit=2 * INTERVAL_S + 3)
    assert (end.data["code"], end.data["reason"]) == (4008, "keepalive_expired")
    cloud.keepalive_acks = True
    cloud.record.wait("connect", 2)
    after = steps_after(cloud, "main:end")
    assert "auth" not in after and after.index("register") < after.index("connect"), after
    state = agent.wait_established()
    assert "keepalive" in state["last_down_reason"]
    for service in SERVICES:
        assert cloud.record.count(f"dial:{service}") == 1, "subconnections stay while the main connection comes back"


def test_a_void_token_after_that_leads_to_authentication(world):
    """[conn-4] Only when that registration answers 401 does the agent authenticate again."""
    cloud = world.scripted_cloud()
    cloud.keepalive_acks = False
    agent = moored(world, cloud, plugins=[])
    agent.wait_established()
    cloud.forget_tokens()
    cloud.record.wait("main:end", limit=2 * INTERVAL_S + 3)
    cloud.keepalive_acks = True
    cloud.record.wait("connect", 2)
    after = steps_after(cloud, "main:end")
    assert after[:2] == ["register", "auth"], after
    agent.wait_established()


def test_answered_keepalives_keep_the_connection(world):
    """[conn-4] Keepalives come every interval, numbered from 1, and an answered one keeps the connection."""
    cloud = world.scripted_cloud()
    agent = moored(world, cloud, plugins=[])
    agent.wait_established()
    times = [cloud.record.wait("main:keepalive", number, limit=INTERVAL_S + 2).at for number in (1, 2, 3)]
    for earlier, later in zip(times, times[1:]):
        assert abs(later - earlier - INTERVAL_S) < 0.5 * SLOWNESS, times
    assert [seen.data["body"]["seq"] for seen in cloud.record.all("main:keepalive")][:3] == [1, 2, 3]
    assert cloud.record.count("main:end") == 0


def test_a_silent_cloud_is_left_after_the_ping(world):
    """[conn-21] When no byte comes for the ping interval and 15 s, the agent closes as `hang_up` and registers."""
    cloud = world.scripted_cloud()
    cloud.mute = True
    agent = world.agent(cloud.auth_port, world.authority.file, ping_s=5, plugins=[]).start()
    connected = cloud.record.wait("connect").at
    end = cloud.record.wait("main:end", limit=25)
    cloud.mute = False
    assert (end.data["code"], end.data["reason"]) == (4008, "hang_up")
    assert 19.5 <= end.at - connected <= 22 * SLOWNESS, end.at - connected
    cloud.record.wait("connect", 2)
    assert "auth" not in steps_after(cloud, "main:end")
    agent.wait_established()


@pytest.mark.parametrize("code, first", [(1000, "register"), (1001, "register"), (1011, "register"), (1012, "register"),
                                         (3999, "register"), (4001, "auth")])
def test_each_close_leads_to_its_step(world, code, first):
    """[conn-1] After each close code the agent begins with the step that the protocol names, and comes back."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    cloud.record.wait("main:subconnection_request")
    cloud.close_main(code, "said the scripted cloud")
    cloud.record.wait("connect", 2)
    assert steps_after(cloud, "main:end")[0] == first
    agent.wait_established()
    assert cloud.record.count("connect") == 2


def test_an_end_without_a_close_leads_to_registration(world):
    """[conn-1] A main connection that ends without a Close frame is registered anew. [F45]"""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    cloud.record.wait("main:subconnection_request")
    cloud.drop_all()
    cloud.record.wait("connect", 2)
    assert "auth" not in steps_after(cloud, "main:end")
    agent.wait_established()


def test_a_command_to_reconnect_is_answered_and_done(world):
    """[conn-1] The cloud's command `reconnect` is answered, then the agent leaves with 1000 and comes back."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    cloud.send_main({"type": "command", "id": "c-1", "name": "reconnect", "args": {}})
    result = cloud.record.wait("main:command_result").data["body"]
    assert (result["id"], result["ok"]) == ("c-1", True)
    assert cloud.record.wait("main:end").data["code"] == 1000
    cloud.record.wait("connect", 2)
    agent.wait_established()


def test_an_unknown_command_is_refused_by_name(world):
    """[conn-1] A command that the agent does not know is answered `unknown_command`; the connection goes on."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    cloud.send_main({"type": "command", "id": "c-2", "name": "make_coffee", "args": {}})
    result = cloud.record.wait("main:command_result").data["body"]
    assert result["ok"] is False and result["error"]["code"] == "unknown_command"
    cloud.send_main({"type": "something_new", "id": "x"})
    cloud.send_main({"type": "command", "id": "c-3", "name": "state", "args": {}})
    assert cloud.record.wait("main:command_result", 2).data["body"]["result"]["serial"] == agent.serial
    assert cloud.record.count("main:end") == 0


def test_a_spread_is_kept_after_a_loss(world):
    """[conn-1] After a loss the first request comes within the spread that the registration asked for."""
    cloud = world.scripted_cloud()
    cloud.spread_s = 3
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    cloud.close_main(1012, "restarting")
    end = cloud.record.wait("main:end").at
    registered = cloud.record.wait("register", 2).at
    assert registered - end <= 3 + 0.5 * SLOWNESS
    agent.wait_established()
