"""hawser-cloud by itself, against a device that is written from sdk/protocol.md alone. HAWSER_CLOUD names the binary."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import signal
import ssl
import struct
import subprocess
import sys
import time
import uuid

import http.client
import pathlib
import jsonschema
import pytest
import websockets
from websockets.legacy.client import WebSocketClientProtocol, connect
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "end_to_end"))
import loopback  # noqa: E402, F401, for its effect

PROGRAM = os.environ["HAWSER_CLOUD"]
SLOW = float(os.environ.get("HAWSER_SLOWNESS", "1"))
LIMIT = 10 * SLOW
PROTOCOLS = {"monitoring": "hawser.monitoring.v1", "log_upload": "hawser.log.v1", "config_push": "hawser.config.v1"}
SERIAL = "HW-0001"


SCHEMAS = {path.name.split(".")[0]: jsonschema.Draft202012Validator(json.loads(path.read_text()),
                                                                   format_checker=jsonschema.FormatChecker())
           for path in (pathlib.Path(__file__).parent.parent / "sdk" / "protocol").glob("*.schema.json")}
FROM_CLOUD = {"keepalive_ack", "subconnection_list", "report_ack", "unbind_result", "subconnection_update", "site_profile",
              "subconnection_revoke", "command", "drain", "welcome", "ack", "nack", "skipped", "set_interval", "apply", "pull"}


def check(name, message):
    """That a message is what its schema says; the sentence of a failure names both."""
    faults = [f"{name}: {fault.json_path}: {fault.message}" for fault in SCHEMAS[name].iter_errors(message)]
    assert not faults, (faults, message)


class CheckedProtocol(WebSocketClientProtocol):
    """Every message of the cloud is held against its schema, whatever the test wants of it."""

    async def recv(self):
        message = await super().recv()
        value = json.loads(message if isinstance(message, str) else message[9:])
        assert value["type"] in FROM_CLOUD, value
        assert isinstance(message, str) != (value["type"] in ("apply", "pull")), value
        check(value["type"], value)
        return message


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Cloud:
    """A folder made by init, and its server."""

    def __init__(self, folder):
        self.folder, self.config, self.log = folder, folder / "cloud.toml", folder.parent / "cloud.log"
        self.process = None
        done = subprocess.run([PROGRAM, "init", folder, "--auth-port", "0", "--connection-port", "0",
                               "--listen", "127.0.0.1"], capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, done.stderr
        self.tls = ssl.create_default_context(cafile=folder / "ca.crt")

    def start(self):
        self.log.write_text("")
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([PROGRAM, "serve", "--config", self.config], stderr=log)
        limit = time.monotonic() + LIMIT
        while "listening" not in self.log.read_text():
            assert self.process.poll() is None and time.monotonic() < limit, self.log.read_text()
            time.sleep(0.01)
        line = next(line for line in self.log.read_text().splitlines() if "listening" in line)
        words = line.replace(",", "").split()
        self.auth_port, self.port = int(words[-4]), int(words[-1])
        # The next start takes the same ports: a device dials the URL that it was given.
        text = self.config.read_text()
        self.config.write_text(text.replace("authentication_port = 0", f"authentication_port = {self.auth_port}")
                               .replace("\nconnection_port = 0", f"\nconnection_port = {self.port}"))
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(LIMIT)
        return self.process.returncode if self.process else None

    def run(self, *arguments, expect=0, text=True, stdin=None):
        done = subprocess.run([PROGRAM, *map(str, arguments), "--config", self.config], capture_output=True, text=text,
                              timeout=LIMIT, input=stdin)
        assert expect is None or done.returncode == expect, (arguments, done)
        return done

    def show(self, serial=SERIAL):
        return json.loads(self.run("device", "show", serial, "--json").stdout)

    def add(self, serial=SERIAL):
        self.run("device", "add", serial)


class Device:
    """The device's side of the protocol, as little as a test needs."""

    def __init__(self, cloud, serial=SERIAL):
        self.cloud, self.serial = cloud, serial
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.token, self.nonce, self.url = "", "", ""

    def post(self, path, body, token="", raw=None):
        connection = http.client.HTTPSConnection("localhost", self.cloud.auth_port, context=self.cloud.tls, timeout=LIMIT)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request("POST", path, raw if raw is not None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        self.headers = answer.headers
        self.nonce = answer.getheader("Hawser-Nonce") or ""
        connection.close()
        assert answer.status // 100 != 3
        value = json.loads(text)
        kind = "auth_answer" if path.endswith("/auth") else "register_answer"
        check(kind if answer.status == 200 else "error_answer", value)
        return answer.status, value

    @property
    def jwk(self):
        numbers = self.key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}

    def pwd(self, password, nonce, aud="localhost"):
        jwk = self.jwk
        text = f'{{"crv":"P-256","kty":"EC","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'
        data = ".".join([nonce, self.serial, b64(hashlib.sha256(text.encode()).digest()), aud])
        return b64(hmac.new(password.encode(), data.encode(), hashlib.sha256).digest())

    def proof(self, nonce, header=None, **changes):
        payload = {"serial": self.serial, "aud": "localhost", "nonce": nonce, "jwk": self.jwk, **changes}
        signed = b64(json.dumps(header or {"alg": "ES256"}).encode()) + "." + b64(json.dumps(payload).encode())
        r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return signed + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def auth(self, proof=None):
        body = {"serial": self.serial, "model": "HW-1", "agent": "test/1"}
        if proof:
            body["proof"] = proof
        status, answer = self.post("/hawser/v1/auth", body)
        assert self.nonce, "Hawser-Nonce stands on every answer"
        if status == 200:
            self.token = answer["token"]
        return status, answer

    def authenticate(self, **changes):
        if not self.nonce:
            assert self.auth()[0] == 401
        return self.auth(self.proof(self.nonce, **changes))

    def services(self, names=tuple(PROTOCOLS)):
        return [{"service": name, "plugin": f"hawser.{name}", "version": "1.0.0", "digest": "sha256:" + "ab" * 32,
                 "protocols": [PROTOCOLS.get(name, "x.y.v1")]} for name in names]

    def registration(self, **changes):
        return {"boot_id": "b1", "hostname": "dev", "site": "branch-042", "keepalive_s": 180, "keepalive_count": 3,
                "ping_s": 60, "services": self.services(), **changes}

    def register(self, **changes):
        status, answer = self.post("/hawser/v1/register", self.registration(**changes), self.token)
        if status == 200:
            self.url = answer["url"]
        return status, answer

    def dial(self, url, protocol, token):
        return connect(url, ssl=self.cloud.tls, subprotocols=[protocol] if protocol else None, compression=None,
                       extra_headers={"Authorization": f"Bearer {token}"} if token else {}, max_size=2 ** 21,
                       ping_interval=None, open_timeout=LIMIT, close_timeout=1, create_protocol=CheckedProtocol)

    async def main(self):
        """Everything up to an open main connection and its grants by service."""
        if not self.token:
            status, answer = self.authenticate()
            assert status == 200, answer
        status, answer = self.register()
        assert status == 200, answer
        socket = await self.dial(self.url, "hawser.main.v1", self.token)
        return socket, await self.grants(socket)

    async def grants(self, socket, names=tuple(PROTOCOLS)):
        await say(socket, {"type": "subconnection_request", "id": "q1", "services": self.services(names)})
        answer = await hear(socket, "subconnection_list")
        assert answer["id"] == "q1"
        self.refused = answer["refused"]
        return {grant["service"]: grant for grant in answer["grants"]}

    async def open(self, grant, stream=None, next_seq=1, acked=None, plugin=None):
        """A subconnection past its resume; `welcome` on it."""
        socket = await self.dial(grant["url"], grant["protocol"], grant["token"])
        await say(socket, {"type": "hello", "stream": stream or str(uuid.uuid4()), "next_seq": next_seq,
                           "plugin": plugin or f"hawser.{grant['service']}", "version": "1.0.0"})
        socket.welcome = await hear(socket, "welcome")
        if acked is not None:
            await say(socket, {"type": "resume", "acked": acked})
        return socket


async def say(socket, message):
    await socket.send(json.dumps(message))


async def hear(socket, kind):
    """The next text of that type; what comes before it is dropped."""
    while True:
        message = await asyncio.wait_for(socket.recv(), LIMIT)
        if isinstance(message, str) and json.loads(message)["type"] == kind:
            return json.loads(message)


async def hear_ack(socket, seq):
    while True:
        if (await hear(socket, "ack"))["seq"] >= seq:
            return


async def hear_data(socket):
    while True:
        message = await asyncio.wait_for(socket.recv(), LIMIT)
        if isinstance(message, bytes):
            assert message[0] == 2
            return struct.unpack(">Q", message[1:9])[0], message[9:]


async def ends(socket):
    """The close code and reason with which the cloud ends it."""
    async def drain():
        try:
            while True:
                await socket.recv()
        except websockets.ConnectionClosed:
            return socket.close_code, socket.close_reason
    return await asyncio.wait_for(drain(), LIMIT)


def durable(seq, payload, kind=2):
    return struct.pack(">BQ", kind, seq) + payload


def metric(name, value, at=1_700_000_000):
    return json.dumps({"resourceMetrics": [{"resource": {"attributes": [
        {"key": "device.id", "value": {"stringValue": SERIAL}}]}, "scopeMetrics": [{"metrics": [
            {"name": name, "unit": "1", "gauge": {"dataPoints": [
                {"asInt": str(value), "timeUnixNano": str(at * 10 ** 9), "attributes": []}]}}]}]}]}).encode()


def log_message(body, offset=0, source="syslog", file_id="f1", **more):
    header = json.dumps({"source": source, "file_id": file_id, "offset": offset, "end_offset": offset + len(body),
                         "lines": body.count(b"\n"), "first_at": "2026-01-01T00:00:00Z", "format": "text", **more}).encode()
    return struct.pack(">I", len(header)) + header + body


@pytest.fixture
def cloud(tmp_path):
    made = Cloud(tmp_path / "cloud")
    made.add()
    made.start()
    yield made
    code = made.stop()
    text = made.log.read_text()
    print(text)
    assert code in (0, -signal.SIGKILL), f"the server ended with {code}"


def refused_upgrade(device, url, protocol, token):
    async def go():
        try:
            async with device.dial(url, protocol, token):
                return 101
        except websockets.InvalidStatusCode as refused:
            return refused.status_code
    return asyncio.run(go())


# ---- the good path


def test_good_path(cloud):
    """[cloud-1] A device gets from nothing to three subconnections whose data an operator can read back."""
    began = time.monotonic()
    device = Device(cloud)

    async def go():
        main, grants = await device.main()
        assert set(grants) == set(PROTOCOLS) and device.refused == []
        await say(main, {"type": "keepalive", "seq": 1})
        assert (await hear(main, "keepalive_ack"))["seq"] == 1
        monitoring = await device.open(grants["monitoring"], acked=0)
        await monitoring.send(durable(1, metric("system.uptime", 41)))
        await monitoring.send(durable(2, metric("system.uptime", 42, at=1_700_000_010)))
        await hear_ack(monitoring, 2)
        logs = await device.open(grants["log_upload"], acked=0)
        await logs.send(durable(1, log_message(b"one\ntwo\xff\x00\n")))
        await logs.send(durable(2, log_message(b"three\n", offset=10)))
        await hear_ack(logs, 2)
        config = await device.open(grants["config_push"], acked=0)
        shown = cloud.show()
        assert shown["state"] == "connected" and shown["site"] == "branch-042"
        assert {each["service"]: (each["state"], each["acked"], each["received"]) for each in shown["subconnections"]} == {
            "monitoring": ("ready", 2, 2), "log_upload": ("ready", 2, 2), "config_push": ("ready", 0, 0)}
        await push(config)

    async def push(config):
        (cloud.folder / "new.conf").write_text("hello\n")
        done = cloud.run("config", "push", SERIAL, f"/etc/x.conf={cloud.folder / 'new.conf'}", "--reload", "r")
        revision = done.stdout.split()[1]
        seq, payload = await hear_data(config)
        apply = json.loads(payload)
        assert seq == 1 and apply["type"] == "apply" and apply["revision"] == revision
        assert (apply["mode"], apply["part"], apply["parts"], apply["reload"]) == ("apply", 1, 1, ["r"])
        assert base64.b64decode(apply["files"][0]["content_b64"]) == b"hello\n"
        await say(config, {"type": "ack", "seq": 1})
        await config.send(durable(1, json.dumps({"type": "status", "revision": revision, "state": "confirmed"}).encode()))
        await hear_ack(config, 1)
        assert json.loads(cloud.run("config", "show", SERIAL, "--json").stdout)[0]["state"] == "confirmed"

    asyncio.run(go())
    metrics = json.loads(cloud.run("metrics", SERIAL, "--json").stdout)
    assert [(each["name"], each["value"], len(each["history"])) for each in metrics] == [("system.uptime", 42.0, 2)]
    assert cloud.run("logs", SERIAL, "--source", "syslog", text=False).stdout == b"one\ntwo\xff\x00\nthree\n"
    assert time.monotonic() - began < 60


def test_the_url_of_the_registration_serves(cloud):
    """[conn-3] The registration answers a wss URL on the connection port, and only the latest one opens."""
    device = Device(cloud)
    device.authenticate()
    assert device.register()[0] == 200
    first = device.url
    assert first.startswith(f"wss://localhost:{cloud.port}/hawser/v1/connect/")
    assert device.token not in first
    assert device.register()[0] == 200
    assert refused_upgrade(device, first, "hawser.main.v1", device.token) == 404
    assert refused_upgrade(device, device.url, "hawser.main.v1", device.token) == 101


# ---- authentication


def test_refusals_in_their_order(cloud):
    """[conn-2] An unknown serial, a blocked device and another key are refused by name."""
    stranger = Device(cloud, "HW-STRANGER")
    assert stranger.authenticate()[1]["error"]["code"] == "unknown_serial"
    owner, thief = Device(cloud), Device(cloud)
    assert owner.authenticate()[1]["binding"] == "new"
    assert thief.authenticate()[1]["error"]["code"] == "key_mismatch"
    assert owner.authenticate()[1]["binding"] == "existing"
    cloud.run("device", "block", SERIAL)
    assert thief.authenticate()[1]["error"]["code"] == "device_blocked"
    assert owner.register()[1]["error"]["code"] == "device_blocked"
    cloud.run("device", "unblock", SERIAL)
    assert owner.register()[0] == 200
    cloud.run("device", "remove", SERIAL)
    assert owner.register()[1]["error"]["code"] == "device_removed"


def test_a_nonce_serves_once(cloud):
    """[conn-2] A nonce is spent by the first proof that shows it, whatever the result."""
    device = Device(cloud)
    device.auth()
    nonce = device.nonce
    assert device.auth(device.proof(nonce))[0] == 200
    status, answer = device.auth(device.proof(nonce))
    assert (status, answer["error"]["code"]) == (401, "nonce_required")
    nonce = device.nonce
    assert device.auth(device.proof(nonce, aud="evil.test"))[0] == 403
    assert device.auth(device.proof(nonce))[0] == 401
    assert device.auth(device.proof("A" * 43))[0] == 401


@pytest.mark.parametrize("change", [
    {"header": {"alg": "none"}}, {"header": {"alg": "ES256", "kid": "1"}}, {"header": {"alg": "ES256", "jwk": {}}},
    {"header": {"alg": "ES256", "crit": []}}, {"aud": "other.test"}, {"serial": "HW-OTHER"}, {"jwk": {"kty": "EC"}},
    {"nonce": "short"}])
def test_bad_proofs(cloud, change):
    """[conn-2] A proof with another algorithm, header, audience, serial or key form is proof_invalid."""
    device = Device(cloud)
    status, answer = device.authenticate(**change) if "nonce" not in change else device.auth(device.proof(**change))
    assert (status, answer["error"]["code"]) == (403, "proof_invalid")


def test_bad_signatures(cloud):
    """[conn-2] A signature by another key, a cut one and a private part in the key are proof_invalid."""
    device, other = Device(cloud), Device(cloud)
    device.auth()
    assert device.auth(other.proof(device.nonce, jwk=device.jwk))[1]["error"]["code"] == "proof_invalid"
    assert device.auth(device.proof(device.nonce)[:-2])[1]["error"]["code"] == "proof_invalid"
    assert device.auth(device.proof(device.nonce, jwk={**device.jwk, "d": "AA"}))[1]["error"]["code"] == "proof_invalid"
    assert device.auth(device.proof(device.nonce))[0] == 200


def test_a_password_is_proven(cloud):
    """[conn-2] Where the operator set a password, a proof without it or with a wrong one is refused."""
    cloud.run("device", "add", "HW-PW", "--password-stdin", stdin="s3cret\n")
    device = Device(cloud, "HW-PW")
    assert device.authenticate()[1]["error"]["code"] == "password_required"
    assert device.authenticate(pwd=device.pwd("wrong", device.nonce))[1]["error"]["code"] == "password_wrong"
    assert device.authenticate(pwd=device.pwd("s3cret", device.nonce))[0] == 200
    assert "s3cret" not in cloud.log.read_text()


def test_failures_are_limited(cloud):
    """[sec-6] Ten refusals for a serial from one address mean 429 with Retry-After, but never for the owner's key."""
    owner, thief = Device(cloud), Device(cloud)
    assert owner.authenticate()[0] == 200
    for _ in range(10):
        assert thief.authenticate()[0] == 403
    status, answer = thief.authenticate()
    assert (status, answer["error"]["code"]) == (429, "too_many_requests")
    assert 1 <= int(thief.headers["Retry-After"]) <= 3600
    assert owner.authenticate()[0] == 200


# ---- registration and upgrade


@pytest.mark.parametrize("change", [
    {"keepalive_s": 9}, {"keepalive_s": "180"}, {"keepalive_count": 0}, {"ping_s": 601}, {"services": {}},
    {"boot_id": ""}, {"services": [{"service": "UPPER"}]}])
def test_registration_is_strict(cloud, change):
    """[conn-3] A registration with a member out of its range is a bad request."""
    device = Device(cloud)
    device.authenticate()
    status, answer = device.register(**change)
    assert (status, answer["error"]["code"]) == (400, "bad_request")
    twice = device.services(("monitoring",)) * 2
    assert device.register(services=twice)[0] == 400
    assert device.register()[0] == 200


def test_tokens(cloud):
    """[sec-2] Absent, invented and expired tokens open nothing; no token stands in the log or the database."""
    device = Device(cloud)
    assert device.post("/hawser/v1/register", device.registration())[1]["error"]["code"] == "token_expired"
    assert device.post("/hawser/v1/register", device.registration(), "invented")[0] == 401
    device.authenticate()
    device.register()
    for token in ("", "invented"):
        assert refused_upgrade(device, device.url, "hawser.main.v1", token) == 401
    assert refused_upgrade(device, device.url, "other.v1", device.token) == 400

    async def go():
        main, grants = await device.main()
        return grants
    grants = asyncio.run(go())
    log, monitoring = grants["log_upload"], grants["monitoring"]
    assert refused_upgrade(device, log["url"], log["protocol"], monitoring["token"]) == 401
    assert refused_upgrade(device, log["url"], log["protocol"], device.token) == 401
    assert refused_upgrade(device, log["url"], monitoring["protocol"], log["token"]) == 400
    assert refused_upgrade(device, device.url, "hawser.main.v1", log["token"]) == 401
    base = f"wss://localhost:{cloud.port}/hawser/v1/service/"
    assert refused_upgrade(device, base + "nothing", "x", log["token"]) == 404
    kept = b"".join(path.read_bytes() for path in cloud.folder.glob("cloud.db*")) + cloud.log.read_bytes()
    for token in (device.token, log["token"], monitoring["token"]):
        assert token.encode() not in kept


def test_a_token_expires(cloud):
    """[sec-2] A token that is older than its life answers 401, and an open connection outlives it."""
    cloud.stop()
    cloud.config.write_text(cloud.config.read_text() + "[fleet]\ntoken_life_s = 4\n")
    cloud.start()
    device = Device(cloud)

    async def go():
        main, grants = await device.main()
        update = await hear(main, "subconnection_update")
        assert {grant["service"] for grant in update["grants"]} == set(PROTOCOLS)
        limit = time.monotonic() + LIMIT
        while True:  # the event waited for is the expiry itself
            status, _ = device.register()
            if status == 401:
                break
            assert time.monotonic() < limit
            await asyncio.sleep(0.1)
        await say(main, {"type": "keepalive", "seq": 1})
        await hear(main, "keepalive_ack")
    asyncio.run(go())


def test_http_limits(cloud):
    """[cloud-1] A body over 64 KiB is 413, a wrong method 405, a wrong path 404, bad JSON 400; redirects never."""
    device = Device(cloud)
    assert device.post("/hawser/v1/auth", None, raw="x" * 70_000)[1]["error"]["code"] == "body_too_large"
    for raw in ("no JSON", "[]", '{"serial":"A","serial":"B"}', '{"a":' * 40 + "1" + "}" * 40, '{"serial":9007199254740992}'):
        assert device.post("/hawser/v1/auth", None, raw=raw)[0] == 400, raw
    assert device.post("/hawser/v1/nothing", {})[0] == 404
    connection = http.client.HTTPSConnection("localhost", cloud.auth_port, context=cloud.tls, timeout=LIMIT)
    connection.request("GET", "/hawser/v1/auth")
    assert connection.getresponse().status == 405
    connection.close()


# ---- the main connection


def main_fault(cloud, message):
    device = Device(cloud)

    async def go():
        main, _ = await device.main()
        await main.send(message)
        return await ends(main)
    return asyncio.run(go())


@pytest.mark.parametrize("message, code, reason", [
    (b"binary", 1003, "not_text"), ("[]", 1007, "bad_payload"), ("{", 1007, "bad_payload"),
    ('{"type":"keepalive","seq":1,"seq":2}', 1007, "bad_payload"), ('{"type":"keepalive","seq":0}', 1008, "policy"),
    ('{"type":"keepalive","seq":2}', 1008, "policy"), ('{"type":"report","id":"1","events":[]}', 1008, "policy"),
    ("x" * (256 * 1024 + 1), 1009, "too_big")], ids=range(8))
def test_faults_end_the_main_connection(cloud, message, code, reason):
    """[cloud-1] A fault of a main-connection message ends it with the code of the protocol."""
    assert main_fault(cloud, message) == (code, reason)


def test_a_newer_connection_replaces(cloud):
    """[conn-24] The second main connection of a serial ends the first with 4009."""
    device = Device(cloud)

    async def go():
        first, _ = await device.main()
        second, _ = await device.main()
        assert await ends(first) == (4009, "replaced")
        await say(second, {"type": "keepalive", "seq": 1})
        await hear(second, "keepalive_ack")
        assert cloud.show()["state"] == "connected"
    asyncio.run(go())


def test_reports_are_kept_once(cloud):
    """[state-2] Events of a report that is repeated are kept once, with their reasons."""
    device = Device(cloud)
    event = {"id": "e1", "at": None, "uptime_ms": 5, "kind": "down", "service": "monitoring", "reason": "peer_closed"}

    async def go():
        main, _ = await device.main()
        for events in ([event], [event, {**event, "id": "e2"}]):
            await say(main, {"type": "report", "id": "r1", "events": events})
            assert (await hear(main, "report_ack"))["id"] == "r1"
        await say(main, {"type": "never_heard_of", "id": "x"})
        await say(main, {"type": "keepalive", "seq": 1})
        await hear(main, "keepalive_ack")
    asyncio.run(go())
    assert [(each["id"], each["reason"]) for each in cloud.show()["events"]] == [("e1", "peer_closed"), ("e2", "peer_closed")]


def test_unbinding(cloud):
    """[conn-16] A right code unbinds and everything closes with 4010; wrong and used ones say so; five wrong are enough."""
    device = Device(cloud)

    async def ask(main, code):
        await say(main, {"type": "unbind", "id": "u", "code": code})
        answer = await hear(main, "unbind_result")
        return answer["ok"] or answer["error"]

    async def go():
        main, grants = await device.main()
        logs = await device.open(grants["log_upload"])
        assert await ask(main, "AAAA2222") == "code_wrong"
        code = cloud.run("unbinding-code", SERIAL).stdout.strip()
        assert await ask(main, code) is True
        assert await ends(main) == (4010, "unbound")
        assert await ends(logs) == (4010, "unbound")
        assert device.authenticate()[1]["error"]["code"] == "unknown_serial"
        cloud.add()
        device.token = ""
        main, _ = await device.main()
        assert await ask(main, code) == "code_used"
        for _ in range(4):
            assert await ask(main, "AAAA2222") == "code_wrong"
        assert await ask(main, "AAAA2222") == "too_many_requests"
    asyncio.run(go())
    assert cloud.run("unbinding-code", "HW-NOBODYS").stdout.strip().isalnum()


def test_commands_are_repeated_until_answered(cloud):
    """[cloud-1] A command is sent at once, again on the next connection, and not after its result."""
    device = Device(cloud)

    async def go():
        main, _ = await device.main()
        cloud.run("device", "command", SERIAL, "state")
        first = await hear(main, "command")
        assert (first["name"], first["args"]) == ("state", {})
        main, _ = await device.main()  # the request for grants comes after commands
        await main.close()
        status, _ = device.register()
        main = await device.dial(device.url, "hawser.main.v1", device.token)
        again = await hear(main, "command")
        assert again == first
        await say(main, {"type": "command_result", "id": again["id"], "ok": True, "result": {"a": 1}})
        await say(main, {"type": "keepalive", "seq": 1})
        await hear(main, "keepalive_ack")
        device.register()
        main = await device.dial(device.url, "hawser.main.v1", device.token)
        await say(main, {"type": "keepalive", "seq": 1})
        assert json.loads(await asyncio.wait_for(main.recv(), LIMIT))["type"] == "keepalive_ack"
    asyncio.run(go())


def test_blocking_takes_effect_while_connected(cloud):
    """[cloud-1] A device that is blocked or removed loses its connections at once."""
    device = Device(cloud)

    async def go():
        main, grants = await device.main()
        logs = await device.open(grants["log_upload"])
        cloud.run("device", "block", SERIAL)
        assert (await ends(main))[0] == 4001 and (await ends(logs))[0] == 4001
        cloud.run("device", "unblock", SERIAL)
        main, grants = await device.main()
        logs = await device.open(grants["log_upload"])
        cloud.run("device", "remove", SERIAL)
        assert await ends(main) == (4003, "device_removed") and await ends(logs) == (4003, "device_removed")
    asyncio.run(go())


def test_unknown_services_are_refused(cloud):
    """[cloud-1] A list names grants for what the cloud knows, and refusals for the rest."""
    device = Device(cloud)

    async def go():
        main, _ = await device.main()
        assert set(await device.grants(main, ("monitoring", "acme"))) == {"monitoring"}
        assert device.refused == [{"service": "acme", "reason": "service_unknown"}]
        assert await device.grants(main, ()) == {}
    asyncio.run(go())


# ---- subconnections


def test_duplicates_are_dropped(cloud):
    """[data-1] A number that is stored already is dropped and acknowledged again; its effect stands once."""
    device, stream = Device(cloud), str(uuid.uuid4())

    async def go():
        _, grants = await device.main()
        logs = await device.open(grants["log_upload"], stream)
        await logs.send(durable(1, log_message(b"a\n")))
        await logs.send(durable(2, log_message(b"b\n", offset=2)))
        await hear_ack(logs, 2)
        logs = await device.open(grants["log_upload"], stream, next_seq=3)
        assert logs.welcome["acked"] == 2
        for seq in (1, 2, 3):
            await logs.send(durable(seq, log_message(b"c\n" if seq == 3 else b"x\n", offset=4)))
        await hear_ack(logs, 3)
    asyncio.run(go())
    assert cloud.run("logs", SERIAL).stdout == "a\nb\nc\n"


def test_a_gap_is_closed(cloud):
    """[data-1] A gap is closed with 1008, what stands before it is kept, and nothing from it on is stored."""
    device, stream = Device(cloud), str(uuid.uuid4())

    async def go():
        _, grants = await device.main()
        logs = await device.open(grants["log_upload"], stream)
        await logs.send(durable(1, log_message(b"a\n")))
        await logs.send(durable(3, log_message(b"c\n", offset=4)))
        assert await ends(logs) == (1008, "policy")
        logs = await device.open(grants["log_upload"], stream, next_seq=4)
        assert logs.welcome["acked"] == 1
        await say(logs, {"type": "skipped", "from": 2, "to": 3, "reason": "queue_full"})
        await hear_ack(logs, 3)
    asyncio.run(go())
    assert cloud.run("logs", SERIAL).stdout == "a\n"
    assert next(each for each in cloud.show()["subconnections"] if each["service"] == "log_upload")["skipped"] == 2


def test_refused_payloads_do_not_block(cloud):
    """[data-3] A payload that can never be accepted gets a nack, counts as stored, and what is behind it passes."""
    device, stream = Device(cloud), str(uuid.uuid4())

    async def go():
        _, grants = await device.main()
        monitoring = await device.open(grants["monitoring"], stream)
        await monitoring.send(durable(1, b"no JSON"))
        await monitoring.send(durable(2, b"no zstd", kind=0x82))
        await monitoring.send(durable(3, metric("system.uptime", 7)))
        for seq in (1, 2):
            nack = await hear(monitoring, "nack")
            assert (nack["seq"], nack["code"]) == (seq, "bad_payload")
        await hear_ack(monitoring, 3)
        monitoring = await device.open(grants["monitoring"], stream, next_seq=4)
        assert (monitoring.welcome["acked"], monitoring.welcome["nacked"]) == (3, [1, 2])
    asyncio.run(go())
    assert [each["value"] for each in json.loads(cloud.run("metrics", SERIAL, "--json").stdout)] == [7.0]


@pytest.mark.parametrize("message, code", [
    (b"\x02", 1008), (durable(0, b""), 1008), (durable(1, b"", kind=7), 1008), ("{}", 1008), ("nonsense", 1007),
    (b"\x02" + b"\0" * (1 << 20), 1009), ('{"type":"ack","seq":5}', 1008), ('{"type":"hello"}', 1008)], ids=range(8))
def test_faults_end_a_subconnection_alone(cloud, message, code):
    """[data-3] A fault of a frame or of control ends the subconnection it came on, and nothing else."""
    device = Device(cloud)

    async def go():
        main, grants = await device.main()
        logs = await device.open(grants["log_upload"], acked=0)
        await logs.send(message)
        assert (await ends(logs))[0] == code
        await say(main, {"type": "keepalive", "seq": 1})
        await hear(main, "keepalive_ack")
    asyncio.run(go())


def test_data_comes_after_hello(cloud):
    """[data-1] Data before hello, and a hello of another plugin than the grant's, are closed with 1008."""
    device = Device(cloud)

    async def go():
        _, grants = await device.main()
        grant = grants["log_upload"]
        socket = await device.dial(grant["url"], grant["protocol"], grant["token"])
        await socket.send(durable(1, log_message(b"a\n")))
        assert (await ends(socket))[0] == 1008
        socket = await device.dial(grant["url"], grant["protocol"], grant["token"])
        await say(socket, {"type": "hello", "stream": str(uuid.uuid4()), "next_seq": 1, "plugin": "evil", "version": "1"})
        assert (await ends(socket))[0] == 1008
    asyncio.run(go())


def test_a_second_subconnection_replaces(cloud):
    """[data-1] A second connection of a service ends the first with 4009, and finds what that one had sent."""
    device, stream = Device(cloud), str(uuid.uuid4())

    async def go():
        _, grants = await device.main()
        first = await device.open(grants["log_upload"], stream)
        await first.send(durable(1, log_message(b"a\n")))
        await hear_ack(first, 1)
        second = await device.open(grants["log_upload"], stream, next_seq=2)
        assert await ends(first) == (4009, "replaced")
        assert second.welcome["acked"] == 1
    asyncio.run(go())


def test_acknowledged_survives_a_kill(cloud):
    """[data-1] After kill -9 in the middle of a stream everything acknowledged is there, once, and in order."""
    device, stream = Device(cloud), str(uuid.uuid4())
    line = [f"{n:06d}\n".encode() for n in range(1, 2001)]

    async def send(logs, first, last):
        for seq in range(first, last + 1):
            await logs.send(durable(seq, log_message(line[seq - 1], offset=7 * (seq - 1))))

    async def before():
        _, grants = await device.main()
        logs = await device.open(grants["log_upload"], stream)
        await send(logs, 1, 400)
        acked = (await hear(logs, "ack"))["seq"]
        sending = asyncio.create_task(send(logs, 401, 1500))
        acked = max(acked, (await hear(logs, "ack"))["seq"])
        cloud.stop(signal.SIGKILL)
        try:
            await sending
        except websockets.ConnectionClosed:
            pass
        try:
            while True:  # acknowledgements that were on their way count too
                message = json.loads(await asyncio.wait_for(logs.recv(), LIMIT))
                acked = max(acked, message.get("seq", 0))
        except websockets.ConnectionClosed:
            return grants, acked

    async def after(grants, acked):
        logs = await device.open(grants["log_upload"], stream, next_seq=1501)  # the grant outlives the server
        assert logs.welcome["acked"] >= acked > 0
        await send(logs, max(1, acked - 50), 2000)
        await hear_ack(logs, 2000)

    grants, acked = asyncio.run(before())
    cloud.start()
    asyncio.run(after(grants, acked))
    assert cloud.run("logs", SERIAL, text=False).stdout == b"".join(line)
    parts = [json.loads(each) for each in cloud.run("logs", SERIAL, "--json").stdout.splitlines()]
    assert all(each["contiguous"] for each in parts)


def test_cloud_to_device_is_durable(cloud):
    """[data-1] What the cloud queued is sent in order, again after a reconnect until acknowledged, and not after."""
    device, stream = Device(cloud), str(uuid.uuid4())
    local = cloud.folder / "local"
    local.write_text("x\n")

    def push():
        cloud.run("config", "push", SERIAL, f"/etc/x={local}")

    async def go():
        _, grants = await device.main()
        push()
        config = await device.open(grants["config_push"], stream)
        assert config.welcome["next_seq"] == 2
        push()
        await say(config, {"type": "resume", "acked": 0})
        assert [(await hear_data(config))[0] for _ in range(2)] == [1, 2]
        config = await device.open(grants["config_push"], stream, acked=0)
        assert (await hear_data(config))[0] == 1
        await say(config, {"type": "ack", "seq": 1})
        assert (await hear_data(config))[0] == 2
        cloud.stop(signal.SIGKILL)
        cloud.start()
        config = await device.open(grants["config_push"], stream, acked=1)
        assert (await hear_data(config))[0] == 2
        await say(config, {"type": "nack", "seq": 2, "code": "bad_payload", "message": "no"})
        await say(config, {"type": "ack", "seq": 2})
        push()
        assert (await hear_data(config))[0] == 3
        # The device lost its state: a new stream begins at 1 with what was not acknowledged.
        config = await device.open(grants["config_push"], stream, acked=0)
        assert (await ends(config))[0] == 1000
        config = await device.open(grants["config_push"], stream, acked=0)
        assert config.welcome["next_seq"] == 2
        assert (await hear_data(config))[0] == 1
    asyncio.run(go())


def test_set_interval_reaches_the_device(cloud):
    """[mon-2] A change of the interval goes to a connected device at once."""
    device = Device(cloud)

    async def go():
        _, grants = await device.main()
        monitoring = await device.open(grants["monitoring"], acked=0)
        cloud.run("metrics", SERIAL, "--set-interval", 5)
        assert await hear(monitoring, "set_interval") == {"type": "set_interval", "interval_s": 5}
    asyncio.run(go())


def test_large_pushes_are_split(cloud):
    """[cfg-1] A file larger than a part goes on in the next part under the same path, and fits together again."""
    device = Device(cloud)
    local = cloud.folder / "large"
    content = os.urandom(1_300_000)
    local.write_bytes(content)

    async def go():
        _, grants = await device.main()
        config = await device.open(grants["config_push"], acked=0)
        cloud.run("config", "push", SERIAL, f"/etc/large={local}")
        parts, got = [], b""
        while not parts or len(parts) < parts[0]["parts"]:
            seq, payload = await hear_data(config)
            parts.append(json.loads(payload))
            assert seq == len(parts) == parts[-1]["part"] and len(payload) + 9 <= grants["config_push"]["max_message_bytes"]
            assert parts[-1]["files"][0].get("offset", 0) == len(got)
            got += base64.b64decode(parts[-1]["files"][0]["content_b64"])
        assert len(parts) > 1 and got == content
    asyncio.run(go())


def test_statuses_are_told_whole(cloud):
    """[cfg-1] What a device says of a revision, code and sentence, is shown; its diff obeys no terminal."""
    device = Device(cloud)
    local = cloud.folder / "local"
    local.write_text("x\n")

    async def go():
        _, grants = await device.main()
        config = await device.open(grants["config_push"], acked=0)
        pushing = await asyncio.create_subprocess_exec(
            PROGRAM, "config", "push", SERIAL, f"/etc/x={local}", "--check", "--wait", str(int(LIMIT)), "--config",
            cloud.config, stdout=asyncio.subprocess.PIPE)
        revision = json.loads((await hear_data(config))[1])["revision"]
        status = {"type": "status", "revision": revision, "state": "checked", "diff": "-\ta\n+\x1b]0;evil\x07\u009b\n"}
        check("status", status)
        await config.send(durable(1, json.dumps(status).encode()))
        out = (await asyncio.wait_for(pushing.communicate(), LIMIT))[0]
        assert b"\n-\ta\n+\\x1b]0;evil\\x07" in out and b"\x1b" not in out and b"\xc2\x9b" not in out
        status = {"type": "status", "revision": revision, "state": "rejected", "reason": "path_refused",
                  "detail": "/etc/x is not under the allowed paths"}
        check("status", status)
        await config.send(durable(2, json.dumps(status).encode()))
        await hear_ack(config, 2)
        shown = json.loads(cloud.run("config", "show", SERIAL, "--json").stdout)[0]
        assert (shown["state"], shown["reason"], shown["detail"]) == ("rejected", "path_refused", status["detail"])
        assert f"path_refused, {status['detail']}" in cloud.run("config", "show", SERIAL).stdout
        await say(config, {"type": "ack", "seq": 1})
        # A part that the device refuses for good ends its revision.
        cloud.run("config", "push", SERIAL, f"/etc/x={local}")
        assert (await hear_data(config))[0] == 2
        await say(config, {"type": "nack", "seq": 2, "code": "too_big", "message": "a part has at most 16 MiB"})
        await say(config, {"type": "ack", "seq": 2})
        config = await device.open(grants["config_push"], acked=2)
        shown = json.loads(cloud.run("config", "show", SERIAL, "--json").stdout)[1]
        assert (shown["state"], shown["reason"], shown["detail"]) == ("rejected", "too_big", "a part has at most 16 MiB")
        # A nack may follow right after `resume`, for a number that this covers.
        config = await device.open(grants["config_push"], acked=2)
        await say(config, {"type": "nack", "seq": 1, "code": "bad_payload", "message": "no"})
        await config.send(durable(1, json.dumps(status).encode()))
        await hear_ack(config, 1)
    asyncio.run(go())


def test_pushes_that_cannot_be_are_refused(cloud):
    """[cfg-1] A mode that no device takes is refused in a sentence, and an interval needs a connected device."""
    local = cloud.folder / "local"
    local.write_text("x\n")
    for mode in ("4755", "rw", "0", "1644"):
        assert "--mode" in cloud.run("config", "push", SERIAL, f"/etc/x={local}", "--mode", mode, expect=1).stderr
    local.chmod(0o4755)
    assert "set-user-id" in cloud.run("config", "push", SERIAL, f"/etc/x={local}", expect=1).stderr
    assert "not connected" in cloud.run("metrics", SERIAL, "--set-interval", 5, expect=1).stderr
    assert json.loads(cloud.run("config", "show", SERIAL, "--json").stdout) == []


def test_many_files_stay_within_the_message_limit(cloud):
    """[cfg-1] Parts hold to the grant's limit also when names outweigh contents and the limit is small."""
    cloud.stop()
    cloud.config.write_text(cloud.config.read_text() + "[limits]\nmax_message_bytes = 16384\n")
    cloud.start()
    device = Device(cloud)
    local = cloud.folder / "local"
    local.write_bytes(b"x" * 10)

    async def go():
        _, grants = await device.main()
        config = await device.open(grants["config_push"], acked=0)
        cloud.run("config", "push", SERIAL, *[f"/etc/{'d' * 200}/{n}={local}" for n in range(200)])
        parts = []
        while not parts or len(parts) < parts[0]["parts"]:
            _, payload = await hear_data(config)
            assert len(payload) + 9 <= grants["config_push"]["max_message_bytes"] == 16384
            parts.append(json.loads(payload))
        assert len({file["path"] for part in parts for file in part["files"]}) == 200
    asyncio.run(go())


# ---- the program


def test_schemas_are_schemas():
    """Each schema is a schema, and the messages of this test's device are what theirs say."""
    for validator in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(validator.schema)
    assert FROM_CLOUD <= set(SCHEMAS)

    class Nowhere:
        pass
    device = Device(Nowhere())
    check("register_request", device.registration())
    check("auth_request", {"serial": SERIAL, "model": "HW-1", "agent": "test/1", "proof": device.proof("A" * 43)})
    check("subconnection_request", {"type": "subconnection_request", "id": "q1", "services": device.services()})
    size = struct.unpack(">I", log_message(b"a\n")[:4])[0]
    check("log_header", json.loads(log_message(b"a\n")[4:4 + size]))


def test_sigterm_drains(cloud):
    """[ops-5] SIGTERM asks main connections to leave, closes subconnections with 1012, and ends within 5 s."""
    device = Device(cloud)

    async def go():
        main, grants = await device.main()
        logs = await device.open(grants["log_upload"])
        await logs.send(durable(1, log_message(b"last\n")))
        idle = http.client.HTTPSConnection("localhost", cloud.auth_port, context=cloud.tls, timeout=LIMIT)
        idle.request("GET", "/")
        idle.getresponse().read()  # and it stays open
        began = time.monotonic()
        cloud.process.send_signal(signal.SIGTERM)
        drain = await hear(main, "drain")
        assert drain["retry_after_s"] >= 0 and drain["spread_s"] >= 0
        await main.close(4011, "drained")
        assert await ends(logs) == (1012, "restarting")
        while cloud.process.poll() is None:
            assert time.monotonic() - began < 5 * SLOW
            await asyncio.sleep(0.02)
        idle.close()
    asyncio.run(go())
    assert cloud.process.returncode == 0
    assert cloud.run("logs", SERIAL).stdout == "last\n"


def test_faults_of_the_configuration(tmp_path):
    """[cloud-1] --check names every fault of cloud.toml with file, line and column, and exits 78; usage errors 64."""
    made = Cloud(tmp_path / "cloud")
    assert made.run("--check").returncode == 0
    made.config.write_text('[server]\nnames = "x"\nauthentication_port = 70000\nspeed = 1\n[other]\n')
    faults = made.run("--check", expect=78).stderr.splitlines()
    for wanted in ("cloud.toml:2:9: server.names: ", "cloud.toml:3:23: server.authentication_port: ", "cloud.toml:4:1: server.speed: ",
                   "cloud.toml:5:2: other: ", "server.certificate_file: is missing"):
        assert any(wanted in fault for fault in faults), (wanted, faults)
    made.config.write_text("[server\n")
    assert "cloud.toml:1:" in made.run("serve", expect=78).stderr
    made.run("no-such-command", expect=64)
