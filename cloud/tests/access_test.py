"""Passwords, services that an operator takes away, history, and bundles."""

import asyncio
import hashlib
import http.client
import json
import os
import pty
import sqlite3
import ssl
import stat
import subprocess
import time

import pytest

from device import Device, LIMIT, PROGRAM, PROTOCOLS, SERIAL, ends, hear, refused_upgrade, say


def test_a_password_is_set_and_unset(cloud):
    """[conn-15] A password set later is asked for at the next authentication, and no copy of it lies in the clear."""
    device = Device(cloud)
    assert device.authenticate()[0] == 200
    cloud.run("device", "password", SERIAL, stdin="s3cret-word\n")
    assert device.authenticate()[1]["error"]["code"] == "password_required"
    assert device.authenticate(pwd=device.pwd("wrong", device.nonce))[1]["error"]["code"] == "password_wrong"
    assert device.authenticate(pwd=device.pwd("s3cret-word", device.nonce))[0] == 200
    for path in cloud.folder.iterdir():
        assert b"s3cret-word" not in path.read_bytes(), path
    assert b"s3cret-word" not in cloud.log.read_bytes()
    assert stat.S_IMODE((cloud.folder / "cloud.db.key").stat().st_mode) == 0o600
    assert cloud.show()["binding"]["password_set"] is True
    cloud.run("device", "password", SERIAL, "--unset")
    assert device.authenticate()[0] == 200
    for wrong in ("", "\n", "x" * 129 + "\n"):
        assert "1 to 128" in cloud.run("device", "password", SERIAL, stdin=wrong, expect=1).stderr
    cloud.run("device", "password", "HW-NOBODY", stdin="x\n", expect=1)


def test_a_password_is_read_without_echo(cloud):
    """[conn-15] On a terminal the password is asked for twice and not shown."""
    mine, theirs = pty.openpty()
    asked = subprocess.Popen([PROGRAM, "device", "password", SERIAL, "--config", cloud.config], stdin=theirs,
                             stdout=subprocess.PIPE, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = b""
    for prompt in (b"password: ", b"again: "):
        while prompt not in seen:
            seen += os.read(mine, 1000)
        os.write(mine, b"hidden-word\n")
    assert b"needs this password" in asked.communicate(timeout=LIMIT)[0] and asked.returncode == 0
    try:
        while more := os.read(mine, 1000):
            seen += more
    except OSError:
        pass
    os.close(mine)
    assert b"hidden" not in seen
    device = Device(cloud)
    device.auth()
    assert device.authenticate(pwd=device.pwd("hidden-word", device.nonce))[0] == 200


def test_a_lost_key_file_is_named(cloud):
    """[conn-15] Without the key of the passwords their devices are asked to wait, others come in, and the log says why."""
    cloud.run("device", "add", "HW-PW", "--password-stdin", stdin="s3cret\n")
    (cloud.folder / "cloud.db.key").unlink()
    device = Device(cloud, "HW-PW")
    device.auth()
    assert device.authenticate(pwd=device.pwd("s3cret", device.nonce))[0] == 503
    assert "cloud.db.key" in cloud.log.read_text()
    assert Device(cloud).authenticate()[0] == 200


def test_a_service_is_taken_and_given_back(cloud):
    """[cloud-1] A disabled service is revoked, refused, and closed if it stays; enabled, its grant comes by itself."""
    device = Device(cloud)

    async def go():
        main, grants = await device.main()
        logs = await device.open(grants["log_upload"], acked=0)
        cloud.run("service", "disable", SERIAL, "log_upload")
        revoke = await hear(main, "subconnection_revoke")
        assert (revoke["service"], revoke["reason"]) == ("log_upload", "not_enabled_for_site")
        old = grants["log_upload"]
        assert await asyncio.to_thread(refused_upgrade, device, old["url"], old["protocol"], old["token"]) == 401
        assert set(await device.grants(main)) == {"monitoring", "config_push"}
        assert device.refused == [{"service": "log_upload", "reason": "not_enabled_for_site"}]
        assert await ends(logs) == (4012, "revoked")  # it did not go by itself
        cloud.run("service", "enable", SERIAL, "log_upload")
        update = await hear(main, "subconnection_update")
        assert {grant["service"] for grant in update["grants"]} == set(PROTOCOLS)
        grant = next(grant for grant in update["grants"] if grant["service"] == "log_upload")
        await device.open(grant, acked=0)
    asyncio.run(go())
    assert "HW-NOBODY" in cloud.run("service", "disable", "HW-NOBODY", "monitoring", expect=1).stderr
    cloud.run("service", "disable", SERIAL, "Log Upload", expect=1)


def test_a_service_is_taken_while_the_main_connection_is_away(cloud):
    """[sec-6] A device that gives up its main connection does not keep a service that an operator took from it."""
    device = Device(cloud)

    async def go():
        main, grants = await device.main()
        logs = await device.open(grants["log_upload"], acked=0)
        metrics = await device.open(grants["monitoring"], acked=0)
        await main.close(1001)
        cloud.run("service", "disable", SERIAL, "log_upload")
        assert await ends(logs) == (4012, "revoked")
        old = grants["log_upload"]
        with sqlite3.connect(cloud.folder / "cloud.db") as database:  # as if it had been made in the same moment
            database.execute("INSERT INTO token SELECT ?, kind, serial, generation, 'log_upload', plugin, digest, ?,"
                             " expires_at FROM token WHERE service='monitoring' LIMIT 1",
                             (hashlib.sha256(old["token"].encode()).hexdigest(), old["protocol"]))
        assert await asyncio.to_thread(refused_upgrade, device, old["url"], old["protocol"], old["token"]) == 401
        await metrics.close(1001)
        main, grants = await device.main()  # and one that only comes back to keep it
        metrics = await device.open(grants["monitoring"], acked=0)
        await main.close(1001)
        cloud.run("service", "enable", SERIAL, "log_upload")
        main = await device.dial(device.url, "hawser.main.v1", device.token)
        cloud.run("service", "disable", SERIAL, "monitoring")
        assert await ends(metrics) == (4012, "revoked")
    asyncio.run(go())


def test_history_has_both_sides(cloud):
    """[state-2] History shows what the device reported, word for word, and what the cloud saw, with address and code."""
    device = Device(cloud)
    event = {"id": "e1", "at": "2026-01-01T00:00:00Z", "uptime_ms": 5, "kind": "down", "service": "",
             "reason": "dns_failed", "detail": "no such name"}

    async def go():
        main, grants = await device.main()
        await say(main, {"type": "report", "id": "r1", "events": [event]})
        await hear(main, "report_ack")
        logs = await device.open(grants["log_upload"])
        await logs.close(1001)
        second, _ = await device.main()
        code, reason = await ends(main)
        assert (code, reason) == (4009, "replaced by 127.0.0.1")
        await second.close(4011)
    asyncio.run(go())
    wanted = [("", "up", "", None), ("log_upload", "up", "", None), ("log_upload", "down", "going_away", 1001),
              ("", "up", "", None), ("", "down", "replaced", 4009), ("", "down", "drained", 4011)]
    limit = time.monotonic() + LIMIT
    while True:
        events = json.loads(cloud.run("device", "history", SERIAL, "--json").stdout)["events"]
        seen = [(each["service"], each["kind"], each["reason"], each["code"]) for each in events if each["side"] == "cloud"]
        if sorted(map(str, seen)) == sorted(map(str, wanted)):
            break
        assert time.monotonic() < limit, seen
        time.sleep(0.05)
    assert all(each["peer"] == "127.0.0.1" and each["at"] for each in events if each["side"] == "cloud")
    assert next(each for each in events if each["reason"] == "replaced")["detail"] == "by 127.0.0.1"
    told = next(each for each in events if each["side"] == "device")
    assert {name: told[name] for name in event} == event
    text = cloud.run("device", "history", SERIAL, "--limit", 1).stdout
    assert len(text.splitlines()) == 2 and "dns_failed  no such name" in text
    assert "drained" in text or "replaced" in text  # the two ends wait for nobody, so either may be the last


def put(cloud, url, body, headers=None):
    """The status that a PUT there is answered with."""
    host, _, path = url.removeprefix("https://").partition("/")
    connection = http.client.HTTPSConnection("localhost", int(host.rpartition(":")[2]), context=cloud.tls, timeout=LIMIT)
    try:
        connection.request("PUT", "/" + path, body, headers or {})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_bundle_is_fetched(cloud, tmp_path, chunked):
    """[state-4] The cloud asks for a bundle, takes it once at an address nobody can guess, and keeps it to its owner."""
    device = Device(cloud)
    content = b"\x1f\x8b" + os.urandom(3_000_000)
    out = tmp_path / "bundle.tar.gz"

    async def go():
        main, _ = await device.main()
        fetch = await asyncio.create_subprocess_exec(
            PROGRAM, "bundle", SERIAL, "--output", out, "--wait", str(int(LIMIT)), "--config", cloud.config,
            stdout=asyncio.subprocess.PIPE)
        command = await hear(main, "command")
        assert command["name"] == "collect_bundle"
        url = command["args"]["url"]
        assert url.startswith(f"https://localhost:{cloud.port}/hawser/v1/upload/") and len(url.rpartition("/")[2]) >= 43
        assert await asyncio.to_thread(put, cloud, url[:-4] + "AAAA", b"x") == 404
        body = (content[at:at + 100_000] for at in range(0, len(content), 100_000)) if chunked else content
        assert await asyncio.to_thread(put, cloud, url, body, {"Expect": "100-continue"} if not chunked else {}) == 200
        assert await asyncio.to_thread(put, cloud, url, b"again") == 404
        await say(main, {"type": "command_result", "id": command["id"], "ok": True, "result": {}})
        assert (await asyncio.wait_for(fetch.communicate(), LIMIT))[0].decode().strip() == str(out)
    asyncio.run(go())
    assert out.read_bytes() == content and stat.S_IMODE(out.stat().st_mode) == 0o600
    kept = list((cloud.folder / "bundles").iterdir())
    assert len(kept) == 1 and kept[0].name.endswith(".tar.gz") and stat.S_IMODE(kept[0].stat().st_mode) == 0o600
    assert stat.S_IMODE((cloud.folder / "bundles").stat().st_mode) == 0o700


def test_a_bundle_goes_with_its_device(cloud):
    """[sec-6] A device that is removed while its bundle comes leaves none, and neither does one that had sent it."""
    device = Device(cloud)

    async def go():
        main, _ = await device.main()
        for early in (True, False):
            fetch = await asyncio.create_subprocess_exec(PROGRAM, "bundle", SERIAL, "--config", cloud.config,
                                                         stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
            url = (await hear(main, "command"))["args"]["url"]

            def pieces():
                yield b"x" * 1000
                if not early:
                    cloud.run("device", "remove", SERIAL)
                yield b"x" * 1000
            assert await asyncio.to_thread(put, cloud, url, pieces()) == (200 if early else 503)
            assert "removed meanwhile" not in (await fetch.communicate())[1].decode() or not early
    asyncio.run(go())
    assert list((cloud.folder / "bundles").iterdir()) == []


def test_bundles_that_cannot_be(cloud):
    """[state-4] Too large, cut off, refused by the device and late bundles are each a sentence, and leave no file."""
    device = Device(cloud)

    async def fetch_with(answer, wait=LIMIT):
        fetch = await asyncio.create_subprocess_exec(
            PROGRAM, "bundle", SERIAL, "--wait", str(int(wait)), "--config", cloud.config,
            stderr=asyncio.subprocess.PIPE)
        command = await hear(device.socket, "command")
        await answer(command)
        said = (await asyncio.wait_for(fetch.communicate(), LIMIT))[1].decode()
        assert fetch.returncode == 1
        return said

    async def too_large(command):
        url = command["args"]["url"]
        status = await asyncio.to_thread(put, cloud, url, b"", {"Content-Length": str((64 << 20) + 1)})
        assert status == 413

    async def endless(command):
        def pieces():
            for _ in range(70):
                yield b"\0" * (1 << 20)
        try:
            assert await asyncio.to_thread(put, cloud, command["args"]["url"], pieces()) == 413
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass  # it was refused while it was still being sent

    async def cut(command):
        try:
            await asyncio.to_thread(put, cloud, command["args"]["url"], iter([b"x" * 1000]), {"Content-Length": "5000"})
        except (TimeoutError, ConnectionError):
            pass

    async def unable(command):
        await say(device.socket, {"type": "command_result", "id": command["id"], "ok": False,
                                  "error": {"code": "unknown_command", "message": "no"}})

    async def silent(command):
        pass

    async def go():
        device.socket, _ = await device.main()
        assert "64 MiB" in await fetch_with(endless)
        assert "unknown_command" in await fetch_with(unable)
        assert "no bundle within 1 s" in await fetch_with(silent, 1)
        await fetch_with(too_large, 1)
    asyncio.run(go())
    assert list((cloud.folder / "bundles").iterdir()) == []
    with sqlite3.connect(cloud.folder / "cloud.db") as database:
        assert database.execute("SELECT count(*) FROM upload WHERE state='done'").fetchone() == (0,)
