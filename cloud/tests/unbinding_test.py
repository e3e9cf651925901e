"""Unbinding codes."""

import asyncio
import datetime
import json
import re
import sqlite3
import time

from device import Device, SERIAL, ends, hear, say


def test_unbinding(cloud):
    """[conn-16] A right code unbinds and everything closes with 4010; wrong and used ones say so; five wrong are enough."""
    device = Device(cloud)
    bundles, others = cloud.folder / "bundles", f"{SERIAL}-2-20260101T000000Z-12345678.tar.gz"
    bundles.mkdir()
    for name in (others, f"{SERIAL}-20260101T000000Z-12345678.tar.gz", f"{SERIAL}-20260101T000000Z-12345678.tar.new"):
        (bundles / name).write_bytes(b"x")

    async def ask(main, code):
        await say(main, {"type": "unbind", "id": "u", "code": code})
        answer = await hear(main, "unbind_result")
        return answer["ok"] or answer["error"]

    async def go():
        main, grants = await device.main()
        logs = await device.open(grants["log_upload"])
        assert await ask(main, "AAAA2222") == "code_wrong"
        code = cloud.run("unbinding-code", SERIAL).stdout.strip()
        assert await ask(main, code) is True
        assert await ends(main) == (4010, "unbound")
        assert await ends(logs) == (4010, "unbound")
        assert device.authenticate()[1]["error"]["code"] == "unknown_serial"
        assert [path.name for path in bundles.iterdir()] == [others]
        cloud.add()
        device.token = ""
        main, _ = await device.main()
        assert await ask(main, code) == "code_used"
        for _ in range(4):
            assert await ask(main, "AAAA2222") == "code_wrong"
        assert await ask(main, "AAAA2222") == "too_many_requests"
    asyncio.run(go())
    assert cloud.run("unbinding-code", "HW-NOBODYS").stdout.strip().isalnum()


def test_an_expired_code_says_so(cloud):
    """[conn-16] A code that is older than ten minutes is code_expired, and counts neither as wrong nor as used."""
    device = Device(cloud)
    shown = json.loads(cloud.run("unbinding-code", SERIAL, "--json").stdout)
    assert re.fullmatch("[A-Z2-9]{8}", shown["code"])
    left = datetime.datetime.fromisoformat(shown["expires_at"].replace("Z", "+00:00")).timestamp() - time.time()
    assert 540 < left <= 600
    for path in cloud.folder.glob("cloud.db*"):
        assert shown["code"].encode() not in path.read_bytes(), path
    with sqlite3.connect(cloud.folder / "cloud.db") as database:
        database.execute("UPDATE unbinding_code SET expires_at=1000 * unixepoch() - 1")

    async def go():
        main, _ = await device.main()
        for _ in range(6):
            await say(main, {"type": "unbind", "id": "u", "code": shown["code"]})
            answer = await hear(main, "unbind_result")
            assert (answer["id"], answer["ok"], answer["error"]) == ("u", False, "code_expired")
    asyncio.run(go())
    assert cloud.show()["binding"]["key_thumbprint"]


def test_the_answer_for_a_code_shows_nothing(cloud):
    """[conn-16] Whoever asks for a code learns neither whether the serial is added nor whose it is."""
    known = cloud.run("unbinding-code", SERIAL, "--json")
    unknown = cloud.run("unbinding-code", "HW-NOBODYS", "--json")
    assert json.loads(known.stdout).keys() == json.loads(unknown.stdout).keys() == {"code", "expires_at"}
    assert known.stderr == unknown.stderr
    texts = [cloud.run("unbinding-code", serial) for serial in (SERIAL, "HW-NOBODYS")]
    forms = {re.sub("[A-Z2-9]{8}", "CODE", done.stdout + done.stderr) for done in texts}
    assert len(forms) == 1
    cloud.run("unbinding-code", "a serial*", expect=1)
