"""What servers ask for and answer: rows F52 to F55 of the fault matrix, D. Cloud."""

import time

import pytest

from lab import AUTH_PORT
from middleboxes import nginx
from namespaces import CLOUD_ADDRESS, CLOUD_NAME
from program import SLOWNESS
from rows import moored
from wire import Answer, refusal

HTTP_DATE = "Wed, 21 Oct 2099 07:28:00 GMT"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value, least, most", [("5", 4, 6), ("0", 0, 2), ("-1", 0, 2), ("1000000000", 3590, 4321),
                                                ("1e9", 0, 2), (HTTP_DATE, 0, 2), ("soon", 0, 2), ("", 0, 2),
                                                ("9" * 400, 0, 4321)])
def test_retry_after(world, status, value, least, most):
    """[F52] [conn-19] Retry-After in seconds is kept between 1 s and 1 h and 20 % more; any other form counts as
    none."""
    cloud = world.scripted_cloud()
    code = "unavailable" if status == 503 else "too_many_requests"
    cloud.next("auth", None, refusal(status, code, Retry_After=value))
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.program.wait_line("Waiting, failed:")
    state = agent.state()
    if most > 60:
        assert least <= state["next_attempt_in_s"] <= most
        agent.ctl("reset")
    agent.wait_established()
    first, second = [seen.at for seen in cloud.record.all("auth")][1:3]
    if most <= 60:
        assert max(0.9, least) <= second - first <= most + SLOWNESS, second - first


@pytest.mark.parametrize("code, least, most", [(1013, 29, 33), (4009, 58, 63), (4003, 890, 903), (4010, 890, 903)])
def test_a_close_that_asks_for_time(world, code, least, most):
    """[F53] [conn-20] A close asks for a wait of seconds or minutes: kept, shown, ended by `reset` only."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    cloud.record.wait("main:subconnection_request")
    cloud.close_main(code, "\x1b[31mred\nforged: line")
    cloud.record.wait("main:end")
    state = agent.wait_state(lambda state: state["next_attempt_in_s"] is not None, what="a wait")
    assert least <= state["next_attempt_in_s"] <= most, state["next_attempt_in_s"]
    assert "\x1b" not in agent.program.text() and not any(line.startswith("forged") for line in agent.program.lines())
    agent.ctl("reset")
    agent.wait_established()


def test_a_drain_is_kept(world):
    """[F53] [conn-19] A drain: the agent leaves with 4011 within its spread and registers no sooner than it was asked
    to."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    cloud.send_main({"type": "drain", "retry_after_s": 4, "spread_s": 1})
    end = cloud.record.wait("main:end", limit=4 * SLOWNESS)
    assert end.data["code"] == 4011
    again = cloud.record.wait("register", 2)
    assert again.at - end.at >= 3.9
    agent.wait_established()


@pytest.mark.parametrize("step", ["auth", "register", "connect"])
@pytest.mark.parametrize("status, scheme", [(301, "https"), (302, "http"), (307, "https"), (308, "http")])
def test_a_redirect_is_not_followed(lab, step, status, scheme):
    """[F54] A redirect, to another host or to plain HTTP, is followed at no step; nothing arrives there."""
    elsewhere = lab.scripted_cloud(name="s1.test")
    cloud = lab.scripted_cloud()
    cloud.always(step, Answer(status, "", {"Location": f"{scheme}://s1.test:{AUTH_PORT}/hawser/v1/{step}"}))
    agent = lab.agent(plugins=[]).start()
    agent.wait_failure("upgrade_refused" if step == "connect" else "bad_response")
    assert str(status) in str(agent.state()["failure_detail"]) + agent.program.text()
    cloud.record.wait(step, 2)
    assert not elsewhere.record.all()


@pytest.mark.parametrize("status", [200, 500])
def test_a_web_server_that_is_no_cloud(lab, status):
    """[F55] A web server stands in the cloud's place: the state says which answer it gave, and nothing loops."""
    chain, key = lab.authority.issue([CLOUD_NAME])
    nginx(lab, f"""
      server {{
        listen {CLOUD_ADDRESS}:{AUTH_PORT} ssl; ssl_certificate {chain}; ssl_certificate_key {key};
        default_type text/html;
        location / {{ return {status} '<html><body>Welcome to the intranet</body></html>'; }}
      }}""")
    agent = lab.agent(plugins=[]).start()
    state = agent.wait_failure("bad_response")
    assert str(status) in state["failure_detail"] and "html" in state["failure_detail"].lower(), state["failure_detail"]
    agent.must_run()
