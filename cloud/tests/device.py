"""hawser-cloud and a device that is written from sdk/protocol.md alone. HAWSER_CLOUD names the binary."""

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
import websockets
from websockets.legacy.client import WebSocketClientProtocol, connect
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "end_to_end"))
import loopback  # noqa: E402, F401, for its effect

PROGRAM = os.environ["HAWSER_CLOUD"]
SLOW = float(os.environ.get("HAWSER_SLOWNESS", "1"))
LIMIT = 10 * SLOW
PROTOCOLS = {"monitoring": "hawser.monitoring.v1", "log_upload": "hawser.log.v1", "config_push": "hawser.config.v1"}
SERIAL = "HW-0001"


SCHEMAS = {path.name.split(".")[0]: jsonschema.Draft202012Validator(json.loads(path.read_text()),
                                                                   format_checker=jsonschema.FormatChecker())
           for path in (pathlib.Path(__file__).resolve().parents[2] / "sdk" / "protocol").glob("*.schema.json")}
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
        if isinstance(message, bytes) and not self.subprotocol.startswith("hawser."):
            return message  # a vendor's own
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


def refused_upgrade(device, url, protocol, token):
    async def go():
        try:
            async with device.dial(url, protocol, token):
                return 101
        except websockets.InvalidStatusCode as refused:
            return refused.status_code
    return asyncio.run(go())
