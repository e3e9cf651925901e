"""A TCP proxy on 127.0.0.1 that can cut, stall, delay and slice what passes, and counts it."""

import asyncio
import socket
import struct
import time

_CHUNK = 64 * 1024


class Proxy:
    """Listens on `listen` and passes to port `target` of `host`. Switches may be turned at any time; they hold for new
    and open connections alike.

    slice_bytes  at most so many bytes a segment, each handed to the kernel alone (0: as they come)
    delay_s      waits before each piece that goes to the client
    stalled      nothing passes in either direction, connections stay open
    refusing     new connections are reset at once
    """

    def __init__(self, background, target, port=0, listen="127.0.0.1", host="127.0.0.1"):
        self.background = background
        self.target, self.host, self.listen = target, host, listen
        self.slice_bytes = 0
        self.delay_s = 0.0
        self.refusing = False
        self.connections = 0
        self.to_target = 0
        self.to_client = 0
        self.round_trips = 0  # one for each TCP handshake, and one for each time that the client spoke and was answered
        self.accepted_at = self.cut_at = 0.0  # time.monotonic() of the newest
        self.greetings = []   # of each connection, what the target said first: a TLS server its ServerHello
        self._open = set()
        self._flowing = None
        self._server = None
        background.run(self._start(port))

    async def _start(self, port):
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = await asyncio.start_server(self._accept, self.listen, port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stall(self):
        self.background.call(self._flowing.clear)

    def resume(self):
        self.background.call(self._flowing.set)

    def cut(self):
        """Resets every open connection, on both sides."""
        self.background.call(self._cut)

    def open_connections(self):
        return len(self._open)

    def close(self):
        async def stop():
            self._server.close()
            self._cut()
        self.background.run(stop())

    def _cut(self):
        self.cut_at = time.monotonic()
        for pair in list(self._open):
            for writer in pair:
                _reset(writer)

    async def _accept(self, reader, writer):
        self.connections += 1
        self.accepted_at = time.monotonic()
        if self.refusing:
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(self.host, self.target)
        except OSError:
            _reset(writer)
            return
        for each in (writer, far_writer):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (writer, far_writer)
        self._open.add(pair)
        self.round_trips += 1
        client_spoke = asyncio.Event()
        try:
            await asyncio.gather(self._pass(reader, far_writer, client_spoke, to_client=False),
                                 self._pass(far_reader, writer, client_spoke, to_client=True))
        finally:
            self._open.discard(pair)
            for each in pair:
                each.close()

    async def _pass(self, reader, writer, client_spoke, to_client):
        greeting = None
        try:
            while data := await reader.read(_CHUNK):
                step = self.slice_bytes or len(data)
                for at in range(0, len(data), step):
                    if to_client and self.delay_s:
                        await asyncio.sleep(self.delay_s)
                    await self._flowing.wait()
                    piece = data[at:at + step]
                    writer.write(piece)
                    await writer.drain()
                    if self.slice_bytes:
                        await asyncio.sleep(0)  # lets the other end read this piece alone
                    if to_client:
                        if greeting is None:
                            self.greetings.append(greeting := piece)
                        self.to_client += len(piece)
                        self.round_trips += client_spoke.is_set()
                        client_spoke.clear()
                    else:
                        self.to_target += len(piece)
                        client_spoke.set()
            if not to_client:
                client_spoke.clear()  # it has left, and waits for no answer to its farewell
            writer.write_eof()
        except OSError:
            _reset(writer)


def _reset(writer):
    sock = writer.get_extra_info("socket")
    if sock is not None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
    writer.transport.abort()
