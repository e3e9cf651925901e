"""From nothing to three subconnections."""

import asyncio
import base64
import json
import time

from device import Device, PROTOCOLS, SERIAL, durable, hear, hear_ack, hear_data, log_message, metric, refused_upgrade, say


def test_good_path(cloud):
    """[cloud-1] A device gets from nothing to three subconnections whose data an operator can read back."""
    began = time.monotonic()
    device = Device(cloud)

    async def go():
        main, grants = await device.main()
        assert set(grants) == set(PROTOCOLS) and device.refused == []
        await say(main, {"type": "keepalive", "seq": 1})
        assert (await hear(main, "keepalive_ack"))["seq"] == 1
        monitoring = await device.open(grants["monitoring"], acked=0)
        await monitoring.send(durable(1, metric("system.uptime", 41)))
        await monitoring.send(durable(2, metric("system.uptime", 42, at=1_700_000_010)))
        await hear_ack(monitoring, 2)
        logs = await device.open(grants["log_upload"], acked=0)
        await logs.send(durable(1, log_message(b"one\ntwo\xff\x00\n")))
        await logs.send(durable(2, log_message(b"three\n", offset=10)))
        await hear_ack(logs, 2)
        config = await device.open(grants["config_push"], acked=0)
        shown = cloud.show()
        assert shown["state"] == "connected" and shown["site"] == "branch-042"
        assert {each["service"]: (each["state"], each["acked"], each["received"]) for each in shown["subconnections"]} == {
            "monitoring": ("ready", 2, 2), "log_upload": ("ready", 2, 2), "config_push": ("ready", 0, 0)}
        await push(config)

    async def push(config):
        (cloud.folder / "new.conf").write_text("hello\n")
        done = cloud.run("config", "push", SERIAL, f"/etc/x.conf={cloud.folder / 'new.conf'}", "--reload", "r")
        revision = done.stdout.split()[1]
        seq, payload = await hear_data(config)
        apply = json.loads(payload)
        assert seq == 1 and apply["type"] == "apply" and apply["revision"] == revision
        assert (apply["mode"], apply["part"], apply["parts"], apply["reload"]) == ("apply", 1, 1, ["r"])
        assert base64.b64decode(apply["files"][0]["content_b64"]) == b"hello\n"
        await say(config, {"type": "ack", "seq": 1})
        await config.send(durable(1, json.dumps({"type": "status", "revision": revision, "state": "confirmed"}).encode()))
        await hear_ack(config, 1)
        assert json.loads(cloud.run("config", "show", SERIAL, "--json").stdout)[0]["state"] == "confirmed"

    asyncio.run(go())
    metrics = json.loads(cloud.run("metrics", SERIAL, "--json").stdout)
    assert [(each["name"], each["value"], len(each["history"])) for each in metrics] == [("system.uptime", 42.0, 2)]
    assert cloud.run("logs", SERIAL, "--source", "syslog", text=False).stdout == b"one\ntwo\xff\x00\nthree\n"
    assert time.monotonic() - began < 60


def test_the_url_of_the_registration_serves(cloud):
    """[conn-3] The registration answers a wss URL on the connection port, and only the latest one opens."""
    device = Device(cloud)
    device.authenticate()
    assert device.register()[0] == 200
    first = device.url
    assert first.startswith(f"wss://localhost:{cloud.port}/hawser/v1/connect/")
    assert device.token not in first
    assert device.register()[0] == 200
    assert refused_upgrade(device, first, "hawser.main.v1", device.token) == 404
    assert refused_upgrade(device, device.url, "hawser.main.v1", device.token) == 101
