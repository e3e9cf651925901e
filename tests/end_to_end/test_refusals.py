"""What the agent does with a cloud that refuses, stalls or answers nonsense."""

import pytest

from basics import SERIAL
from program import SLOWNESS
from wire import DROP, STALL, Answer, refusal

FIRST_WAIT_S = (1, 2.2)  # random(1 s, 1 s * 2^n) after the first failed round, and what the attempt itself takes


def mooring(world, cloud, **options):
    return world.agent(cloud.auth_port, world.authority.file, plugins=[], **options).start()


def waits_between(cloud, step):
    times = [seen.at for seen in cloud.record.all(step)]
    return [later - earlier for earlier, later in zip(times, times[1:])]


def test_an_unknown_serial_passes_once_it_is_added(world):
    """[conn-2] A serial that was not added is refused, `state` shows why, and it passes once it was added."""
    cloud = world.cloud().start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=[]).start()
    state = agent.wait_failure("unknown_serial")
    assert state["cloud_connection_state"] != "Established"
    assert 60 - 5 <= state["next_attempt_in_s"] <= 300, "a 403 is asked again after 1 to 5 minutes"
    assert "not added" in next(line for line in agent.ctl("state").stdout.splitlines() if line.startswith("Failure reason"))
    cloud.add(SERIAL)
    agent.ctl("reset")
    agent.wait_established()


def test_a_refused_serial_is_tried_again_by_itself(world):
    """[conn-2] A refusal that is no 403 is tried again with backoff until the cloud lets the device in."""
    cloud = world.scripted_cloud()
    cloud.next("auth", None, *[refusal(500, "server_error")] * 3)
    agent = mooring(world, cloud)
    agent.wait_failure("bad_response")
    agent.wait_established(limit=30)
    waits = waits_between(cloud, "auth")[1:]
    assert all(wait >= 0.95 for wait in waits[:3]), waits


NONSENSE = {
    "no JSON": Answer(200, "never heard of JSON", content_type="text/plain"),
    "an array": Answer(200, "[1,2]"),
    "wrong types": Answer(200, {"token": 7, "expires_in": "soon", "binding": []}),
    "a member missing": Answer(200, {"expires_in": 3600}),
    "a member twice": Answer(200, '{"token":"a","token":"b","expires_in":3600,"binding":"new"}'),
    "70 KiB": Answer(200, {"token": "t", "expires_in": 3600, "binding": "new", "padding": "x" * 70 * 1024}),
    "an HTML error page": Answer(500, "<html><body><h1>It works!</h1></body></html>", content_type="text/html"),
    "an HTML page with 200": Answer(200, "<html><body>captive portal</body></html>", content_type="text/html"),
    "a redirect": Answer(302, "", {"Location": "https://localhost:1/elsewhere"}),
    "a permanent redirect": Answer(308, "", {"Location": "http://localhost:1/plain"}),
    "deep JSON": Answer(200, '{"a":' * 200 + "1" + "}" * 200),
    "HTTP/1.0": Answer(raw=b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
    "no HTTP": Answer(raw=b"220 smtp.example.com ESMTP ready\r\n\r\n"),
    "a length that lies": Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"),
    "endless headers": Answer(raw=b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"y" * 40000 + b"\r\n\r\n"),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_from_authentication(world, name):
    """[conn-2] Nonsense for an answer is `bad_response` with its beginning, waited for, and then the agent connects."""
    cloud = world.scripted_cloud()
    answer = NONSENSE[name]
    cloud.next("auth", None, answer)  # the first asks for the nonce
    agent = mooring(world, cloud)
    cloud.record.wait("auth", 2)
    state = agent.wait_failure("bad_response")
    agent.wait_established()
    [_, wait, *_] = waits_between(cloud, "auth")
    assert 0.95 <= wait <= FIRST_WAIT_S[1] * SLOWNESS, wait
    sight = answer.encode().decode("latin-1").split("\r\n\r\n")[-1][:40]
    if name in ("no JSON", "an HTML error page", "an HTML page with 200"):
        assert sight in str(state) + agent.program.text(), f"the beginning of the answer is not shown: {sight}"


@pytest.mark.parametrize("body", ['{"url":5}', "{}", "no JSON", '{"url":"wss://localhost","reconnect_spread_s":-1}',
                                  '{"url":"wss://localhost:99999/x","reconnect_spread_s":2}'])
def test_nonsense_from_registration(world, body):
    """[conn-1] A nonsense registration is `bad_response`; a later good one connects."""
    cloud = world.scripted_cloud()
    cloud.next("register", Answer(200, body))
    agent = mooring(world, cloud)
    agent.wait_failure("bad_response")
    agent.wait_established()
    assert cloud.record.count("register") >= 2


@pytest.mark.parametrize("answer", [Answer(200, "hello"), Answer(500, "<html>"), Answer(301, "", {"Location": "wss://x"}),
                                    Answer(raw=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                               b"Connection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n")],
                         ids=["200", "500", "301", "a wrong accept"])
def test_a_refused_upgrade(world, answer):
    """[conn-1] Anything but a right 101 is `upgrade_refused`; a later good one connects."""
    cloud = world.scripted_cloud()
    cloud.next("connect", answer)
    agent = mooring(world, cloud)
    agent.wait_failure("upgrade_refused")
    agent.wait_established()


@pytest.mark.parametrize("status, again", [(401, "auth"), (404, "register"), (410, "register")])
def test_an_upgrade_that_asks_for_an_earlier_step(world, status, again):
    """[conn-1] At the upgrade, 401 authenticates again and 404 or 410 registers again, at once and once."""
    cloud = world.scripted_cloud()
    cloud.next("connect", refusal(status, "token_expired" if status == 401 else "not_found"))
    agent = mooring(world, cloud)
    agent.wait_established()
    steps = [step for step in cloud.record.steps() if step != "tls"]
    assert steps[steps.index("connect") + 1] == again, steps


def test_retry_after_is_honoured(world):
    """[conn-2] A 503 with Retry-After is asked again after that time and at most 20 % more."""
    cloud = world.scripted_cloud()
    cloud.next("auth", None, refusal(503, "unavailable", Retry_After=3))
    agent = mooring(world, cloud)
    agent.wait_established()
    wait = waits_between(cloud, "auth")[1]
    assert 2.9 <= wait <= 3.6 + 2 * SLOWNESS, wait


def test_a_device_that_is_blocked_waits_minutes(world):
    """[conn-2] A 403 shows its reason and is asked again only after 1 to 5 minutes."""
    cloud = world.scripted_cloud()
    cloud.next("auth", None, refusal(403, "device_blocked"))
    agent = mooring(world, cloud)
    state = agent.wait_failure("device_blocked")
    assert 55 <= state["next_attempt_in_s"] <= 301
    agent.ctl("reset")
    agent.wait_established()


@pytest.mark.parametrize("step", ["auth", "register", "connect"])
def test_a_stalled_answer_ends_at_its_limit(world, step):
    """[conn-21] An HTTP answer that does not come is given up after 15 s, at each step, and tried again."""
    cloud = world.scripted_cloud()
    cloud.next(step, STALL)
    agent = mooring(world, cloud)
    asked = cloud.record.wait(step).at
    left = cloud.record.wait(f"{step}:left", limit=20).at
    assert 14.5 <= left - asked <= 16.5, left - asked
    agent.wait_failure("http_timeout")
    agent.wait_established()


def test_a_stalled_handshake_ends_at_its_limit(world):
    """[conn-21] A TLS handshake that comes one byte a second is given up after 10 s. [F21]"""
    cloud = world.scripted_cloud()
    proxy = world.proxy(cloud.auth_port)
    proxy.slice_bytes, proxy.delay_s = 1, 1.0
    agent = world.agent(proxy.port, world.authority.file, plugins=[]).start()
    agent.wait_state(lambda state: state["failure_reason"], limit=15, what="a failure of the handshake")
    assert 5 <= proxy.to_client <= 13, "one byte came a second, until the limit of 10 s"
    assert cloud.record.count("auth") == 0


def test_an_answer_that_ends_the_connection(world):
    """[conn-2] A connection that ends instead of an answer is tried again."""
    cloud = world.scripted_cloud()
    cloud.next("auth", DROP, None, DROP)
    agent = mooring(world, cloud)
    agent.wait_established(limit=30)


def test_a_service_the_cloud_refuses_leaves_the_others_alone(world):
    """[conn-1] A service that the cloud does not offer is shown as refused with its reason; the others are ready."""
    cloud = world.scripted_cloud()
    cloud.refused = {"log_upload": "not_enabled_for_site"}
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    state = agent.wait_ready(("monitoring", "config_push"))
    state = agent.wait_state(lambda state: agent.subconnection("log_upload", state).get("state") == "refused")
    assert agent.subconnection("log_upload", state)["failure_reason"] == "not_enabled_for_site"


def test_nothing_listens(world):
    """[conn-2] A port on which nothing listens is `connect_refused`; the agent goes on trying."""
    from basics import free_port
    agent = world.agent(free_port(), world.authority.file, plugins=[]).start()
    agent.wait_failure("connect_refused")
    agent.must_run()
