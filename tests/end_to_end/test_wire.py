"""Frames, nonces and proofs at their edges."""

import http.client
import json
import ssl

import proof
from basics import SERIAL, SERVICES
from cryptography.hazmat.primitives.asymmetric import ec
from wire import PING, TEXT, frame


def test_frames_from_the_cloud_cut_at_every_byte(world):
    """[conn-1] Every frame of the cloud arrives one byte at a time, each in a TLS record of its own. [F24]"""
    cloud = world.scripted_cloud()
    cloud.slice_bytes = 1
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    agent.wait_ready(limit=30)
    cloud.record.wait("data:monitoring", 3)
    cloud.send_main({"type": "command", "id": "sliced", "name": "state", "args": {}})
    assert cloud.record.wait("main:command_result").data["body"]["ok"] is True
    agent.wait_state(lambda state: (agent.subconnection("monitoring", state)["acked_seq"] or 0) >= 3,
                     what="acknowledgements that came byte by byte")


def text(message, cut=None):
    """A text message as frames: one, or two that are cut at this byte."""
    data = json.dumps(message).encode()
    if cut is None:
        return frame(TEXT, data)
    return frame(TEXT, data[:cut], final=False) + frame(0, data[cut:])


def test_all_frames_in_one_segment(world):
    """[conn-1] Frames that arrive in one segment with the 101, fragments with a ping between them too, all count. [F24]
    [F25]"""
    cloud = world.scripted_cloud()
    commands = [{"type": "command", "id": f"glued-{number}", "name": "state", "args": {}} for number in range(3)]
    cloud.early = (text(commands[0]) + frame(PING, b"one") + text(commands[1], cut=5) + frame(PING, b"two") +
                   text(commands[2]))
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    cloud.record.wait("main:command_result", 3)
    ids = [seen.data["body"]["id"] for seen in cloud.record.all("main:command_result")]
    assert ids == ["glued-0", "glued-1", "glued-2"]
    agent.wait_established()
    assert cloud.record.count("main:end") == 0


def test_every_cut_of_a_fragmented_message(world):
    """[conn-1] A command cut into two frames at each of its bytes, with a ping in between, arrives whole each time.
    [F24]"""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    sample = {"type": "command", "id": "cut-00", "name": "no_such", "args": {"text": "Grüße"}}
    size = len(json.dumps(sample).encode())
    burst = b""
    for cut in range(size + 1):
        data = json.dumps({**sample, "id": f"cut-{cut:02}"}).encode()
        burst += frame(TEXT, data[:cut], final=False) + frame(PING, b"between") + frame(0, data[cut:])
    world.background.run(cloud.main.socket.send_raw(burst))
    cloud.record.wait("main:command_result", size + 1)
    ids = [seen.data["body"]["id"] for seen in cloud.record.all("main:command_result")]
    assert ids == [f"cut-{cut:02}" for cut in range(size + 1)]


def test_segments_cut_at_every_byte_both_ways(world):
    """[conn-1] Every TCP segment between the agent and hawser-cloud carries one byte, in both directions. [F24]"""
    cloud = world.cloud(serials=[SERIAL])
    auth, connections = world.proxy(cloud.auth_port), world.proxy(cloud.port)
    auth.slice_bytes = connections.slice_bytes = 1
    cloud.advertise(connections.port)
    cloud.start()
    agent = world.agent(auth.port, cloud.ca_file).start()
    agent.wait_ready(limit=60)
    assert auth.connections and connections.connections >= 4, "the traffic did not pass the proxies"
    agent.wait_state(lambda state: all((agent.subconnection(service, state)["acked_seq"] or 0) >= 1
                                       for service in ("monitoring",)), limit=30, what="an acknowledgement")


def test_a_connection_that_is_cut_while_frames_pass(world):
    """[conn-1] Connections are reset again and again while frames pass; nothing is lost or stored twice, all return."""
    cloud = world.scripted_cloud()
    proxy = world.proxy(cloud.service_port)
    cloud.service_port = proxy.port
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    agent.wait_ready()
    for number in (3, 5, 7):
        cloud.record.wait("data:monitoring", number, limit=40)
        proxy.cut()
    agent.wait_ready(limit=40)
    cloud.record.wait("data:monitoring", 9, limit=40)
    assert cloud.record.count("hello:monitoring") >= 4


class RawDevice:
    """Authentication by hand against hawser-cloud, to do what no agent would."""

    def __init__(self, cloud):
        context = ssl.create_default_context(cafile=str(cloud.ca_file))
        self.connection = http.client.HTTPSConnection("localhost", cloud.auth_port, context=context, timeout=10)
        self.key = ec.generate_private_key(ec.SECP256R1())

    def post(self, path, body, token=""):
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.connection.request("POST", path, body if isinstance(body, (str, bytes)) else json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}, answer.getheader("Hawser-Nonce")

    def auth(self, nonce=None, serial=SERIAL, **options):
        body = {"serial": serial, "model": "HW-1", "agent": "raw/1"}
        if nonce:
            body["proof"] = proof.make(self.key, options.pop("signed_serial", serial), options.pop("aud", "localhost"),
                                       nonce, **options)
        return self.post("/hawser/v1/auth", body)

    def close(self):
        self.connection.close()


def refused(answer, status, code):
    assert answer[0] == status and answer[1]["error"]["code"] == code, answer
    assert answer[2], "Hawser-Nonce stands on every answer"
    return answer[2]


def test_a_nonce_serves_once(world):
    """[conn-2] [F62] A proof that was heard and is sent again is refused with 401, for its nonce serves once; a fresh
    one passes."""
    cloud = world.cloud(serials=[SERIAL]).start()
    device = RawDevice(cloud)
    nonce = refused(device.auth(), 401, "nonce_required")
    status, body, fresh = device.auth(nonce)
    assert status == 200 and body["binding"] == "new" and body["token"] and body["expires_in"] > 0
    fresh = refused(device.auth(nonce), 401, "nonce_required")
    status, body, fresh = device.auth(fresh)
    assert status == 200 and body["binding"] == "existing"
    device.close()


def test_a_nonce_is_spent_by_a_refused_proof_too(world):
    """[conn-2] A nonce is spent by the first proof that shows it, whatever the result."""
    cloud = world.cloud(serials=[SERIAL]).start()
    device = RawDevice(cloud)
    nonce = refused(device.auth(), 401, "nonce_required")
    refused(device.auth(nonce, serial="HW-NEVER-ADDED"), 403, "unknown_serial")
    refused(device.auth(nonce), 401, "nonce_required")
    device.close()


def test_proofs_that_do_not_hold(world):
    """[conn-2] A proof for another host, serial, algorithm or key, or with another's signature, is refused by name."""
    cloud = world.cloud(serials=[SERIAL]).start()
    device = RawDevice(cloud)
    nonce = refused(device.auth(), 401, "nonce_required")
    nonce = refused(device.auth(nonce, aud="evil.test"), 403, "proof_invalid")
    nonce = refused(device.auth(nonce, signed_serial="HW-OTHER"), 403, "proof_invalid")
    for header in ({"alg": "none"}, {"alg": "HS256"}, {"alg": "ES256", "jwk": {}}, {"alg": "ES256", "kid": "1"}):
        nonce = refused(device.auth(nonce, header=header), 403, "proof_invalid")
    good = proof.make(device.key, SERIAL, "localhost", nonce)
    other = proof.make(ec.generate_private_key(ec.SECP256R1()), SERIAL, "localhost", nonce)
    mixed = ".".join([*good.split(".")[:2], other.split(".")[2]])
    body = {"serial": SERIAL, "model": "HW-1", "agent": "raw/1", "proof": mixed}
    nonce = refused(device.post("/hawser/v1/auth", body), 403, "proof_invalid")
    status, _, nonce = device.auth(nonce)
    assert status == 200
    device.key = ec.generate_private_key(ec.SECP256R1())
    refused(device.auth(nonce), 403, "key_mismatch")
    device.close()


def test_bad_requests_get_an_answer_that_says_so(world):
    """[cloud-1] hawser-cloud answers broken requests with an error object and goes on serving."""
    cloud = world.cloud(serials=[SERIAL]).start()
    device = RawDevice(cloud)
    for body in ("no JSON", "[]", '{"serial":5}', '{"serial":"A","serial":"B"}', '{"serial":"' + "x" * 65 + '"}'):
        status, answer, _ = device.post("/hawser/v1/auth", body)
        assert status == 400 and answer["error"]["code"] == "bad_request", (body, status, answer)
    refused(device.post("/hawser/v1/register", {}, token="invented"), 401, "token_expired")
    refused(device.post("/hawser/v1/register", {}), 401, "token_expired")
    device.close()
    device = RawDevice(cloud)
    status, answer, _ = device.post("/hawser/v1/auth", "x" * 70 * 1024)
    assert status == 413 and answer["error"]["code"] == "body_too_large"
    device.close()
    device = RawDevice(cloud)
    refused(device.auth(), 401, "nonce_required")
    device.close()


def test_updates_touch_only_what_they_concern(world):
    """[conn-1] An update leaves open subconnections alone, except one that it no longer names; a revoke ends its own
    only."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    agent.wait_ready()
    rows = cloud.record.all("register")[0].data["body"]["services"]
    granted, _ = cloud.grants(rows)
    cloud.send_main({"type": "subconnection_update", "grants": granted})
    cloud.send_main({"type": "command", "id": "after", "name": "state", "args": {}})
    cloud.record.wait("main:command_result")
    for service in SERVICES:
        assert cloud.record.count(f"end:{service}") == 0
    granted = [grant for grant in granted if grant["service"] != "monitoring"]
    cloud.send_main({"type": "subconnection_update", "grants": granted})
    assert cloud.record.wait("end:monitoring", limit=6).data["code"] == 4012
    assert cloud.record.count("end:log_upload") == 0
    cloud.send_main({"type": "subconnection_revoke", "service": "log_upload", "reason": "plugin_blocked"})
    assert cloud.record.wait("end:log_upload", limit=6).data["code"] == 4012
    agent.wait_state(lambda state: agent.subconnection("log_upload", state)["state"] in ("revoked", "waiting_for_grant"))
