"""Servers that have a good certificate and answer badly: rows B30 to B37 of the bad input."""

import base64
import hashlib
import json
import time

import pytest

import processes
from basics import SERVICES
from wire import GUID, Answer

ACCEPTED = {"token": "t", "expires_in": 3600, "binding": "new"}
_JSON = json.dumps(ACCEPTED)


def moor_after(world, cloud, reason, **options):
    """The agent refuses by this reason, stays small, and moors when the server has come to its senses."""
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[], **options).start()
    agent.program.wait_line(f"failed: {reason}")
    agent.wait_established(limit=30)
    assert processes.pss_kib(agent.program.pid) < 64 * 1024
    return agent


def switching(request, first="HTTP/1.1 101 Switching Protocols", leave_out=(), **headers):
    """The bytes of a 101, with these headers in place of the right ones."""
    accept = base64.b64encode(hashlib.sha1(request.headers["sec-websocket-key"].encode() + GUID).digest()).decode()
    right = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept,
             "Sec-WebSocket-Protocol": "hawser.main.v1"}
    right.update({name.replace("_", "-"): value for name, value in headers.items()})
    lines = "".join(f"{name}: {value}\r\n" for name, value in right.items() if name not in leave_out)
    return Answer(raw=f"{first}\r\n{lines}\r\n".encode())


UPGRADES = {
    "200": lambda request: Answer(200, "<html>hello</html>", content_type="text/html"),
    "a wrong accept": lambda request: switching(request, Sec_WebSocket_Accept="s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    "no accept": lambda request: switching(request, leave_out=("Sec-WebSocket-Accept",)),
    "no Upgrade": lambda request: switching(request, leave_out=("Upgrade",)),
    "no Connection": lambda request: switching(request, leave_out=("Connection",)),
    "another Upgrade": lambda request: switching(request, Upgrade="h2c"),
    "HTTP/1.0": lambda request: switching(request, first="HTTP/1.0 101 Switching Protocols"),
    "an extension": lambda request: switching(request, Sec_WebSocket_Extensions="permessage-deflate"),
    "another protocol": lambda request: switching(request, Sec_WebSocket_Protocol="chat"),
    "no protocol": lambda request: switching(request, leave_out=("Sec-WebSocket-Protocol",)),
}


@pytest.mark.parametrize("name", UPGRADES)
def test_a_wrong_upgrade(world, name):
    """[B30] [conn-1] A 101 that is not what RFC 6455 says, or not what was asked for, is `upgrade_refused`."""
    cloud = world.scripted_cloud()
    cloud.next("connect", UPGRADES[name])
    moor_after(world, cloud, "bad_response" if name == "HTTP/1.0" else "upgrade_refused")


def head(*lines, body=b"{}"):
    return Answer(raw="".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", *lines)).encode() + b"\r\n" + body)


HEADERS = {
    "101 fields": head(*(f"X-{number}: 1" for number in range(101)), f"Content-Length: {len(_JSON)}", body=_JSON.encode()),
    "a value of 20 KiB": head("X-Long: " + "y" * 20 * 1024, "Content-Length: 2"),
    "no colon": head("Content-Length: 2", "this is no header"),
    "folded": head("Content-Length: 2", "X-Folded: one", " two"),
    "a space in the name": head("Content-Length: 2", "Bad Name: x"),
    "a NUL": head("Content-Length: 2", "X-Nul: a\0b"),
    "endless": head(*(f"X-{number}: {'z' * 200}" for number in range(4000)), "Content-Length: 2"),
    "two lengths": head("Content-Length: 2", "Content-Length: 3"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_bad_headers(world, name):
    """[B31] Headers without measure or form end the exchange with `bad_response`."""
    cloud = world.scripted_cloud()
    cloud.next("auth", None, HEADERS[name])
    moor_after(world, cloud, "bad_response")


BODIES = {
    "chunked garbage": head("Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n"),
    "a chunk without end": head("Transfer-Encoding: chunked", body=b"fffffffffffffffff\r\n{}"),
    "a length of -1": head("Content-Length: -1"),
    "a length of 2^63": head("Content-Length: 9223372036854775808"),
    "a length of words": head("Content-Length: two"),
    "both lengths": head("Content-Length: 2", "Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"),
    "compressed": head("Content-Encoding: gzip", "Content-Length: 20", body=b"\x1f\x8b" + b"\0" * 18),
}


@pytest.mark.parametrize("name", BODIES)
def test_bad_bodies(world, name):
    """[B32] [B33] A body whose length lies, that is cut, or that is compressed unasked, is no answer."""
    cloud = world.scripted_cloud()
    cloud.next("auth", None, BODIES[name])
    moor_after(world, cloud, "(bad_response|peer_closed)")


def test_a_body_that_is_cut(world):
    """[B32] An answer that ends before its length is no answer: asked again, on a connection of its own."""
    cloud = world.scripted_cloud()
    cloud.next("auth", None, head("Content-Length: 500"))
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    assert cloud.record.count("auth") >= 3 and cloud.record.count("tls") >= 3


JSON_TEXTS = {
    "no JSON": "{token:1}", "an array": "[]", "null": "null", "a number": "7", "1e400": _JSON.replace("3600", "1e400"),
    "a member twice": _JSON[:-1] + ',"token":"other"}', "a member missing": '{"token":"t"}',
    "null for a string": _JSON.replace('"t"', "null"), "cut": _JSON[:-5], "not UTF-8": b'{"token":"\xff\xfe"}',
    "a surrogate": _JSON.replace('"t"', '"\\ud800"'), "a string without measure": _JSON.replace('"t"', '"' + "t" * 65000 + '"'),
    "deep": "[" * 5000 + "]" * 5000, "two documents": _JSON + _JSON, "a NUL behind": _JSON + "\0",
}


@pytest.mark.parametrize("name", JSON_TEXTS)
def test_bad_json(world, name):
    """[B34] What is not the one JSON object that is due is `bad_response`."""
    cloud = world.scripted_cloud()
    cloud.next("auth", None, Answer(200, JSON_TEXTS[name]))
    moor_after(world, cloud, "bad_response")


@pytest.mark.parametrize("token", ["", "x" * 60000, "a\nb: c", "a\r\nX-Injected: 1", "with space", "nul\0", "ümlaut"])
def test_a_bad_token(world, token):
    """[B35] A token that is empty, without measure, or no token of HTTP is refused and never put into a header."""
    cloud = world.scripted_cloud()
    cloud.next("auth", None, Answer(200, {**ACCEPTED, "token": token}))
    moor_after(world, cloud, "bad_response")
    assert not any("x-injected" in seen.data.get("headers", {}) for seen in cloud.record.all())


def moored(world):
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    agent.wait_ready()
    return cloud, agent


def grant(cloud, **changes):
    granted, _ = cloud.grants(cloud.record.all("register")[0].data["body"]["services"])
    return [{**each, **changes} for each in granted]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://localhost/x", "ws://localhost/x", "wss://user@localhost/x",
                                 "wss://localhost:0/x", "wss://localhost:65536/x", "wss:///x", "x" * 5000])
def test_grants_with_bad_urls(world, url):
    """[B36] A grant whose URL is no plain wss ends the main connection by `policy`, and is never dialled."""
    cloud, agent = moored(world)
    cloud.send_main({"type": "subconnection_update", "grants": grant(cloud, url=url)})
    assert cloud.record.wait("main:end").data["code"] == 1008
    cloud.record.wait("connect", 2)
    agent.wait_ready(limit=30)


def test_a_thousand_grants(world):
    """[B36] A list of a thousand grants is refused, or taken for what was offered; the agent stays as it was."""
    cloud, agent = moored(world)
    many = [{**grant(cloud)[0], "service": f"service_{number}"} for number in range(1000)]
    cloud.background.run(cloud.main.socket.send_json({"type": "subconnection_update", "grants": many[:400]}))
    agent.must_run()
    time.sleep(0.5)
    agent.ctl("reset")
    agent.wait_ready(limit=30)
    assert not [seen for seen in cloud.record.all("dial:") if seen.step.startswith("dial:service_")]


def test_answers_to_questions_that_were_not_asked(world):
    """[B37] Answers with foreign ids, and messages about services of another, change nothing."""
    cloud, agent = moored(world)
    for message in ({"type": "subconnection_list", "id": "never-asked", "grants": [], "refused": []},
                    {"type": "report_ack", "id": "never-sent"}, {"type": "keepalive_ack", "seq": 999},
                    {"type": "unbind_result", "id": "never-asked", "ok": True},
                    {"type": "subconnection_revoke", "service": "not_mine", "reason": "plugin_blocked"}):
        cloud.send_main(message)
    cloud.send_main({"type": "command", "id": "after", "name": "state", "args": {}})
    cloud.record.wait("main:command_result")
    state = agent.wait_ready()
    assert cloud.record.count("main:end") == 0 and state["serial"] == agent.serial
    for service in SERVICES:
        assert cloud.record.count(f"dial:{service}") == 1
