"""A vendor's microservice behind the gateway: [[microservice]] of cloud.toml."""

import asyncio
import json
import pathlib
import signal
import sqlite3
import struct
import subprocess
import sys
import uuid

import pytest
import websockets

import device as devices
from device import Device, LIMIT, SERIAL, SLOW, durable, ends, hear_ack, say

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "sdk" / "examples" / "microservice" / "heartbeat_service.py"
PROTOCOL = "example.heartbeat.v1"
KEY = "kept-between-these-two"


@pytest.fixture(autouse=True)
def heartbeat(monkeypatch):
    monkeypatch.setitem(devices.PROTOCOLS, "heartbeat", PROTOCOL)


def with_microservice(cloud, port, **more):
    """The cloud, started anew with that microservice."""
    cloud.stop()
    (cloud.folder / "heartbeat.key").write_text(KEY + "\n")
    rows = {"service": "heartbeat", "protocol": PROTOCOL, "url": f"ws://127.0.0.1:{port}/beats?from=gateway",
            "key_file": "heartbeat.key", **more}
    text = cloud.config.read_text().split("[[microservice]]")[0]
    cloud.config.write_text(text + "\n[[microservice]]\n" + "".join(f"{name} = {json.dumps(value)}\n"
                                                                   for name, value in rows.items()))
    return cloud.start()


async def granted(device):
    socket, grants = await device.main()
    return socket, (await device.grants(socket, ["heartbeat"]))["heartbeat"]


class Service:
    """A microservice of the test's own: `play` is what it does with each connection."""

    def __init__(self, play, port=0):
        self.play, self.port, self.seen = play, port, asyncio.Queue()

    async def __aenter__(self):
        async def one(socket):
            await self.seen.put(socket)
            await self.play(socket)
        self.server = await websockets.serve(one, "127.0.0.1", self.port, subprotocols=[PROTOCOL], max_size=2 ** 22)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def socket(self):
        return await asyncio.wait_for(self.seen.get(), LIMIT)


async def listen(socket):
    await socket.wait_closed()


def test_the_example_takes_each_message_once(cloud, tmp_path):
    """[cloud-5] The example microservice gets a device's durable messages through the gateway, each once, over a
    connection that is lost and one that begins anew; without the gateway's key it takes nobody."""
    database, key = tmp_path / "beats.db", cloud.folder / "heartbeat.key"
    key.write_text(KEY)
    service = subprocess.Popen([sys.executable, EXAMPLE, database, "--port", "0", "--key-file", key],
                               stdout=subprocess.PIPE, text=True)
    try:
        port = int(service.stdout.readline().split()[-1])
        with_microservice(cloud, port)
        device, stream = Device(cloud), str(uuid.uuid4())

        async def go():
            _, grant = await granted(device)
            beats = await device.open(grant, stream)
            for seq in (1, 2):
                await beats.send(durable(seq, b"beat %d" % seq))
            await hear_ack(beats, 2)
            beats = await device.open(grant, stream, next_seq=4)
            assert beats.welcome["acked"] == 2
            await beats.send(durable(2, b"beat 2"))
            await say(beats, {"type": "skipped", "from": 3, "to": 3, "reason": "spool_full"})
            await beats.send(durable(4, b"beat 4"))
            await hear_ack(beats, 4)
            async with websockets.connect(f"ws://127.0.0.1:{port}/", subprotocols=[PROTOCOL],
                                          extra_headers={"Hawser-Serial": SERIAL}) as stranger:
                assert await ends(stranger) == (1008, "not the gateway")
        asyncio.run(go())
        rows = sqlite3.connect(database).execute("SELECT serial, seq, beat FROM beats ORDER BY seq").fetchall()
        assert rows == [(SERIAL, 1, "beat 1"), (SERIAL, 2, "beat 2"), (SERIAL, 3, "skipped: spool_full"), (SERIAL, 4, "beat 4")]
    finally:
        service.kill()
        service.wait()


def test_the_microservice_is_told_who_the_device_is(cloud):
    """[cloud-5] The request at the microservice names device, service, plugin, digest and address, the gateway's key and
    the subprotocol; a header of these names that the device sends does not get through. Texts and data pass both ways."""
    async def go():
        async with Service(listen) as service:
            with_microservice(cloud, service.port)
            device = Device(cloud)
            _, grant = await granted(device)
            outside = await websockets.connect(grant["url"], ssl=cloud.tls, subprotocols=[PROTOCOL], max_size=2 ** 22, extra_headers={
                "Authorization": f"Bearer {grant['token']}", "Hawser-Serial": "HW-OTHER"})
            inside = await service.socket()
            headers = inside.request_headers
            assert inside.path == "/beats?from=gateway" and inside.subprotocol == PROTOCOL
            assert headers.get_all("Hawser-Serial") == [SERIAL] and headers["Hawser-Service"] == "heartbeat"
            assert headers["Hawser-Plugin"] == "hawser.heartbeat" and headers["Hawser-Address"] == "127.0.0.1"
            assert headers["Hawser-Plugin-Digest"] == "sha256:" + "ab" * 32
            assert headers["Authorization"] == f"Bearer {KEY}"
            for message in ("a text", struct.pack(">BQ", 1, 0) + bytes(200_000), b""):
                await outside.send(message)
                assert await asyncio.wait_for(inside.recv(), LIMIT) == message
                await inside.send(message)
                assert await asyncio.wait_for(outside.recv(), LIMIT) == message
            shown = next(each for each in cloud.show()["subconnections"] if each["service"] == "heartbeat")
            assert shown["state"] == "ready", shown
            await outside.close(1001)
            await asyncio.wait_for(inside.wait_closed(), LIMIT)
            assert inside.close_code == 1001
    asyncio.run(go())


@pytest.mark.parametrize("code, reason, heard", [(1000, "normal", (1000, "normal")), (4012, "revoked", (4012, "revoked")),
                                                 (1013, "try_again", (1013, "try_again"))])
def test_what_the_microservice_says_last_is_passed_on(cloud, code, reason, heard):
    """[cloud-5] The code and reason with which the microservice ends a subconnection are what the device hears."""
    async def go():
        async with Service(lambda socket: socket.close(code, reason)) as service:
            with_microservice(cloud, service.port)
            device = Device(cloud)
            _, grant = await granted(device)
            assert await ends(await device.dial(grant["url"], PROTOCOL, grant["token"])) == heard
    asyncio.run(go())


def test_a_microservice_that_is_not_there(cloud):
    """[cloud-5] Refused, ended without a Close, or of another protocol: the device is told to try again, the log says
    where and why, and the cloud's own services go on."""
    async def lost(socket):
        socket.transport.abort()

    async def go():
        async with Service(lost) as service:
            with_microservice(cloud, service.port)
            device = Device(cloud)
            main, grant = await granted(device)
            assert await ends(await device.dial(grant["url"], PROTOCOL, grant["token"])) == (1013, "try_again")
        assert await ends(await device.dial(grant["url"], PROTOCOL, grant["token"])) == (1013, "try_again")
        await device.open((await device.grants(main))["monitoring"])
    asyncio.run(go())
    assert f"{SERIAL}/heartbeat: its microservice at 127.0.0.1" in cloud.log.read_text()
    assert "connect: Connection refused" in cloud.log.read_text()


def test_the_operator_ends_it(cloud):
    """[cloud-5] A device that is removed, and one that is replaced by its own newer connection: both ends hear of it."""
    async def go():
        async with Service(listen) as service:
            with_microservice(cloud, service.port)
            device = Device(cloud)
            _, grant = await granted(device)
            first = await device.dial(grant["url"], PROTOCOL, grant["token"])
            inside_first = await service.socket()
            second = await device.dial(grant["url"], PROTOCOL, grant["token"])
            inside_second = await service.socket()
            assert await ends(first) == (4009, "replaced")
            await asyncio.wait_for(inside_first.wait_closed(), LIMIT)
            assert inside_first.close_code == 4009
            await asyncio.get_running_loop().run_in_executor(None, lambda: cloud.run("device", "remove", SERIAL))
            assert await ends(second) == (4003, "device_removed")
            await asyncio.wait_for(inside_second.wait_closed(), LIMIT)
            assert inside_second.close_code == 4003
    asyncio.run(go())


def test_a_message_that_is_too_big_ends_it(cloud):
    """[cloud-5] A message of the microservice beyond limits.max_message_bytes is not passed on."""
    async def play(socket):
        await socket.send(bytes((1 << 20) + 1))
        await socket.wait_closed()

    async def go():
        async with Service(play) as service:
            with_microservice(cloud, service.port)
            device = Device(cloud)
            _, grant = await granted(device)
            assert await ends(await device.dial(grant["url"], PROTOCOL, grant["token"])) == (1009, "too_big")
            assert (await service.socket()).close_code == 1009
    asyncio.run(go())


def test_the_cloud_goes_down(cloud):
    """[cloud-7] SIGTERM closes what is passed on as it does its own, and tells the microservice."""
    async def go():
        async with Service(listen) as service:
            with_microservice(cloud, service.port)
            device = Device(cloud)
            _, grant = await granted(device)
            outside = await device.dial(grant["url"], PROTOCOL, grant["token"])
            inside = await service.socket()
            cloud.process.send_signal(signal.SIGTERM)
            assert await ends(outside) == (1012, "restarting")
            await asyncio.wait_for(inside.wait_closed(), LIMIT)
            assert inside.close_code == 1012
    asyncio.run(go())
    assert cloud.process.wait(LIMIT) == 0


def test_a_device_cannot_write_the_gateways_headers(cloud):
    """[cloud-5] A plugin's name that holds a line break, or anything else than an id, never gets as far as a header."""
    device = Device(cloud)
    assert device.authenticate()[0] == 200
    for plugin in ("evil\r\nHawser-Serial: HW-VICTIM", "acme", "acme..shell", ".acme.shell", "Acme.shell"):
        status, answer = device.register(services=[{**device.services(["heartbeat"])[0], "plugin": plugin}])
        assert status == 400 and "plugin is no id" in answer["error"]["message"], answer


@pytest.mark.parametrize("reason", ["\u6d4b" * 41, "x" + "\u6d4b" * 40, "\x01" * 100])
def test_the_last_words_may_be_any(cloud, reason):
    """[cloud-5] A reason as long as a Close holds, of characters of several bytes or of control characters, in either
    direction: both ends are closed, and the operator still can remove the device."""
    async def go():
        async with Service(lambda socket: socket.close(4321, reason)) as service:
            with_microservice(cloud, service.port)
            device = Device(cloud)
            _, grant = await granted(device)
            assert await ends(await device.dial(grant["url"], PROTOCOL, grant["token"])) == (4321, reason)
            service.play = listen
            outside = await device.dial(grant["url"], PROTOCOL, grant["token"])
            await service.socket()
            inside = await service.socket()
            await outside.close(4322, reason)
            await asyncio.wait_for(inside.wait_closed(), LIMIT)
            assert (inside.close_code, inside.close_reason) == (4322, reason)
    asyncio.run(go())
    shown = next(each for each in cloud.show()["subconnections"] if each["service"] == "heartbeat")
    assert shown["state"] != "ready", shown


def test_a_reload_takes_microservices_over(cloud):
    """[cloud-5] SIGHUP: a microservice that is new is granted to devices that are connected, one that moved gets its
    devices anew, and one that is gone gets nothing more."""
    async def go():
        async with Service(listen) as first, Service(listen) as second:
            with_microservice(cloud, first.port)
            device = Device(cloud)
            main, grant = await granted(device)
            old = cloud.config.read_text()

            def reload(text):
                cloud.config.write_text(text)
                cloud.process.send_signal(signal.SIGHUP)
            outside = await device.dial(grant["url"], PROTOCOL, grant["token"])
            await first.socket()
            reload(old.replace(f":{first.port}/", f":{second.port}/"))
            assert await ends(outside) == (1012, "restarting")
            update = await devices.hear(main, "subconnection_update")
            grant = next(each for each in update["grants"] if each["service"] == "heartbeat")
            outside = await device.dial(grant["url"], PROTOCOL, grant["token"])
            await second.socket()
            reload(old.split("[[microservice]]")[0])
            assert await ends(outside) == (1012, "restarting")
            assert not (await devices.hear(main, "subconnection_update"))["grants"]
            reload(old)
            update = await devices.hear(main, "subconnection_update")
            assert [each["service"] for each in update["grants"]] == ["heartbeat"]
    asyncio.run(go())


def test_an_end_that_does_not_read_stops_the_other(cloud):
    """[cloud-5] 48 MiB for a device that reads nothing for a while, and many small messages for a microservice that does
    not answer the upgrade yet: the sender is held up, and nothing is lost."""
    size, count, sent = 512 * 1024, 96, []

    async def play(socket):
        for number in range(count):
            await socket.send(number.to_bytes(4, "big") + bytes(size))
            sent.append(number)
        await socket.wait_closed()

    async def held_up():
        """Until nothing more goes out for a while."""
        before = -1
        while len(sent) > before:
            before = len(sent)
            await asyncio.sleep(SLOW)

    async def go():
        async with Service(play) as service:
            with_microservice(cloud, service.port)
            device = Device(cloud)
            _, grant = await granted(device)
            outside = await device.dial(grant["url"], PROTOCOL, grant["token"])
            outside.transport.pause_reading()
            await service.socket()
            await asyncio.wait_for(held_up(), 60 * SLOW)
            assert 0 < len(sent) < count // 2, sent
            outside.transport.resume_reading()
            for number in range(count):
                assert (await asyncio.wait_for(outside.recv(), LIMIT))[:4] == number.to_bytes(4, "big")
    asyncio.run(go())


def test_what_comes_before_the_microservice_is_there_waits(cloud):
    """[cloud-5] 20 000 messages of a device before its microservice has answered the upgrade: all of them get there, in
    order."""
    count = 20_000

    async def go():
        answer, got = asyncio.Event(), []

        async def slow(path, headers):
            await asyncio.wait_for(answer.wait(), LIMIT)

        async def play(socket):
            async for message in socket:
                got.append(int(message))
        server = await websockets.serve(play, "127.0.0.1", 0, subprotocols=[PROTOCOL], process_request=slow)
        with_microservice(cloud, server.sockets[0].getsockname()[1])
        device = Device(cloud)
        _, grant = await granted(device)
        outside = await device.dial(grant["url"], PROTOCOL, grant["token"])
        for number in range(count // 4):
            await outside.send(str(number))
        answer.set()
        for number in range(count // 4, count):
            await outside.send(str(number))
        for _ in range(int(LIMIT * 20)):
            if len(got) == count:
                break
            await asyncio.sleep(0.05)
        assert got == list(range(count))
        server.close()
    asyncio.run(go())


@pytest.mark.parametrize("change, words", [
    ({"service": "monitoring"}, 'microservice.service: "monitoring" is the cloud\'s own; take another name'),
    ({"service": "Heart Beat"}, "microservice.service: is no name of a service: 1 to 64 of a-z, 0-9 and _"),
    ({"protocol": "a b"}, "microservice.protocol: is no subprotocol"),
    ({"url": "http://127.0.0.1:1/"}, "microservice.url: is not of the form"),
    ({"url": "ws://user@127.0.0.1:1/"}, "microservice.url: is not of the form"),
    ({"url": "ws://shell.example.com:1/"}, "with an address in place of a name"),
    ({"key_file": "none.key"}, "none.key"),
    ({"colour": "red"}, "microservice.colour: is no setting; there are key_file, protocol, service, url")])
def test_a_wrong_microservice_is_refused(cloud, change, words):
    """[cloud-5] What is wrong about a [[microservice]] is told with its place, and nothing starts."""
    with_microservice(cloud, 9001)
    rows = {"service": "heartbeat", "protocol": PROTOCOL, "url": "ws://127.0.0.1:9001/", **change}
    text = cloud.config.read_text().split("[[microservice]]")[0]
    cloud.config.write_text(text + "[[microservice]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in rows.items()))
    done = subprocess.run([devices.PROGRAM, "--check", "--config", cloud.config], capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 78 and words in done.stderr + done.stdout, done
