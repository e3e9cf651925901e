"""What the scripted cloud says on an open main connection (protocol §4) and on a subconnection (§5)."""

import asyncio
import ctypes
import ctypes.util
import json
import pathlib
import struct
import uuid

import jsonschema

from wire import BINARY, TEXT, Ended, Fault


SCHEMAS = {path.name.split(".")[0]: jsonschema.Draft202012Validator(json.loads(path.read_text()))
           for path in (pathlib.Path(__file__).parents[2] / "sdk" / "protocol").glob("*.schema.json")}


def check(name, message):
    """That what the device says is what its schema says."""
    for wrong in SCHEMAS[name].iter_errors(message) if name in SCHEMAS else ():
        raise Fault(f"{name}: {wrong.json_path}: {wrong.message}")


def _no_member_twice(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise Fault("a JSON member stands twice")
    return dict(pairs)


def parse(data):
    message = json.loads(data.decode("utf-8"), object_pairs_hook=_no_member_twice)
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise Fault(f"no message with a type: {data[:80]!r}")
    check(message["type"], message)
    return message


def unzstd(data, limit):
    library = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    for name in ("ZSTD_decompress", "ZSTD_findFrameCompressedSize"):
        getattr(library, name).restype = ctypes.c_size_t
    if library.ZSTD_findFrameCompressedSize(data, ctypes.c_size_t(len(data))) != len(data):
        raise Fault("the payload is not exactly one zstd frame")
    room = ctypes.create_string_buffer(limit)
    size = library.ZSTD_decompress(room, ctypes.c_size_t(limit), data, ctypes.c_size_t(len(data)))
    if library.ZSTD_isError(ctypes.c_size_t(size)):
        raise Fault("a zstd frame that does not decompress")
    return room.raw[:size]


class MainConnection:
    def __init__(self, cloud, socket):
        self.cloud, self.socket, self.keepalives = cloud, socket, 0

    async def run(self):
        cloud = self.cloud
        try:
            while True:
                kind, data = await self.socket.receive()
                if kind != TEXT:
                    raise Fault("a binary message on the main connection")
                message = parse(data)
                if message["type"] not in SCHEMAS:
                    raise Fault(f"no schema tells of {message['type']}")
                cloud.record.add("main:" + message["type"], body=message)
                answer = self._answer(message)
                if answer and not self.socket.mute:
                    await self.socket.send_json(answer)
        except Ended as end:
            cloud.record.add("main:end", code=end.code, reason=end.reason)

    def _answer(self, message):
        kind, cloud = message["type"], self.cloud
        if kind == "keepalive":
            self.keepalives += 1
            if message["seq"] != self.keepalives:
                cloud.fault(f"keepalive seq {message['seq']}, {self.keepalives} is due")
            return {"type": "keepalive_ack", "seq": message["seq"]} if cloud.keepalive_acks else None
        if kind == "subconnection_request":
            granted, refused = cloud.grants(message["services"])
            return {"type": "subconnection_list", "id": message["id"], "grants": granted, "refused": refused}
        if kind == "report":
            return {"type": "report_ack", "id": message["id"]}
        if kind == "unbind":
            return {"type": "unbind_result", "id": message["id"], "ok": False, "error": "code_wrong"}
        return None


class Subconnection:
    def __init__(self, cloud, socket, service):
        self.cloud, self.socket, self.service = cloud, socket, service
        self.resumed = False
        self._sent = 0
        self.state = self.of(cloud, service)

    @staticmethod
    def of(cloud, service):
        return cloud.streams.setdefault(service, {"stream": None, "acked": 0, "out_stream": str(uuid.uuid4()),
                                                  "out": [], "out_acked": 0})

    @staticmethod
    async def push(cloud, service, message):
        state = Subconnection.of(cloud, service)
        state["out"].append(json.dumps(message).encode())
        open_one = cloud.subconnections.get(service)
        if open_one and open_one.resumed and not open_one.socket.closed:
            await open_one._send_waiting()
        return len(state["out"])

    async def run(self):
        cloud, service, state = self.cloud, self.service, self.state
        try:
            await asyncio.wait_for(self._open(), 10)
            await self._send_waiting()
            while True:
                kind, data = await self.socket.receive()
                if kind == BINARY:
                    await self._data(data)
                    continue
                message = parse(data)
                if message["type"] == "ack":
                    state["out_acked"] = message["seq"]
                cloud.record.add(("ack:" if message["type"] == "ack" else "text:") + service, body=message)
                if message["type"] == "skipped":
                    await self._skipped(message)
        except asyncio.TimeoutError:
            cloud.fault(f"{service}: no hello and resume within 10 s")
        except Ended as end:
            cloud.record.add("end:" + service, code=end.code, reason=end.reason)

    async def _open(self):
        cloud, service, state = self.cloud, self.service, self.state
        hello = await self._expect("hello")
        cloud.record.add("hello:" + service, body=hello)
        if hello["stream"] != state["stream"]:
            state["stream"], state["acked"] = hello["stream"], 0
        await self.socket.send_json({"type": "welcome", "acked": state["acked"], "nacked": [],
                                     "stream": state["out_stream"], "next_seq": len(state["out"]) + 1})
        resume = await self._expect("resume")
        cloud.record.add("resume:" + service, body=resume)
        self._sent = resume["acked"]
        self.resumed = True

    async def _expect(self, kind):
        opcode, data = await self.socket.receive()
        if opcode != TEXT or (message := parse(data))["type"] != kind:
            raise Fault(f"{self.service}: {data[:80]!r} where {kind} is due")
        return message

    async def _send_waiting(self):
        while self._sent < len(self.state["out"]):
            self._sent += 1
            await self.socket.send_binary(struct.pack(">BQ", 2, self._sent) + self.state["out"][self._sent - 1])

    async def _skipped(self, message):
        if not message["from"] == self.state["acked"] + 1 <= message["to"]:
            self.cloud.fault(f"{self.service}: skipped {message} after {self.state['acked']}")
        self.state["acked"] = message["to"]
        if self.cloud.acks:
            await self.socket.send_json({"type": "ack", "seq": message["to"]})

    async def _data(self, data):
        cloud, state = self.cloud, self.state
        if len(data) < 9 or data[0] not in (0x01, 0x02, 0x81, 0x82):
            raise Fault(f"{self.service}: binary header {data[:9].hex()}")
        kind, number = struct.unpack(">BQ", data[:9])
        payload = data[9:]
        if kind & 0x80:
            payload = unzstd(payload, 16 * cloud.grant_limits["max_message_bytes"])
        if kind & 0x7f == 1 and self.service in cloud.echoes:
            await self.socket.send_binary(struct.pack(">BQ", 1, 0) + payload)
            return
        cloud.record.add("data:" + self.service, kind=kind, seq=number, size=len(payload))
        if kind & 0x7f == 1:
            return
        if number > state["acked"] + 1:
            cloud.fault(f"{self.service}: number {number} after {state['acked']}")
            await self.socket.close(1008, "policy")
            return
        if number == state["acked"] + 1:
            if self.service == "log_upload":
                check("log_header", json.loads(payload[4:4 + struct.unpack(">I", payload[:4])[0]]))
            if self.service == "config_push":
                check("status", json.loads(payload))
            state["acked"] = number
            cloud.messages.setdefault(self.service, []).append(payload)
        if cloud.acks:
            await self.socket.send_json({"type": "ack", "seq": state["acked"]})
