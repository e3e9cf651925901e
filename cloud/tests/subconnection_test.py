"""What devices send on subconnections, sdk/protocol.md §5."""

import asyncio
import json
import pathlib
import signal
import subprocess
import time
import uuid

import pytest
import websockets

from device import Device, LIMIT, SERIAL, durable, ends, hear, hear_ack, log_message, metric, say


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


def kill_before_it_sends(cloud):
    """From now on hawser-cloud dies by SIGKILL as it is about to send anything."""
    status = pathlib.Path(f"/proc/{cloud.process.pid}/status")
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=sendmsg",
                               "-e", "inject=sendmsg:signal=KILL", "-p", str(cloud.process.pid)])
    limit = time.monotonic() + LIMIT
    while "TracerPid:\t0\n" in status.read_text():
        assert time.monotonic() < limit and tracer.poll() is None, "strace does not attach"
        time.sleep(0.01)
    return tracer


def test_a_refusal_that_was_stored_and_not_said(cloud):
    """[data-1] [data-3] The cloud is killed after the commit of a message that it refuses and before its nack leaves: the
    next `welcome` says both, so the message is not sent again, and what is behind it goes on."""
    device, stream = Device(cloud), str(uuid.uuid4())

    async def go():
        _, grants = await device.main()
        monitoring = await device.open(grants["monitoring"], stream, acked=0)
        tracer = kill_before_it_sends(cloud)
        await monitoring.send(durable(1, b"no metrics"))
        await asyncio.to_thread(cloud.process.wait, LIMIT)
        tracer.wait(LIMIT)
        assert cloud.process.returncode == -signal.SIGKILL
        cloud.start()
        monitoring = await device.open(grants["monitoring"], stream, next_seq=2, acked=0)
        assert (monitoring.welcome["acked"], monitoring.welcome["nacked"]) == (1, [1])
        await monitoring.send(durable(2, metric("system.uptime", 5)))
        await hear_ack(monitoring, 2)
    asyncio.run(go())
    row = next(row for row in cloud.show()["subconnections"] if row["service"] == "monitoring")
    assert (row["acked"], row["received"], row["nacked"]) == (2, 1, 1), row
