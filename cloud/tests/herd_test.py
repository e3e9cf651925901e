"""A fleet that loses its server in one moment. HAWSER_HERD: how many devices (200; the row of the matrix is 500)."""

import asyncio
import collections
import datetime
import json
import os
import random
import signal
import sqlite3
import ssl
import time

import pytest
import websockets
from websockets.legacy.client import connect

from device import Device, LIMIT, SLOW

HERD = int(os.environ.get("HAWSER_HERD", "200"))
PER_SECOND = max(10, HERD // 5)
BACK = 150 * SLOW if HERD >= 500 else 45 * SLOW  # seconds, all of them


class Herd:
    def __init__(self, cloud):
        self.cloud, self.connected, self.answers = cloud, 0, collections.Counter()
        self.devices = [Device(cloud, f"HW-H{n:04d}") for n in range(HERD)]
        self.changed = asyncio.Condition()
        self.over = False

    async def post(self, device, path, body, token=""):
        """Status, Retry-After and JSON; a connection of its own, as a device that lost everything has."""
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", self.cloud.auth_port, ssl=self.cloud.tls, server_hostname="localhost"), 30)
        try:
            text = json.dumps(body)
            bearer = f"Authorization: Bearer {token}\r\n" if token else ""
            writer.write(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{bearer}"
                         f"Content-Length: {len(text)}\r\n\r\n{text}".encode())
            head, _, rest = (await asyncio.wait_for(reader.read(), 30)).partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            device.nonce = fields.get("hawser-nonce", "")
            self.answers[int(lines[0].split()[1])] += 1
            return int(lines[0].split()[1]), int(fields.get("retry-after", 0)), json.loads(rest)
        finally:
            writer.close()

    async def attempt(self, device):
        """The seconds until the next one, or None after a connection that was open."""
        if not device.token:
            body = {"serial": device.serial, "model": "HW-1", "agent": "herd/1"}
            if device.nonce:
                body["proof"] = device.proof(device.nonce)
            status, retry_after, answer = await self.post(device, "/hawser/v1/auth", body)
            if status != 200:
                return retry_after * random.uniform(1, 1.2) if status in (429, 503) else 0
            device.token = answer["token"]
        status, retry_after, answer = await self.post(device, "/hawser/v1/register", device.registration(), device.token)
        if status == 401:
            device.token = ""
        if status != 200:
            return retry_after * random.uniform(1, 1.2) if status in (429, 503) else 0
        device.spread = answer["reconnect_spread_s"]
        async with connect(answer["url"], ssl=self.cloud.tls, subprotocols=["hawser.main.v1"], compression=None,
                           extra_headers={"Authorization": f"Bearer {device.token}"}, ping_interval=None,
                           open_timeout=30, close_timeout=1) as socket:
            await self.count(1)
            try:
                await socket.wait_closed()
            finally:
                await self.count(-1)
        return None

    async def live(self, device):
        rounds = 0
        while not self.over:
            try:
                wait = await self.attempt(device)
                if wait is None:
                    rounds, wait = 0, random.uniform(0, device.spread)
            except (OSError, ssl.SSLError, asyncio.TimeoutError, IndexError, websockets.WebSocketException):
                rounds += 1
                wait = random.uniform(1, max(1, min(300, 2 ** rounds)))
            await asyncio.sleep(wait)

    async def count(self, by):
        async with self.changed:
            self.connected += by
            self.changed.notify_all()

    async def until(self, wanted, limit):
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(lambda: self.connected == wanted), limit)


def peak(log, word):
    """The most lines with that word in any second."""
    times = [datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()
             for line in log.splitlines() if word in line]
    most, first = 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.parametrize("spread", [-1, 0], ids=["in the spread of the fleet", "all at once"])
def test_a_herd_comes_back(cloud, spread):
    """[F58] After kill -9 of the server the whole fleet is back in time, let in at the limit, and nobody asks in a loop."""
    cloud.stop()
    cloud.config.write_text(cloud.config.read_text() + f"""
[fleet]
reconnect_spread_s = {spread}
[limits]
admissions_per_second = {PER_SECOND}
""")
    with sqlite3.connect(cloud.folder / "cloud.db") as database:  # a process for each would take the time of the test
        database.executemany("INSERT INTO device(serial, model, generation, added_at) VALUES(?,'','g',1000*unixepoch())",
                             [(f"HW-H{n:04d}",) for n in range(HERD)])
    cloud.start()

    async def go():
        herd = Herd(cloud)
        began = time.monotonic()
        tasks = [asyncio.create_task(herd.live(device)) for device in herd.devices]
        await herd.until(HERD, BACK)
        first = time.monotonic() - began
        told = spread if spread >= 0 else 2 + (HERD + 1) // PER_SECOND  # as long as it takes to let all of them in
        assert {device.spread for device in herd.devices} == {told}
        herd.answers.clear()
        cloud.stop(signal.SIGKILL)
        await herd.until(0, LIMIT)
        began = time.monotonic()
        await asyncio.to_thread(cloud.start)
        await herd.until(HERD, BACK)
        back = time.monotonic() - began
        log = cloud.log.read_text()
        most = peak(log, " registered: ")
        print(f"{HERD} devices: first {first:.1f} s, back {back:.1f} s, most a second {most} of {PER_SECOND}, "
              f"answers {dict(herd.answers)}")
        assert back < BACK
        assert most <= PER_SECOND + 1  # the log rounds to milliseconds
        if spread < 0:
            assert herd.answers[503] <= HERD // 4, "in the spread hardly anybody has to be sent away"
        assert herd.answers[503] <= 3 * HERD and set(herd.answers) <= {200, 401, 503}
        herd.over = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    asyncio.run(go())
