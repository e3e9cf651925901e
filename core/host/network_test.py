"""The real hawser-host and what the core tells it of binding, proxy, clock, network and unbinding."""

import asyncio
import base64
import contextlib
import time

import pytest

from end_to_end_test import SLOWNESS, TOKEN, closed, durable, parts, receive, say, scenario, text


def binding(**members):
    return {"ip_version": "any", "vpn_instance": "", "source_ip": "", **members}


def test_the_binding_of_a_grant_is_honoured():
    """[conn-14] A subconnection leaves from the source address of its grant; what is missing is named in its status."""

    async def play(cloud, host):
        await host.say(**cloud.grant(binding=binding(source_ip="127.0.0.7", ip_version="4")))
        connection, _, _ = await cloud.welcome()
        assert connection.remote_address[0] == "127.0.0.7"
        await host.state("ready")
        for members, reason, detail in [
                ({"vpn_instance": "no-such"}, "vpn_instance_missing", "vpn_instance no-such: "),
                ({"source_ip": "203.0.113.9"}, "source_ip_missing", "source_ip 203.0.113.9 "),
                ({"ip_version": "6"}, "dns_failed", "127.0.0.1 is no IPv6 address")]:
            since = len(host.heard)
            await host.say(type="server_changed")
            await host.state("waiting_for_grant", since)
            await host.say(**cloud.grant(binding=binding(**members)))
            status = await host.state("backoff", since)
            assert status["failure_reason"] == reason and status["detail"].startswith(detail), status

    scenario(play)


@contextlib.asynccontextmanager
async def connect_proxy(requests):
    """An HTTP CONNECT proxy on a free port of 127.0.0.1; keeps what it was asked."""
    tasks = set()

    async def pump(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        host, port = requests[-1].split()[1].rsplit(":", 1)
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()


def test_the_proxy_of_the_setup_is_used_and_alone_sees_its_credentials():
    """[conn-22] A subconnection goes through the proxy, with its credentials and without any in the host's messages."""
    requests = []

    async def play(cloud, host):
        async with connect_proxy(requests) as port:
            host.proxy["port"] = port
            await host.start()
            await host.say(**cloud.grant())
            await cloud.welcome()
            await host.state("ready")
            assert requests[0].startswith(f"CONNECT 127.0.0.1:{cloud.port} HTTP/1.1\r\n")
            credentials = base64.b64encode(b"someone:proxy-word").decode()
            assert f"Proxy-Authorization: Basic {credentials}\r\n" in requests[0]
            assert TOKEN not in requests[0]
            _, headers = cloud.requests[0]
            assert "Proxy-Authorization" not in headers
            assert "proxy-word" not in str(host.heard) and credentials not in str(host.heard)

    scenario(play, proxy={"host": "127.0.0.1", "port": 0, "user": "someone", "password": "proxy-word", "no_proxy": []})


def test_a_later_time_that_the_cloud_told_counts_at_the_next_dial():
    """[conn-23] validity_floor reaches a running host: a certificate that has ended by it is refused."""

    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome()
        await host.state("ready")
        since = len(host.heard)
        await host.say(type="validity_floor", at=int(time.time()) + 365 * 24 * 3600)
        await connection.close(1012)
        status = await host.hears(since, type="subconnection", state="backoff", failure_reason="certificate_clock")
        assert "expired on" in status["detail"]

    scenario(play)


def test_news_of_the_network_ends_the_backoff_at_once():
    """[conn-20] Eight failures in a row would wait 8 s at least; each news of the network ends the wait."""

    async def play(cloud, host):
        cloud.refuse_with = 500
        await host.say(**cloud.grant())
        began = time.monotonic()
        for _ in range(8):
            since = len(host.heard)
            await host.state("backoff", since)
            await host.say(type="network_changed", resumed=False)
        await host.state("connecting", since)
        assert time.monotonic() - began < 8
        assert len(cloud.requests) >= 8

    scenario(play)


def test_a_wait_that_the_cloud_asked_for_outlives_news_of_the_network():
    """[conn-20] After 1013 nothing is dialled for 30 s, whatever the network does."""

    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome()
        await connection.close(1013)
        await host.state("backoff")
        for resumed in (False, True):
            await host.say(type="network_changed", resumed=resumed)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(cloud.accepted.get(), 2.5)

    scenario(play)


def test_after_a_sleep_the_old_connection_is_dead_at_once():
    """[conn-19] [F77] A host that is told of a sleep leaves its connection and is back within 2 s, whatever the spread."""

    async def play(cloud, host):
        await host.say(**cloud.grant(reconnect_spread_s=3600))
        connection, hello, _ = await cloud.welcome()
        await say(connection, type="do", what="send_ten")
        assert parts(await receive(connection))[1] == 1
        since = len(host.heard)
        await host.say(type="network_changed", resumed=True)
        status = await host.state("backoff", since)
        assert (status["failure_reason"], status["detail"]) == ("hang_up", "the device slept")
        began = time.monotonic()
        again, hello_again, _ = await cloud.welcome(acked=4)
        assert time.monotonic() - began < 2 + SLOWNESS
        assert hello_again["stream"] == hello["stream"]
        assert parts(await receive(again))[1] == 5

    scenario(play)


def test_a_loss_after_news_of_the_network_is_local():
    """[conn-19] Such a loss waits 2 s at most; the same loss without the news waits the spread."""

    async def play(cloud, host):
        await host.say(**cloud.grant(reconnect_spread_s=3600))
        connection, _, _ = await cloud.welcome()
        await host.state("ready")
        await host.say(type="network_changed", resumed=False)
        await say(connection, type="do", what="send_text")
        await text(connection)  # so that the news has arrived
        connection.transport.abort()
        began = time.monotonic()
        again, _, _ = await cloud.welcome()
        assert time.monotonic() - began < 2 + SLOWNESS
        await again.close(1012)  # a cloud that says good-bye: no local loss
        await host.hears(type="subconnection", state="backoff", failure_reason="restarting")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(cloud.accepted.get(), 2.5)

    scenario(play)


def test_an_unbound_device_keeps_nothing_for_its_next_cloud():
    """[conn-16] Unbound: closed, grants and outbox discarded and counted, a new stream under the next grant."""

    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, hello, _ = await cloud.welcome()
        await say(connection, type="do", what="send_ten")
        for _ in range(10):
            await receive(connection)
        await connection.send(durable(1, b"one"))
        assert await text(connection) == {"type": "ack", "seq": 1}
        since = len(host.heard)
        await host.say(type="unbound")
        assert await closed(connection) == 1000
        status = await host.hears(since, type="subconnection", state="waiting_for_grant", queued_messages=0)
        assert status["failure_reason"] == "unbound" and status["dropped"] == {"unbound": 10}
        await host.hears(since, type="event", kind="dropped", service="probe", reason="unbound")
        await host.logs("nacked 10 unbound")
        await host.say(**cloud.grant())
        _, hello_again, resume = await cloud.welcome(stream="cloud-2")
        assert hello_again["stream"] != hello["stream"] and hello_again["next_seq"] == 1
        assert resume["acked"] == 0

    scenario(play)
