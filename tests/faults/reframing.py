"""A middlebox that ends TLS on both sides and passes each WebSocket message on in frames of its own making."""

import asyncio
import os
import random
import ssl
import struct

_PIECE_MOST = 200  # bytes of a message in one frame
_HELD_MOST = 100   # frames that go out together


class Reframer:
    """Listens on `listen` and passes to `inside`, each port to the same one. Lives on the background loop; `cut` counts
    the frames that it made of others, `merged` the writes that held more than one."""

    def __init__(self, background, certificate, listen, inside, ports):
        self.inside, self.cut, self.merged = inside, 0, 0
        self._chance = random.Random(69)
        self._ends = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ends.load_cert_chain(*certificate)
        self._begins = ssl.create_default_context()
        self._begins.check_hostname, self._begins.verify_mode = False, ssl.CERT_NONE
        for port in ports:
            background.run(asyncio.start_server(self._taker(port), listen, port, ssl=self._ends))

    def _taker(self, port):
        async def take(reader, writer):
            far_reader, far_writer = await asyncio.open_connection(self.inside, port, ssl=self._begins)
            try:
                await self._converse(reader, writer, far_reader, far_writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()
                far_writer.close()
        return take

    async def _converse(self, reader, writer, far_reader, far_writer):
        while True:
            head = await _message(reader)
            far_writer.write(head)
            answer = await _message(far_reader)
            writer.write(answer)
            if answer.startswith(b"HTTP/1.1 101"):
                break
        both = [asyncio.ensure_future(self._pass(reader, far_writer, masked=True)),
                asyncio.ensure_future(self._pass(far_reader, writer, masked=False))]
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.2)  # for a Close that is under way in the other direction
        for each in both:
            each.cancel()
        for each in done:
            each.result()

    async def _pass(self, reader, writer, masked):
        held = []
        while True:
            first, second = await reader.readexactly(2)
            size = second & 0x7f
            if size >= 126:
                size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
            mask = await reader.readexactly(4) if second & 0x80 else b"\0\0\0\0"
            payload = _masked(await reader.readexactly(size), mask)
            held += self._frames(first, payload, masked)
            if len(held) < _HELD_MOST and self._chance.random() < 0.5 and reader._buffer:
                continue  # goes out with what comes next
            await self._send(writer, held)
            held = []

    def _frames(self, first, payload, masked):
        opcode, final = first & 0x0f, first & 0x80
        if opcode >= 8:
            return [_frame(first, payload, masked)]
        pieces = []
        while len(payload) > 1:
            size = self._chance.randint(1, min(_PIECE_MOST, len(payload)))
            pieces.append(payload[:size])
            payload = payload[size:]
        if payload or not pieces:
            pieces.append(payload)
        self.cut += len(pieces) - 1
        last = len(pieces) - 1
        return [_frame((final if at == last else 0) | (0 if at else opcode), piece, masked)
                for at, piece in enumerate(pieces)]

    async def _send(self, writer, frames):
        """At borders that are no frame's."""
        data = b"".join(frames)
        while data:
            size = self._chance.randint(1, 2 * _PIECE_MOST)
            self.merged += size > len(frames[0])
            writer.write(data[:size])
            await writer.drain()
            data = data[size:]


async def _message(reader):
    """An HTTP request or answer, whole."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.split(b":")[1]))
    return head


def _masked(payload, mask):
    pattern = (mask * (len(payload) // 4 + 1))[:len(payload)]
    return bytes(a ^ b for a, b in zip(payload, pattern))


def _frame(first, payload, masked):
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head = bytes([first, bit | len(payload)])
    elif len(payload) < 65536:
        head = struct.pack(">BBH", first, bit | 126, len(payload))
    else:
        head = struct.pack(">BBQ", first, bit | 127, len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + _masked(payload, mask)
