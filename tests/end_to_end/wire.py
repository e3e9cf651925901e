"""HTTP/1.1 requests and the server's end of RFC 6455, by hand on asyncio streams.

By hand, because the scripted cloud must be able to send what a proper library refuses to send, and because the agent
should meet more than one make of WebSocket."""

import asyncio
import base64
import hashlib
import json
import socket
import struct
import time
from dataclasses import dataclass, field

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Fault(Exception):
    """The device broke the protocol; the text says how."""


class Ended(Exception):
    """The connection is over; `code` is the close code, 1006 without a Close frame."""

    def __init__(self, code=1006, reason=""):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


@dataclass
class Request:
    method: str
    target: str
    headers: dict
    body: bytes = b""
    at: float = 0.0

    @property
    def bearer(self):
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token if kind.lower() == "bearer" else ""

    def json(self):
        return json.loads(self.body)


@dataclass
class Answer:
    """An HTTP answer. `raw` replaces the whole of it, and ends the connection behind it; `stall` sends nothing and keeps
    the connection open; `drop` ends it without a byte; `drip_s` sends it byte by byte with so long a pause between."""
    status: int = 200
    body: object = None  # a dict is sent as JSON, str and bytes as they are
    headers: dict = field(default_factory=dict)
    content_type: str = "application/json"
    raw: bytes = b""
    delay_s: float = 0.0
    drip_s: float = 0.0
    stall: bool = False
    drop: bool = False

    def encode(self):
        if self.raw:
            return self.raw
        body = self.body
        if body is None:
            body = b""
        elif isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body = json.dumps(body).encode()
        head = {"Content-Length": str(len(body)), **self.headers}
        if body:
            head.setdefault("Content-Type", self.content_type)
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        return f"HTTP/1.1 {self.status} Scripted\r\n{lines}\r\n".encode() + body


STALL = Answer(stall=True)
DROP = Answer(drop=True)


def refusal(status, code, message="said the scripted cloud", **headers):
    return Answer(status, {"error": {"code": code, "message": message}},
                  {name.replace("_", "-"): str(value) for name, value in headers.items()})


async def read_request(reader):
    """The next request, or None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as broken:
        if broken.partial:
            raise Fault("the connection ended inside a request") from None
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    if version != "HTTP/1.1":
        raise Fault(f"the request speaks {version}")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        if name.lower() in headers:
            raise Fault(f"header {name} stands twice")
        headers[name.lower()] = value.strip()
    if "host" not in headers:
        raise Fault("the request has no Host header")
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body, asyncio.get_running_loop().time())


def switching_protocols(request, protocol):
    """The 101 for a proper upgrade; a Fault for any other."""
    headers = request.headers
    if request.method != "GET" or headers.get("upgrade", "").lower() != "websocket":
        raise Fault(f"no WebSocket upgrade: {request.method} {request.target}")
    if "upgrade" not in headers.get("connection", "").lower():
        raise Fault("no Upgrade in Connection")
    if headers.get("sec-websocket-version") != "13":
        raise Fault("Sec-WebSocket-Version is not 13")
    if "sec-websocket-extensions" in headers:
        raise Fault("an extension is offered")
    if headers.get("sec-websocket-protocol") != protocol:
        raise Fault(f"Sec-WebSocket-Protocol is {headers.get('sec-websocket-protocol')!r}, not {protocol!r}")
    key = headers.get("sec-websocket-key", "")
    if len(base64.b64decode(key)) != 16:
        raise Fault("Sec-WebSocket-Key is not 16 bytes")
    accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
    return (f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n").encode()


def frame(opcode, payload=b"", final=True):
    head = bytes([(0x80 if final else 0) | opcode])
    if len(payload) < 126:
        head += bytes([len(payload)])
    elif len(payload) < 65536:
        head += struct.pack(">BH", 126, len(payload))
    else:
        head += struct.pack(">BQ", 127, len(payload))
    return head + payload


class WebSocket:
    """The server's end. Lives on the background loop. `slice_bytes` sends every frame in pieces of that many bytes, each
    in a TLS record of its own. `mute` answers nothing any more, not even a ping. `flowing`, cleared, reads nothing any more."""

    def __init__(self, reader, writer, *, slice_bytes=0):
        self.reader, self.writer = reader, writer
        self.slice_bytes = slice_bytes
        self.mute = False
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.pings = 0
        self._pongs = {}  # payload of a ping of ours: the future that its pong resolves
        self.closed = None  # an Ended, once over
        self._closing = False
        self._sending = asyncio.Lock()

    async def send_raw(self, data):
        async with self._sending:
            step = self.slice_bytes or len(data)
            for at in range(0, len(data), step):
                self.writer.write(data[at:at + step])
                await self.writer.drain()
                if self.slice_bytes:
                    await asyncio.sleep(0)

    async def send_json(self, message):
        await self.send_raw(frame(TEXT, json.dumps(message).encode()))

    async def send_binary(self, data):
        await self.send_raw(frame(BINARY, data))

    async def close(self, code=1000, reason=""):
        self._closing = True
        await self.send_raw(frame(CLOSE, struct.pack(">H", code) + reason.encode()))

    async def ping(self):
        """The seconds until the pong came."""
        payload = struct.pack(">d", time.monotonic())
        self._pongs[payload] = asyncio.get_running_loop().create_future()
        began = time.monotonic()
        try:
            await self.send_raw(frame(PING, payload))
            await self._pongs[payload]
            return time.monotonic() - began
        finally:
            del self._pongs[payload]

    def half_close(self):
        """Ends this end's sending below TLS, and goes on reading: as a program that shuts down badly does."""
        self.writer.get_extra_info("socket").shutdown(socket.SHUT_WR)

    async def receive(self):
        """The next message as (opcode, bytes), control frames answered on the way. Raises Ended."""
        try:
            message, kind = b"", 0
            while True:
                final, opcode, payload = await self._frame()
                if opcode == PING:
                    self.pings += 1
                    if not self.mute:
                        await self.send_raw(frame(PONG, payload))
                elif opcode == CLOSE:
                    code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                    if not self._closing and not self.mute:
                        await self.send_raw(frame(CLOSE, payload))
                    self.closed = Ended(code, payload[2:].decode())
                    raise self.closed
                elif opcode in (0, TEXT, BINARY):
                    if (opcode == 0) != (kind != 0):
                        raise Fault("continuation out of order")
                    kind = kind or opcode
                    message += payload
                    if final:
                        return kind, message
                elif opcode == PONG:
                    if (waiting := self._pongs.get(payload)) and not waiting.done():
                        waiting.set_result(None)
                else:
                    raise Fault(f"opcode {opcode}")
        except (OSError, asyncio.IncompleteReadError):
            self.closed = Ended()
            raise self.closed from None

    async def _frame(self):
        await self.flowing.wait()
        first, second = await self.reader.readexactly(2)
        if first & 0x70:
            raise Fault("reserved bits are set")
        if not second & 0x80:
            raise Fault("a frame is not masked")
        size = second & 0x7f
        if size == 126:
            size = struct.unpack(">H", await self.reader.readexactly(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", await self.reader.readexactly(8))[0]
        if size > 65536:
            raise Fault(f"a frame of {size} bytes")
        mask = await self.reader.readexactly(4)
        payload = await self.reader.readexactly(size)
        pattern = (mask * (size // 4 + 1))[:size]
        clear = (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(size, "big") if size else b""
        return bool(first & 0x80), first & 0x0f, clear
