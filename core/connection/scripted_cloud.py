#!/usr/bin/python3
"""A cloud that does as it is told: it refuses, delays, stalls and lies at any step.

usage: scripted_cloud.py FOLDER PLAN

PLAN is JSON: {"auth": [...], "register": [...], "connect": [...], "listen": [...], "names": [...], "tls": [...]}.
Each list is used up one entry per request; a missing entry means the honest answer. An entry is
  {"status", "body", "headers"}   an answer of that kind ("body" an object or a text, "size" a body of that many bytes)
  {"stall": true}                 the request is read and never answered
  {"drop": true}                  the connection ends without an answer
  {"delay_ms": N}                 before the honest answer, or before the one described
  {"keep_alive": false}           the connection ends after the answer
"tls": [{"stall": true}] holds the TLS handshake of the n-th connection for ever. "names": what the certificate is for.
"password": what `pwd` proves; null: no `pwd` may be shown. "expires_in": of a token. "unbind": what answers a code, after
which the main connection is closed with 4010 where it says ok; without it codes are not answered. "tcp": true says when
TCP was accepted, before TLS.
"ack": false leaves keepalives unanswered; "grants", "refused": what a subconnection_list says; "url": the URL given out.

The first line on standard output is {"port","connect_port","ca"}; then one line for each thing seen. A line on standard
input is something to do on the open main connection: {"send": object}, {"text": string}, {"binary": hex},
{"close": code, "reason": text}, {"abort": true}, {"rst": true} (TCP's), {"ack": true|false},
{"plan": {...}} changes the plan, {"echo": true} is said when all before it is done.
"""

import asyncio
import base64
import datetime
import hashlib
import hmac
import ipaddress
import json
import os
import secrets
import socket
import ssl
import struct
import sys

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import NameOID

try:
    from websockets.protocol import State
    from websockets.server import ServerProtocol as Protocol
except ImportError:  # python3-websockets of Debian 12
    from websockets.connection import State
    from websockets.server import ServerConnection as Protocol
from websockets.frames import Opcode

BODY_BYTES = 64 * 1024


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def write_certificates(folder, names):
    """A CA and a server certificate; the paths of ca, chain and key."""
    now = datetime.datetime.utcnow()

    def sign(subject, issuer, key, signer, authority):
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=30))
                   .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
        if not authority:
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative(name) for name in names]), False)
        return builder.sign(signer, hashes.SHA256())

    def alternative(name):
        try:
            return x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    def pem(thing):
        return thing.public_bytes(serialization.Encoding.PEM)

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Scripted CA " + secrets.token_hex(4))])
    ca = sign(ca_name, ca_name, ca_key, ca_key, True)
    leaf = sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), ca_name, key, ca_key, False)
    paths = [os.path.join(folder, name) for name in ("ca.pem", "server.pem", "server.key")]
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption())
    for path, content in zip(paths, (pem(ca), pem(leaf), key_pem)):
        with open(path, "wb") as file:
            file.write(content)
    return paths


def unbase64url(text):
    if "=" in text:
        raise ValueError("padding")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def password_fault(shown, password, jwk, nonce, serial, host):
    canonical = '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' % (jwk["x"], jwk["y"])
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).decode().rstrip("=")
    data = ".".join((nonce, serial, thumbprint, host)).encode()
    due = hmac.new(password.encode(), data, hashlib.sha256).digest()
    return "" if unbase64url(shown) == due else "password"


def proof_fault(proof, serial, host, nonce, password):
    """What is wrong with a proof; nothing when it holds. An implementation of its own of sdk/protocol.md §2."""
    try:
        head, payload, signature = proof.split(".")
        if json.loads(unbase64url(head)) != {"alg": "ES256"}:
            return "header"
        claims, raw = json.loads(unbase64url(payload)), unbase64url(signature)
        if len(raw) != 64:
            return "signature length"
        if list(claims) != ["serial", "aud", "nonce", "jwk"] + ([] if password is None else ["pwd"]):
            return "claims"
        if (claims["serial"], claims["aud"], claims["nonce"]) != (serial, host, nonce):
            return "serial, aud or nonce"
        jwk = claims["jwk"]
        if list(jwk) != ["crv", "kty", "x", "y"] or jwk["crv"] != "P-256" or jwk["kty"] != "EC":
            return "jwk"
        x, y = (unbase64url(jwk[c]) for c in "xy")
        if len(x) != 32 or len(y) != 32:
            return "jwk coordinates"
        key = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"),
                                            ec.SECP256R1()).public_key()
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        key.verify(encode_dss_signature(r, s), f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
        return "" if password is None else password_fault(claims["pwd"], password, jwk, nonce, serial, host)
    except (ValueError, KeyError, TypeError, InvalidSignature) as fault:
        return f"{type(fault).__name__} {fault}"


class Cloud:
    def __init__(self, plan):
        self.plan = plan
        self.nonce = ""
        self.token = ""
        self.acks = plan.get("ack", True)
        self.main = None  # (protocol, writer) of the newest main connection
        self.ports = (0, 0)
        self.held, self.tasks = [], []

    def next(self, step):
        entries = self.plan.get(step, [])
        return entries.pop(0) if entries else {}

    def fresh_nonce(self):
        self.nonce = secrets.token_urlsafe(24)
        return self.nonce

    # HTTP

    async def serve(self, reader, writer):
        connection = secrets.token_hex(4)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ")
                headers = {k.strip().lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                if headers.get("upgrade"):
                    await self.connect(target, headers, head, reader, writer, connection)
                    return
                if not await self.answer(method, target, headers, body, writer, connection):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def answer(self, method, target, headers, body, writer, connection):
        step = target.rsplit("/", 1)[-1]
        entry = self.next(step)
        request = json.loads(body)
        said = {"seen": step, "method": method, "target": target, "connection": connection, "body": request,
                "bearer": headers.get("authorization", ""), "content_type": headers.get("content-type", "")}
        if step == "auth":
            said["fault"] = self.fault_of(request, headers)
        say(**said)
        if not await self.obey(entry):
            return False
        status, reply, more = self.honest(step, request, headers, said)
        status = entry.get("status", status)
        reply = entry.get("body", reply)
        if "size" in entry:
            reply = "x" * entry["size"]
        text = reply if isinstance(reply, str) else json.dumps(reply)
        more = {**more, **entry.get("headers", {})}
        keep = entry.get("keep_alive", True)
        fields = {"Content-Length": len(text.encode()), "Connection": "keep-alive" if keep else "close", **more}
        writer.write(f"HTTP/1.1 {status} Scripted\r\n".encode() +
                     "".join(f"{k}: {v}\r\n" for k, v in fields.items()).encode() + b"\r\n" + text.encode())
        await writer.drain()
        return keep

    def fault_of(self, request, headers):
        if "proof" not in request:
            return "no proof"
        host = headers["host"].split(":")[0]
        return proof_fault(request["proof"], request["serial"], host, self.nonce, self.plan.get("password"))

    def honest(self, step, request, headers, said):
        spent = self.nonce
        more = {"Hawser-Nonce": self.fresh_nonce(), "Content-Type": "application/json",
                "Date": datetime.datetime.utcnow().strftime("%a, %d %b %Y %H:%M:%S GMT")}
        if step == "auth":
            if said["fault"] == "no proof" or not spent:
                return 401, {"error": {"code": "nonce_required", "message": ""}}, more
            if said["fault"]:
                return 403, {"error": {"code": "proof_invalid", "message": said["fault"]}}, more
            self.token = "SECRETtok" + secrets.token_urlsafe(16)
            return 200, {"token": self.token, "expires_in": self.plan.get("expires_in", 3600), "binding": "new"}, more
        if headers.get("authorization", "") != f"Bearer {self.token}":
            return 401, {"error": {"code": "token_expired", "message": ""}}, more
        url = self.plan.get("url", "wss://127.0.0.1:{connect_port}/hawser/v1/connect/abc")
        url = url.format(port=self.ports[0], connect_port=self.ports[1])
        return 200, {"url": url, "reconnect_spread_s": self.plan.get("spread", 0)}, more

    async def obey(self, entry):
        """False when the request is not to be answered."""
        if "delay_ms" in entry:
            await asyncio.sleep(entry["delay_ms"] / 1000)
        if entry.get("stall"):
            await asyncio.sleep(3600)
        return not entry.get("drop")

    # WebSocket

    async def connect(self, target, headers, head, reader, writer, connection):
        say(seen="connect", target=target, connection=connection, host=headers["host"],
            bearer_ok=headers.get("authorization") == f"Bearer {self.token}",
            protocol=headers.get("sec-websocket-protocol"))
        entry = self.next("connect")
        if not await self.obey(entry):
            return
        if "status" in entry:
            text = json.dumps(entry.get("body", {}))
            more = {"Content-Length": len(text), **entry.get("headers", {})}
            writer.write(f"HTTP/1.1 {entry['status']} Scripted\r\n".encode() +
                         "".join(f"{k}: {v}\r\n" for k, v in more.items()).encode() + b"\r\n" + text.encode())
            await writer.drain()
            return
        protocol = Protocol(subprotocols=["hawser.main.v1"], max_size=1 << 20)
        protocol.receive_data(head)
        request = protocol.events_received()[0]
        protocol.send_response(protocol.accept(request))
        self.main = (protocol, writer)
        await self.flush(protocol, writer)
        say(seen="open", connection=connection)
        while data := await reader.read(65536):
            protocol.receive_data(data)
            for frame in protocol.events_received():
                self.on_frame(protocol, frame)
            if not await self.flush(protocol, writer):
                break
        say(seen="closed", connection=connection)

    async def flush(self, protocol, writer):
        for data in protocol.data_to_send():
            if data == b"":
                return False
            writer.write(data)
        await writer.drain()
        return True

    def on_frame(self, protocol, frame):
        if frame.opcode is Opcode.CLOSE:
            code = int.from_bytes(frame.data[:2], "big") if frame.data else 1005
            say(seen="close", code=code, reason=frame.data[2:].decode())
        elif frame.opcode is Opcode.PING:
            say(seen="ping")
        elif frame.opcode is Opcode.TEXT:
            message = json.loads(frame.data)
            say(seen="message", message=message)
            self.on_message(protocol, message)

    def on_message(self, protocol, message):
        def send(**reply):
            if protocol.state is not State.OPEN:  # a Close came in the same packet
                return
            protocol.send_text(json.dumps(reply).encode())

        if message["type"] == "keepalive" and self.acks:
            send(type="keepalive_ack", seq=message["seq"])
        elif message["type"] == "subconnection_request" and not self.plan.get("mute"):
            send(type="subconnection_list", id=message["id"], grants=self.plan.get("grants", []),
                 refused=self.plan.get("refused", []))
        elif message["type"] == "report" and self.plan.get("report_ack", True):
            send(type="report_ack", id=message["id"])
        elif message["type"] == "unbind" and "unbind" in self.plan:
            send(type="unbind_result", id=message["id"], **self.plan["unbind"])
            if self.plan["unbind"].get("ok") and not self.plan.get("keeps_open"):
                protocol.send_close(4010, "unbound")

    # What the test asks for.

    async def commands(self):
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            await self.do(json.loads(line))

    async def do(self, order):
        if "ack" in order:
            self.acks = order["ack"]
            return
        if "plan" in order:
            self.plan.update(order["plan"])
            return
        if order.get("echo"):
            say(seen="echo")
            return
        if self.main is None:
            return
        protocol, writer = self.main
        if "send" in order:
            protocol.send_text(json.dumps(order["send"]).encode())
        elif "text" in order:
            protocol.send_text(order["text"].encode())
        elif "binary" in order:
            protocol.send_binary(bytes.fromhex(order["binary"]))
        elif "close" in order:
            protocol.send_close(order["close"], order.get("reason", ""))
        elif order.get("rst"):
            reset = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            writer.transport.abort()
            return
        elif order.get("abort"):
            writer.transport.abort()
            return
        await self.flush(protocol, writer)


async def main():
    folder, plan = sys.argv[1], json.loads(sys.argv[2])
    ca, chain, key = write_certificates(folder, plan.get("names", ["localhost", "127.0.0.1"]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    cloud = Cloud(plan)

    listeners = [listen() for _ in range(2)]
    cloud.ports = tuple(listener.getsockname()[1] for listener in listeners)
    accepting = [asyncio.create_task(accept(cloud, listener, context)) for listener in listeners]
    say(port=cloud.ports[0], connect_port=cloud.ports[1], ca=ca)
    await cloud.commands()  # until the test closes our standard input
    for task in accepting:
        task.cancel()


def listen():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener


async def accept(cloud, listener, context):
    """By hand, so that a TLS handshake can be held."""
    loop = asyncio.get_running_loop()
    while True:
        connected, _ = await loop.sock_accept(listener)
        if cloud.plan.get("tcp"):
            say(seen="tcp")
        if cloud.next("tls").get("stall"):
            say(seen="tls stalled")
            cloud.held.append(connected)
            continue
        cloud.tasks.append(loop.create_task(secure(cloud, connected, context)))


async def secure(cloud, connected, context):
    loop = asyncio.get_running_loop()

    def make():
        reader = asyncio.StreamReader(limit=1 << 20)
        return asyncio.StreamReaderProtocol(reader, cloud.serve)

    try:
        await loop.connect_accepted_socket(make, connected, ssl=context)
    except (ssl.SSLError, OSError) as failure:
        say(seen="tls failed", why=str(failure))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
