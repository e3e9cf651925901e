"""hawser.config.v1 at the cloud."""

import asyncio
import base64
import json
import os

from device import Device, LIMIT, PROGRAM, SERIAL, check, durable, ends, hear_ack, hear_data, say


def test_large_pushes_are_split(cloud):
    """[cfg-1] A file larger than a part goes on in the next part under the same path, and fits together again."""
    device = Device(cloud)
    local = cloud.folder / "large"
    content = os.urandom(1_300_000)
    local.write_bytes(content)

    async def go():
        _, grants = await device.main()
        config = await device.open(grants["config_push"], acked=0)
        cloud.run("config", "push", SERIAL, f"/etc/large={local}")
        parts, got = [], b""
        while not parts or len(parts) < parts[0]["parts"]:
            seq, payload = await hear_data(config)
            parts.append(json.loads(payload))
            assert seq == len(parts) == parts[-1]["part"] and len(payload) + 9 <= grants["config_push"]["max_message_bytes"]
            assert parts[-1]["files"][0].get("offset", 0) == len(got)
            got += base64.b64decode(parts[-1]["files"][0]["content_b64"])
        assert len(parts) > 1 and got == content
    asyncio.run(go())


def test_statuses_are_told_whole(cloud):
    """[cfg-1] What a device says of a revision, code and sentence, is shown; its diff obeys no terminal."""
    device = Device(cloud)
    local = cloud.folder / "local"
    local.write_text("x\n")

    async def go():
        _, grants = await device.main()
        config = await device.open(grants["config_push"], acked=0)
        pushing = await asyncio.create_subprocess_exec(
            PROGRAM, "config", "push", SERIAL, f"/etc/x={local}", "--check", "--wait", str(int(LIMIT)), "--config",
            cloud.config, stdout=asyncio.subprocess.PIPE)
        revision = json.loads((await hear_data(config))[1])["revision"]
        status = {"type": "status", "revision": revision, "state": "checked", "diff": "-\ta\n+\x1b]0;evil\x07\u009b\n"}
        check("status", status)
        await config.send(durable(1, json.dumps(status).encode()))
        out = (await asyncio.wait_for(pushing.communicate(), LIMIT))[0]
        assert b"\n-\ta\n+\\x1b]0;evil\\x07" in out and b"\x1b" not in out and b"\xc2\x9b" not in out
        status = {"type": "status", "revision": revision, "state": "rejected", "reason": "path_refused",
                  "detail": "/etc/x is not under the allowed paths"}
        check("status", status)
        await config.send(durable(2, json.dumps(status).encode()))
        await hear_ack(config, 2)
        shown = json.loads(cloud.run("config", "show", SERIAL, "--json").stdout)[0]
        assert (shown["state"], shown["reason"], shown["detail"]) == ("rejected", "path_refused", status["detail"])
        assert f"path_refused, {status['detail']}" in cloud.run("config", "show", SERIAL).stdout
        await say(config, {"type": "ack", "seq": 1})
        # A part that the device refuses for good ends its revision.
        cloud.run("config", "push", SERIAL, f"/etc/x={local}")
        assert (await hear_data(config))[0] == 2
        await say(config, {"type": "nack", "seq": 2, "code": "too_big", "message": "a part has at most 16 MiB"})
        await say(config, {"type": "ack", "seq": 2})
        config = await device.open(grants["config_push"], acked=2)
        shown = json.loads(cloud.run("config", "show", SERIAL, "--json").stdout)[1]
        assert (shown["state"], shown["reason"], shown["detail"]) == ("rejected", "too_big", "a part has at most 16 MiB")
        # A nack may follow right after `resume`, for a number that this covers.
        config = await device.open(grants["config_push"], acked=2)
        await say(config, {"type": "nack", "seq": 1, "code": "bad_payload", "message": "no"})
        await config.send(durable(1, json.dumps(status).encode()))
        await hear_ack(config, 1)
    asyncio.run(go())


def test_pushes_that_cannot_be_are_refused(cloud):
    """[cfg-1] A mode that no device takes is refused in a sentence, and an interval needs a connected device."""
    local = cloud.folder / "local"
    local.write_text("x\n")
    for mode in ("4755", "rw", "0", "1644"):
        assert "--mode" in cloud.run("config", "push", SERIAL, f"/etc/x={local}", "--mode", mode, expect=1).stderr
    local.chmod(0o4755)
    assert "set-user-id" in cloud.run("config", "push", SERIAL, f"/etc/x={local}", expect=1).stderr
    assert "not connected" in cloud.run("metrics", SERIAL, "--set-interval", 5, expect=1).stderr
    assert json.loads(cloud.run("config", "show", SERIAL, "--json").stdout) == []


def test_many_files_stay_within_the_message_limit(cloud):
    """[cfg-1] Parts hold to the grant's limit also when names outweigh contents and the limit is small."""
    cloud.stop()
    cloud.config.write_text(cloud.config.read_text() + "[limits]\nmax_message_bytes = 16384\n")
    cloud.start()
    device = Device(cloud)
    local = cloud.folder / "local"
    local.write_bytes(b"x" * 10)

    async def go():
        _, grants = await device.main()
        config = await device.open(grants["config_push"], acked=0)
        cloud.run("config", "push", SERIAL, *[f"/etc/{'d' * 200}/{n}={local}" for n in range(200)])
        parts = []
        while not parts or len(parts) < parts[0]["parts"]:
            _, payload = await hear_data(config)
            assert len(payload) + 9 <= grants["config_push"]["max_message_bytes"] == 16384
            parts.append(json.loads(payload))
        assert len({file["path"] for part in parts for file in part["files"]}) == 200
    asyncio.run(go())
