#!/usr/bin/python3
"""The cloud's end of the heartbeat plugin (sdk/template), as a vendor would run it: a microservice behind hawser-cloud.

usage: heartbeat_service.py DATABASE [--port 9001] [--key-file FILE]
       and in cloud.toml: [[microservice]] with service = "heartbeat", protocol = "example.heartbeat.v1",
       url = "ws://127.0.0.1:9001/", and the same key_file

hawser-cloud has authenticated the device and says in the request who it is; what follows is sdk/protocol.md §5, of which
this is all that a service needs that takes durable messages. Needs python3-websockets."""

import argparse
import asyncio
import hmac
import json
import pathlib
import sqlite3
import struct
import uuid

import websockets

PROTOCOL = "example.heartbeat.v1"
HELLO_LIMIT_S = 10
BEST_EFFORT, DURABLE, COMPRESSED = 0x01, 0x02, 0x80


class Beats:
    """What was received, each number of a stream once. A message is acknowledged when it is in here."""

    def __init__(self, file):
        self.database = sqlite3.connect(file)
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.execute("CREATE TABLE IF NOT EXISTS beats "
                              "(serial TEXT, stream TEXT, seq INTEGER, beat TEXT, PRIMARY KEY (serial, stream, seq))")
        self.database.commit()

    def last(self, serial, stream):
        row = self.database.execute("SELECT max(seq) FROM beats WHERE serial = ? AND stream = ?", (serial, stream))
        return row.fetchone()[0] or 0

    def add(self, serial, stream, seq, beat):
        self.database.execute("INSERT INTO beats VALUES (?, ?, ?, ?)", (serial, stream, seq, beat))
        self.database.commit()


class Conversation:
    def __init__(self, socket, beats):
        self.socket, self.beats = socket, beats
        self.serial = socket.request_headers["Hawser-Serial"]
        self.stream, self.stored = "", 0

    async def say(self, **message):
        await self.socket.send(json.dumps(message))

    async def run(self):
        hello = json.loads(await asyncio.wait_for(self.socket.recv(), HELLO_LIMIT_S))
        if hello["type"] != "hello":
            return await self.socket.close(1008, "policy")
        self.stream, self.stored = hello["stream"], self.beats.last(self.serial, hello["stream"])
        # We send nothing durable: a stream of our own that stays empty.
        await self.say(type="welcome", acked=self.stored, nacked=[], stream=str(uuid.uuid4()), next_seq=1)
        async for message in self.socket:
            await (self.text(json.loads(message)) if isinstance(message, str) else self.data(message))

    async def text(self, message):
        if message["type"] == "skipped":  # lost on the device; told, so that the numbers go on
            await self.store(message["from"], message["to"], f"skipped: {message['reason']}")

    async def data(self, message):
        kind, seq = struct.unpack(">BQ", message[:9])
        if kind == DURABLE:
            await self.store(seq, seq, message[9:].decode(errors="replace"))
            await self.socket.send(struct.pack(">BQ", BEST_EFFORT, 0) + b"heard")
        elif kind & COMPRESSED:
            await self.socket.close(1008, "policy")  # the plugin compresses nothing

    async def store(self, first, last, beat):
        if last <= self.stored:
            return await self.say(type="ack", seq=self.stored)  # once more, after a connection that was lost
        if first > self.stored + 1:
            return await self.socket.close(1008, "policy")  # a gap
        self.beats.add(self.serial, self.stream, last, beat)
        self.stored = last
        await self.say(type="ack", seq=last)


def serve(beats, key):
    async def one(socket):
        given = socket.request_headers.get("Authorization", "")
        if key and not hmac.compare_digest(given, f"Bearer {key}"):
            return await socket.close(1008, "not the gateway")
        try:
            await Conversation(socket, beats).run()
        except websockets.ConnectionClosed:
            pass
    return one


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--key-file", type=pathlib.Path, help="one word that the gateway shows us")
    options = parser.parse_args()
    key = options.key_file.read_text().strip() if options.key_file else ""
    async with websockets.serve(serve(Beats(options.database), key), "127.0.0.1", options.port,
                                subprotocols=[PROTOCOL], compression=None) as server:
        print(f"heartbeat service: listening on port {server.sockets[0].getsockname()[1]}", flush=True)
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main())
