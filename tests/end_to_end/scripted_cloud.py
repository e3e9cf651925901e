"""A cloud of another make, from protocol.md alone: it follows the protocol unless a test scripts it to refuse, delay,
drop, stall, redirect or lie at a step, it records all it gets, and it notes as a fault whatever breaks the protocol.

Steps that can be scripted with next() and always(): "auth", "register", "connect" (the main connection's upgrade) and
"dial:<service>". Steps that are recorded are these, "main:<type>", "main:end", "hello:<service>", "resume:<service>",
"data:<service>", "text:<service>", "ack:<service>" and "end:<service>"."""

import asyncio
import secrets
import ssl
import uuid

import proof
from conversations import MainConnection, Subconnection, check
from record import Record
from wire import Answer, Ended, Fault, WebSocket, read_request, refusal, switching_protocols

PROTOCOLS = {"monitoring": "hawser.monitoring.v1", "log_upload": "hawser.log.v1", "config_push": "hawser.config.v1"}


class ScriptedCloud:
    """Three TLS listeners: `auth_port`, `main_port` (named by the registration), `service_port` (by grants).

    Made and used by the test's thread; everything with `async` runs on the background loop."""

    def __init__(self, background, authority, serials, *, certificates=None, name="localhost",
                 main_host=None, service_host=None, listen="127.0.0.1", ports=(0, 0, 0)):
        """`name`: how devices know it; registration and grants name `main_host` and `service_host`, else the same name.
        `certificates`: {"auth" | "main" | "service": (chain, key)} where the usual one, for `name`, will not do.
        `ports`: for authentication, connections and services; 0 is a free one."""
        self.background, self.serials, self.name, self.listen = background, set(serials), name, listen
        self.main_host, self.service_host = main_host or name, service_host or name
        self.record = Record()
        self.faults = []             # what the device did against the protocol
        self.keepalive_acks = True
        self.slice_bytes = 0         # WebSocket frames go out in pieces of so many bytes, a TLS record each
        self.early = b""             # frames that come in one TLS record with the 101 of the main connection
        self.mute = False            # new WebSockets answer nothing, not even pings
        self.acks = True             # durable messages are acknowledged
        self.echoes = set()          # services whose best-effort messages go back as they came, unrecorded: there are many
        self.spread_s = 0
        self.headers = {}            # on every HTTP answer besides its own, such as a Date
        self.grant_limits = {"expires_in": 3600, "max_message_bytes": 1048576, "max_in_flight_messages": 4096,
                             "max_in_flight_bytes": 8388608, "ping_s": 60}
        self.services = dict(PROTOCOLS)
        self.refused = {}            # service: reason
        self.streams = {}            # service: {"stream", "acked", "out_stream", "out": [payloads], "out_acked"}
        self.messages = {}           # service: payloads of durable messages, each once
        self.main = None             # the newest main connection
        self.subconnections = {}     # service: the newest
        self.secrets = []            # every token and proof that was handed out or received
        self._nonces, self._tokens, self._grants = set(), set(), {}
        self._next, self._always = {}, {}
        self._servers, self._writers = [], set()
        usual, special = authority.issue([name, listen]), certificates or {}
        self._listeners = [(special.get(step, usual), port) for step, port in zip(("auth", "main", "service"), ports)]
        self.open()

    # ---- the script

    def next(self, step, *answers):
        """These answers, one a request, before the usual ones. A callable gets the Request; None means as usual."""
        self._next.setdefault(step, []).extend(answers)

    def always(self, step, answer):
        self._always[step] = answer

    def clear(self, step=None):
        for script in (self._next, self._always):
            if step is None:
                script.clear()
            else:
                script.pop(step, None)

    def adopt(self, other):
        """Knows what the other one knew, as a server that was started again or that shares its database."""
        for name in ("_tokens", "_nonces", "_grants", "streams", "messages", "serials"):
            setattr(self, name, getattr(other, name))

    def forget_tokens(self):
        """As after a loss of the cloud's memory: every token given out is void."""
        self._tokens.clear()

    # ---- what a test does to open connections

    def send_main(self, message):
        self.background.run(self.main.socket.send_json(message))

    def close_main(self, code, reason=""):
        self.background.run(self.main.socket.close(code, reason))

    def close_service(self, service, code, reason=""):
        self.background.run(self.subconnections[service].socket.close(code, reason))

    def send_text(self, service, message):
        self.background.run(self.subconnections[service].socket.send_json(message))

    def push(self, service, message):
        """Queues a durable message for the device, sent on this or the next subconnection. Returns its number."""
        return self.background.run(Subconnection.push(self, service, message))

    def socket_of(self, service=None):
        """The newest main connection's WebSocket, or a service's."""
        return (self.subconnections[service] if service else self.main).socket

    def send_raw(self, data, service=None):
        """Bytes as they are, in a frame or not."""
        self.background.run(self.socket_of(service).send_raw(data))

    def ping(self, service=None, limit=20):
        """Sends a WebSocket ping, waits for its pong, and returns the seconds between."""
        return self.background.run(self.socket_of(service).ping(), limit)

    def stop_reading(self, service=None):
        self.background.call(self.socket_of(service).flowing.clear)

    def read_on(self, service=None):
        self.background.call(self.socket_of(service).flowing.set)

    def half_close(self, service=None):
        self.background.call(self.socket_of(service).half_close)

    def abort(self, service=None):
        """Ends one TCP connection without a word."""
        self.background.call(self.socket_of(service).writer.transport.abort)

    def drop_all(self):
        """Ends every TCP connection without a word."""
        def drop():
            for writer in list(self._writers):
                writer.transport.abort()
        self.background.call(drop)

    def open(self):
        """Listens (again), on the same ports."""
        taken = [self._listen(*certificate, port) for certificate, port in self._listeners]
        self.auth_port, self.main_port, self.service_port = taken
        self._listeners = [(certificate, port) for (certificate, _), port in zip(self._listeners, taken)]

    def close(self):
        """Nothing listens any more, and every connection is gone: a server that is down."""
        def stop():
            for server in self._servers:
                server.close()
            self._servers.clear()
        self.background.call(stop)
        self.drop_all()

    def fault(self, text):
        self.faults.append(text)
        self.record.add("fault", text=text)

    # ---- listening

    def _listen(self, chain, key, port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(chain, key)

        async def start():
            server = await asyncio.start_server(self._accept, self.listen, port, ssl=context, ssl_handshake_timeout=30)
            self._servers.append(server)
            return server.sockets[0].getsockname()[1]
        return self.background.run(start())

    async def _accept(self, reader, writer):
        self._writers.add(writer)
        port = writer.get_extra_info("sockname")[1]
        self.record.add("tls", port, resumed=bool(writer.get_extra_info("ssl_object").session_reused))
        try:
            while (request := await read_request(reader)) and await self._serve(request, port, reader, writer):
                pass
        except Fault as fault:
            self.fault(str(fault))
        except (OSError, Ended, asyncio.IncompleteReadError):
            pass
        except Exception as unexpected:  # a door: the test must see it, the listener must go on
            self.fault(f"the scripted cloud itself failed: {unexpected!r}")
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _serve(self, request, port, reader, writer):
        """One request; whether the connection carries another."""
        step, serve = self._step(request)
        data = request.json() if request.body else {}
        self.record.add(step, port, headers=request.headers, body=data, target=request.target)
        answer = self._scripted(step, request)
        if answer is None:
            answer = serve(request)
        answer.headers = {**self.headers, **answer.headers}
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        if answer.drop:
            return False
        if answer.stall:
            await reader.read()  # until the device has had enough
            self.record.add(f"{step}:left", port)
            return False
        if callable(answer.body):  # the 101 and the conversation behind it
            await self._upgrade(request, answer, reader, writer)
            return False
        for piece in [bytes([byte]) for byte in answer.encode()] if answer.drip_s else [answer.encode()]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(answer.drip_s)
        return not answer.raw

    def _step(self, request):
        path = request.target
        if path == "/hawser/v1/auth":
            return "auth", self._auth
        if path == "/hawser/v1/register":
            return "register", self._register
        if path.startswith("/hawser/v1/connect/"):
            return "connect", self._connect
        if path.startswith("/hawser/v1/service/"):
            return "dial:" + path.rsplit("/", 1)[1], self._dial
        return "unknown", lambda _: refusal(404, "not_found")

    def _scripted(self, step, request):
        waiting = self._next.get(step)
        answer = waiting.pop(0) if waiting else self._always.get(step)
        return answer(request) if callable(answer) else answer

    async def _upgrade(self, request, answer, reader, writer):
        head = switching_protocols(request, answer.headers["protocol"])
        writer.write(head + (self.early if request.target.startswith("/hawser/v1/connect/") else b""))
        await writer.drain()
        socket = WebSocket(reader, writer, slice_bytes=self.slice_bytes)
        socket.mute = self.mute
        await answer.body(socket)

    # ---- the steps, as the protocol has them

    def _check(self, name, body):
        try:
            check(name, body)
        except Fault as wrong:
            self.fault(str(wrong))

    def _nonce(self):
        nonce = secrets.token_urlsafe(24)
        self._nonces.add(nonce)
        return nonce

    def _auth(self, request):
        body, nonce = request.json(), {"Hawser-Nonce": self._nonce()}
        if request.method != "POST" or request.headers.get("content-type", "").split(";")[0] != "application/json":
            self.fault(f"auth: {request.method} with Content-Type {request.headers.get('content-type')}")
        self._check("auth_request", body)
        if not body.get("proof"):
            return refusal(401, "nonce_required", **{"Hawser_Nonce": nonce["Hawser-Nonce"]})
        self.secrets.append(body["proof"])
        try:
            payload = proof.check(body["proof"], body["serial"], self.name)
        except (ValueError, KeyError) as wrong:
            self.fault(f"proof: {wrong}")
            return Answer(403, {"error": {"code": "proof_invalid", "message": str(wrong)}}, nonce)
        if payload["nonce"] not in self._nonces:
            return Answer(401, {"error": {"code": "nonce_required", "message": "stale"}}, nonce)
        self._nonces.discard(payload["nonce"])
        if body["serial"] not in self.serials:
            return Answer(403, {"error": {"code": "unknown_serial", "message": "never heard of it"}}, nonce)
        token = secrets.token_urlsafe(32)
        self._tokens.add(token)
        self.secrets.append(token)
        return Answer(200, {"token": token, "expires_in": 3600, "binding": "new"}, nonce)

    def _register(self, request):
        nonce = {"Hawser-Nonce": self._nonce()}
        if request.bearer not in self._tokens:
            return Answer(401, {"error": {"code": "token_expired", "message": "no such token"}}, nonce)
        body = request.json()
        self._check("register_request", body)
        url = f"wss://{self.main_host}:{self.main_port}/hawser/v1/connect/{uuid.uuid4()}"
        return Answer(200, {"url": url, "reconnect_spread_s": self.spread_s}, nonce)

    def _connect(self, request):
        if request.bearer not in self._tokens:
            return refusal(401, "token_expired", Hawser_Nonce=self._nonce())

        async def converse(socket):
            self.main = MainConnection(self, socket)
            await self.main.run()
        return Answer(101, converse, {"protocol": "hawser.main.v1"})

    def grants(self, services):
        granted, refused = [], []
        for row in services:
            name = row["service"]
            if name in self.refused or name not in self.services:
                refused.append({"service": name, "reason": self.refused.get(name, "service_unknown")})
                continue
            token = secrets.token_urlsafe(32)
            self._grants[token] = name
            self.secrets.append(token)
            url = f"wss://{self.service_host}:{self.service_port}/hawser/v1/service/{name}"
            granted.append({"service": name, "protocol": self.services[name], "url": url, "token": token,
                            **self.grant_limits})
        return granted, refused

    def _dial(self, request):
        service = request.target.rsplit("/", 1)[1]
        if self._grants.get(request.bearer) != service:
            return refusal(401, "token_expired", Hawser_Nonce=self._nonce())

        async def converse(socket):
            self.subconnections[service] = Subconnection(self, socket, service)
            await self.subconnections[service].run()
        return Answer(101, converse, {"protocol": self.services[service]})
