"""The program: its configuration, signals, and its end."""

import asyncio
import http.client
import json
import signal
import socket
import ssl
import struct
import time

import jsonschema
import pytest

from device import (Cloud, Device, FROM_CLOUD, LIMIT, SCHEMAS, SERIAL, SLOW, check, durable, ends, hear, hear_ack, log_message,
                    refused_upgrade, say)


def test_schemas_are_schemas():
    """Each schema is a schema, and the messages of this test's device are what theirs say."""
    for validator in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(validator.schema)
    assert FROM_CLOUD <= set(SCHEMAS)

    class Nowhere:
        pass
    device = Device(Nowhere())
    check("register_request", device.registration())
    check("auth_request", {"serial": SERIAL, "model": "HW-1", "agent": "test/1", "proof": device.proof("A" * 43)})
    check("subconnection_request", {"type": "subconnection_request", "id": "q1", "services": device.services()})
    size = struct.unpack(">I", log_message(b"a\n")[:4])[0]
    check("log_header", json.loads(log_message(b"a\n")[4:4 + size]))


def test_sigterm_drains(cloud):
    """[ops-5] SIGTERM asks main connections to leave, closes subconnections with 1012, and ends within 5 s."""
    device = Device(cloud)

    async def go():
        main, grants = await device.main()
        logs = await device.open(grants["log_upload"])
        await logs.send(durable(1, log_message(b"last\n")))
        idle = http.client.HTTPSConnection("localhost", cloud.auth_port, context=cloud.tls, timeout=LIMIT)
        idle.request("GET", "/")
        idle.getresponse().read()  # and it stays open
        began = time.monotonic()
        cloud.process.send_signal(signal.SIGTERM)
        drain = await hear(main, "drain")
        assert drain["retry_after_s"] >= 0 and drain["spread_s"] >= 0
        await main.close(4011, "drained")
        assert await ends(logs) == (1012, "restarting")
        while cloud.process.poll() is None:
            assert time.monotonic() - began < 5 * SLOW
            await asyncio.sleep(0.02)
        idle.close()
    asyncio.run(go())
    assert cloud.process.returncode == 0
    assert cloud.run("logs", SERIAL).stdout == "last\n"


def test_faults_of_the_configuration(tmp_path):
    """[cloud-1] --check names every fault of cloud.toml with file, line and column, and exits 78; usage errors 64."""
    made = Cloud(tmp_path / "cloud")
    assert made.run("--check").returncode == 0
    made.config.write_text('[server]\nnames = "x"\nauthentication_port = 70000\nspeed = 1\n[other]\n')
    faults = made.run("--check", expect=78).stderr.splitlines()
    for wanted in ("cloud.toml:2:9: server.names: ", "cloud.toml:3:23: server.authentication_port: ", "cloud.toml:4:1: server.speed: ",
                   "cloud.toml:5:2: other: ", "server.certificate_file: is missing"):
        assert any(wanted in fault for fault in faults), (wanted, faults)
    made.config.write_text("[server\n")
    assert "cloud.toml:1:" in made.run("serve", expect=78).stderr
    made.run("no-such-command", expect=64)


def test_a_second_signal_ends_at_once(cloud):
    """[ops-5] While devices are asked to leave nothing new is taken in, and a second SIGTERM ends the server at once."""
    cloud.stop()
    cloud.config.write_text(cloud.config.read_text() + "[fleet]\ndrain_spread_s = 60\ndrain_limit_s = 60\n")
    cloud.start()
    device = Device(cloud)

    async def go():
        main, grants = await device.main()
        cloud.process.send_signal(signal.SIGTERM)
        drain = await hear(main, "drain")
        assert drain["spread_s"] == 60
        status, answer = device.register()
        assert (status, answer["error"]["code"]) == (503, "unavailable") and int(device.headers["Retry-After"]) >= 1
        assert device.auth()[0] == 503
        log = grants["log_upload"]
        assert await asyncio.to_thread(refused_upgrade, device, log["url"], log["protocol"], log["token"]) == 503
        await say(main, {"type": "keepalive", "seq": 1})
        await hear(main, "keepalive_ack")  # who is still here is served
        began = time.monotonic()
        cloud.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(cloud.process.wait, LIMIT)
        assert time.monotonic() - began < 2 * SLOW
    asyncio.run(go())
    assert cloud.process.returncode == 0


def test_the_drain_has_a_limit(cloud):
    """[cloud-7] Devices that do not leave are closed with 1012 at the limit, and what they sent is kept."""
    cloud.stop()
    cloud.config.write_text(cloud.config.read_text() + "[fleet]\ndrain_spread_s = 0\ndrain_limit_s = 1\n")
    cloud.start()
    device = Device(cloud)

    async def go():
        main, grants = await device.main()
        logs = await device.open(grants["log_upload"])
        await logs.send(durable(1, log_message(b"last\n")))
        await hear_ack(logs, 1)
        cloud.process.send_signal(signal.SIGTERM)
        assert await ends(logs) == (1012, "restarting")
        began = time.monotonic()
        assert await ends(main) == (1012, "restarting")
        assert 0.5 < time.monotonic() - began < 3 * SLOW
    asyncio.run(go())
    assert cloud.process.wait(LIMIT) == 0
    assert cloud.run("logs", SERIAL).stdout == "last\n"


def test_the_service_manager_is_told(cloud, monkeypatch, tmp_path):
    """[ops-2] READY, the watchdog's sign of life, RELOADING at SIGHUP and STOPPING are said; a bad file changes nothing."""
    cloud.stop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(LIMIT)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        def told(wanted):
            while wanted not in (text := manager.recv(1000).decode()):
                pass
            return text

        cloud.start()
        assert told("READY=1") == "READY=1"
        told("WATCHDOG=1")
        good = cloud.config.read_text()
        cloud.config.write_text(good + "[fleet]\nreconnect_spread_s = 77\n")
        cloud.process.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in told("RELOADING=1")
        told("READY=1")
        device = Device(cloud)
        device.authenticate()
        assert device.register()[1]["reconnect_spread_s"] == 77
        cloud.config.write_text(good + "[fleet]\nreconnect_spread_s = -7\n")
        cloud.process.send_signal(signal.SIGHUP)
        told("RELOADING=1")
        told("READY=1")
        assert "cloud.toml" in next(line for line in cloud.log.read_text().splitlines() if "not reloaded" in line)
        assert device.register()[1]["reconnect_spread_s"] == 77
        cloud.config.write_text(good)
        cloud.process.send_signal(signal.SIGTERM)
        told("STOPPING=1")
        assert cloud.process.wait(LIMIT) == 0


def test_a_new_certificate_is_served_after_a_reload(cloud):
    """[ops-5] SIGHUP serves a renewed certificate to new connections; the open ones stay."""
    other = Cloud(cloud.folder.parent / "other")
    device = Device(cloud)

    async def go():
        main, _ = await device.main()
        for name in ("server.crt", "server.key"):
            (cloud.folder / name).write_bytes((other.folder / name).read_bytes())
        cloud.process.send_signal(signal.SIGHUP)
        limit = time.monotonic() + LIMIT
        while "reloaded: " not in cloud.log.read_text():
            assert time.monotonic() < limit
            await asyncio.sleep(0.02)
        with pytest.raises(ssl.SSLCertVerificationError):
            device.auth()
        cloud.tls = other.tls
        assert device.auth()[0] == 401
        await say(main, {"type": "keepalive", "seq": 1})
        await hear(main, "keepalive_ack")
    asyncio.run(go())


def test_admission_is_limited(cloud):
    """[F58] Who comes over the limit is answered 503 with the seconds until its turn, and is let in then."""
    cloud.stop()
    cloud.config.write_text(cloud.config.read_text() + "[limits]\nadmissions_per_second = 1\n")
    cloud.start()
    device = Device(cloud)
    waits = []
    for _ in range(4):
        status, answer = device.authenticate()
        if status == 503:
            assert answer["error"]["code"] == "unavailable"
            waits.append(int(device.headers["Retry-After"]))
    assert len(waits) >= 2 and waits == sorted(waits) and waits[-1] <= 5
    limit = time.monotonic() + LIMIT
    while device.authenticate()[0] != 200:
        assert time.monotonic() < limit
        time.sleep(0.1)
    assert device.register()[0] == 200  # not charged twice
