"""The main connection of sdk/protocol.md §4."""

import asyncio
import json

import pytest

from device import Device, LIMIT, SERIAL, ends, hear, say


def main_fault(cloud, message):
    device = Device(cloud)

    async def go():
        main, _ = await device.main()
        await main.send(message)
        return await ends(main)
    return asyncio.run(go())


@pytest.mark.parametrize("message, code, reason", [
    (b"binary", 1003, "not_text"), ("[]", 1007, "bad_payload"), ("{", 1007, "bad_payload"),
    ('{"type":"keepalive","seq":1,"seq":2}', 1007, "bad_payload"), ('{"type":"keepalive","seq":0}', 1008, "policy"),
    ('{"type":"keepalive","seq":2}', 1008, "policy"), ('{"type":"report","id":"1","events":[]}', 1008, "policy"),
    ("x" * (256 * 1024 + 1), 1009, "too_big")], ids=range(8))
def test_faults_end_the_main_connection(cloud, message, code, reason):
    """[cloud-1] A fault of a main-connection message ends it with the code of the protocol."""
    assert main_fault(cloud, message) == (code, reason)


def test_a_newer_connection_replaces(cloud):
    """[conn-24] The second main connection of a serial ends the first with 4009."""
    device = Device(cloud)

    async def go():
        first, _ = await device.main()
        second, _ = await device.main()
        assert await ends(first) == (4009, "replaced by 127.0.0.1")
        await say(second, {"type": "keepalive", "seq": 1})
        await hear(second, "keepalive_ack")
        assert cloud.show()["state"] == "connected"
    asyncio.run(go())


def test_reports_are_kept_once(cloud):
    """[state-2] Events of a report that is repeated are kept once, with their reasons."""
    device = Device(cloud)
    event = {"id": "e1", "at": None, "uptime_ms": 5, "kind": "down", "service": "monitoring", "reason": "peer_closed"}

    async def go():
        main, _ = await device.main()
        for events in ([event], [event, {**event, "id": "e2"}]):
            await say(main, {"type": "report", "id": "r1", "events": events})
            assert (await hear(main, "report_ack"))["id"] == "r1"
        await say(main, {"type": "never_heard_of", "id": "x"})
        await say(main, {"type": "keepalive", "seq": 1})
        await hear(main, "keepalive_ack")
    asyncio.run(go())
    assert [(each["id"], each["reason"]) for each in cloud.show()["events"]] == [("e1", "peer_closed"), ("e2", "peer_closed")]


def test_commands_are_repeated_until_answered(cloud):
    """[cloud-1] A command is sent at once, again on the next connection, and not after its result."""
    device = Device(cloud)

    async def go():
        main, _ = await device.main()
        cloud.run("device", "command", SERIAL, "state")
        first = await hear(main, "command")
        assert (first["name"], first["args"]) == ("state", {})
        main, _ = await device.main()  # the request for grants comes after commands
        await main.close()
        status, _ = device.register()
        main = await device.dial(device.url, "hawser.main.v1", device.token)
        again = await hear(main, "command")
        assert again == first
        await say(main, {"type": "command_result", "id": again["id"], "ok": True, "result": {"a": 1}})
        await say(main, {"type": "keepalive", "seq": 1})
        await hear(main, "keepalive_ack")
        device.register()
        main = await device.dial(device.url, "hawser.main.v1", device.token)
        await say(main, {"type": "keepalive", "seq": 1})
        assert json.loads(await asyncio.wait_for(main.recv(), LIMIT))["type"] == "keepalive_ack"
    asyncio.run(go())


def test_blocking_takes_effect_while_connected(cloud):
    """[cloud-1] A device that is blocked or removed loses its connections at once."""
    device = Device(cloud)

    async def go():
        main, grants = await device.main()
        logs = await device.open(grants["log_upload"])
        cloud.run("device", "block", SERIAL)
        assert (await ends(main))[0] == 4001 and (await ends(logs))[0] == 4001
        cloud.run("device", "unblock", SERIAL)
        main, grants = await device.main()
        logs = await device.open(grants["log_upload"])
        cloud.run("device", "remove", SERIAL)
        assert await ends(main) == (4003, "device_removed") and await ends(logs) == (4003, "device_removed")
    asyncio.run(go())


def test_unknown_services_are_refused(cloud):
    """[cloud-1] A list names grants for what the cloud knows, and refusals for the rest."""
    device = Device(cloud)

    async def go():
        main, _ = await device.main()
        assert set(await device.grants(main, ("monitoring", "acme"))) == {"monitoring"}
        assert device.refused == [{"service": "acme", "reason": "service_unknown"}]
        assert await device.grants(main, ()) == {}
    asyncio.run(go())
