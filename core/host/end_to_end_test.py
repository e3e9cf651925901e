"""The real hawser-host with the probe plugin, against a cloud that each test scripts: TLS, WebSocket, sdk/protocol.md §5.

Both the control channel and the cloud are written here a second time, from their descriptions alone.
"""

import asyncio
import http
import itertools
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import sys
import tempfile
from pathlib import Path

import pytest
import websockets

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "end_to_end"))
from certificates import Authority  # noqa: E402

HOST = os.environ["HAWSER_HOST_PROGRAM"]
# Where a host's own user may enter: not below a clone in /root. hawserd hands over the file itself.
_shared = tempfile.TemporaryDirectory(prefix="hawser-host-test-")
PLUGINS = Path(shutil.copytree(os.environ["HAWSER_TEST_PLUGINS"], Path(_shared.name) / "plugins"))
PLUGINS.parent.chmod(0o755)
SLOWNESS = int(os.environ.get("HAWSER_SLOWNESS", "1"))
LIMIT = 20 * SLOWNESS  # seconds, for whatever is waited for
USER = 1879049001  # a host's own, of the range that hawserd takes
TOKEN = "grant-token-that-no-log-may-hold"


class Cloud:
    """A TLS WebSocket server on a free port; a test accepts its connections one by one."""

    def __init__(self, authority):
        self.accepted = asyncio.Queue()
        self.requests = []  # (path, headers) of every upgrade
        self.refuse_with = None  # an HTTP status
        chain, key = authority.issue(["127.0.0.1"])
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(chain, key)

    async def __aenter__(self):
        async def on_request(path, headers):
            self.requests.append((path, headers))
            if self.refuse_with:
                return http.HTTPStatus(self.refuse_with), [], b'{"error":{"code":"token_expired","message":"old"}}'
            return None

        async def on_connection(connection):
            await self.accepted.put(connection)
            await connection.wait_closed()

        self.server = await websockets.serve(on_connection, "127.0.0.1", 0, ssl=self.tls, compression=None,
                                             subprotocols=["acme.probe.v1"], process_request=on_request,
                                             ping_interval=None, close_timeout=1)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def accept(self):
        return await asyncio.wait_for(self.accepted.get(), LIMIT)

    async def welcome(self, acked=0, stream="cloud-1", next_seq=1, nacked=()):
        """Accepts, exchanges hello, welcome and resume; returns the connection, the hello and the resume."""
        connection = await self.accept()
        hello = await text(connection)
        await say(connection, type="welcome", acked=acked, nacked=list(nacked), stream=stream, next_seq=next_seq)
        return connection, hello, await text(connection)

    def grant(self, **changes):
        grant = {"service": "probe", "protocol": "acme.probe.v1", "url": f"wss://127.0.0.1:{self.port}/hawser/probe?a=b",
                 "token": TOKEN, "expires_in": 3600, "max_message_bytes": 1048576, "max_in_flight_messages": 4096,
                 "max_in_flight_bytes": 8388608, "ping_s": 60}
        return {"type": "grant", "grant": {**grant, **changes}}


async def receive(connection):
    return await asyncio.wait_for(connection.recv(), LIMIT)


async def text(connection):
    message = await receive(connection)
    assert isinstance(message, str), message
    return json.loads(message)


async def say(connection, **members):
    await connection.send(json.dumps(members))


def durable(number, payload):
    return struct.pack(">BQ", 2, number) + payload


def parts(message):
    kind, number = struct.unpack(">BQ", message[:9])
    return kind, number, message[9:]


async def closed(connection):
    await asyncio.wait_for(connection.wait_closed(), LIMIT)
    return connection.close_code


class Host:
    """hawser-host as a child; the test holds the core's end of its control channel."""

    def __init__(self, authority, state_dir, config=None, proxy=None, plugin="probe"):
        self.authority, self.state_dir, self.proxy, self.plugin = authority, state_dir, proxy, plugin
        self.config = config or {"do": "open_probe"}
        self.heard = []
        self.sent = itertools.count(1)
        self.news = asyncio.Event()

    async def __aenter__(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self.channel = ours
        self.process = await asyncio.create_subprocess_exec(HOST, pass_fds=[3],
                                                            preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
        theirs.close()
        self.reader = asyncio.create_task(self._read())
        if not self.proxy:
            await self.start()
        return self

    async def start(self):
        """The setup; a test with a proxy calls it when the proxy stands."""
        confinement = self.walls()
        await self.say(type="setup", plugin="acme.probe", version="1.2.3", digest="sha256:00", instance="1",
                       **({"confinement": confinement} if confinement else {}),
                       library=str(PLUGINS / f"{self.plugin}.so"), state_dir=str(self.state_dir), config=self.config, serial="SN-1", hostname="box",
                       site="", ca_file=str(self.authority.file), validity_floor=0, actions=[],
                       services=[{"service": "probe", "protocols": ["acme.probe.v1"]}], proxy=self.proxy)
        if confinement:
            isolation = (await self.hears(type="confined"))["isolation"]
            assert isolation["own_uid"] and isolation["seccomp"] and not isolation["missing"], isolation

    def walls(self):
        """The whole of them where there is something to give up. No test here needs more than a plugin has."""
        if os.geteuid() != 0:
            return None
        os.chown(self.state_dir, USER, USER)
        for path in self.state_dir.rglob("*"):
            os.chown(path, USER, USER)
        return {"uid": USER, "gid": USER, "capabilities": [], "paths": [], "may_execute": False, "may_listen": False,
                "address_space_bytes": 0, "file_bytes": 1 << 28, "descriptors": 256, "threads": 32,
                "network_namespace": ""}

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self.reader.cancel()
        self.channel.close()
        assert TOKEN not in json.dumps(self.heard), "the token stands in a message"

    async def _read(self):
        loop = asyncio.get_running_loop()
        for number in itertools.count(1):
            packet = await loop.sock_recv(self.channel, 1 << 17)
            if not packet:
                break
            magic, length, count, zero = struct.unpack("<4I", packet[:16])
            assert (magic, length, count, zero) == (0x48575331, len(packet) - 16, number, 0)
            self.heard.append(json.loads(packet[16:]))
            self.news.set()

    async def say(self, **message):
        data = json.dumps(message).encode()
        packet = struct.pack("<4I", 0x48575331, len(data), next(self.sent), 0) + data
        await asyncio.get_running_loop().sock_sendall(self.channel, packet)

    async def hears(self, since=0, **members):
        """The first message after the first `since` ones that has all these members."""

        async def look():
            seen = since
            while True:
                while seen < len(self.heard):
                    message = self.heard[seen]
                    seen += 1
                    if all(message.get(name) == value for name, value in members.items()):
                        return message
                self.news.clear()
                await self.news.wait()

        try:
            return await asyncio.wait_for(look(), LIMIT)
        except asyncio.TimeoutError:
            raise AssertionError(f"no {members} in\n" + "\n".join(map(json.dumps, self.heard))) from None

    async def logs(self, line):
        return await self.hears(type="log", message=line)

    async def state(self, state, since=0):
        return await self.hears(since, type="subconnection", state=state)


def scenario(play, config=None, proxy=None, plugin="probe"):
    """Runs `play(cloud, host)` with a cloud and a host of its own."""

    async def run():
        # Below /tmp, whatever TMPDIR says: the host's own user has to reach its folder.
        with tempfile.TemporaryDirectory(prefix="hawser-host-", dir="/tmp") as folder:
            Path(folder).chmod(0o711)
            authority = Authority(Path(folder) / "ca")
            state_dir = Path(folder) / "state"
            state_dir.mkdir()
            async with Cloud(authority) as cloud, Host(authority, state_dir, config, proxy, plugin) as host:
                await play(cloud, host)

    asyncio.run(run())


def test_a_grant_leads_to_a_ready_subconnection_that_sends_and_is_acknowledged():
    async def play(cloud, host):
        await host.state("waiting_for_grant")
        await host.say(**cloud.grant())
        connection, hello, resume = await cloud.welcome()
        assert hello["type"] == "hello" and hello["next_seq"] == 1
        assert (hello["plugin"], hello["version"]) == ("acme.probe", "1.2.3")
        assert resume == {"type": "resume", "acked": 0}
        path, headers = cloud.requests[0]
        assert path == "/hawser/probe?a=b"
        assert headers["Authorization"] == "Bearer " + TOKEN
        assert headers["Sec-WebSocket-Protocol"] == "acme.probe.v1"
        status = await host.state("ready")
        assert status["url"] == f"wss://127.0.0.1:{cloud.port}/hawser/probe?a=b"
        assert status["failure_reason"] is None
        await host.logs(f'opened {{"protocol":"acme.probe.v1","max_message_bytes":1048576,"url":"{status["url"]}"}}')
        await say(connection, type="do", what="send_ten")
        for number in range(1, 11):
            assert parts(await receive(connection)) == (2, number, f"message {number - 1}".encode())
        await say(connection, type="ack", seq=10)
        await host.logs("acked 10")
        status = await host.hears(type="subconnection", state="ready", acked_seq=10)
        assert (status["sent_messages"], status["queued_messages"]) == (10, 0)

    scenario(play)


def test_after_a_loss_the_unacknowledged_messages_come_again_once_each_and_in_order():
    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, hello, _ = await cloud.welcome()
        await say(connection, type="do", what="send_ten")
        for _ in range(10):
            await receive(connection)
        await say(connection, type="ack", seq=3)
        await host.logs("acked 3")
        await connection.close(1012, "restarting")
        await host.logs("closed restarting")
        again, hello_again, _ = await cloud.welcome(acked=7)
        assert hello_again["stream"] == hello["stream"] and hello_again["next_seq"] == 11
        for number in (8, 9, 10):
            assert parts(await receive(again)) == (2, number, f"message {number - 1}".encode())
        await say(again, type="nack", seq=9, code="bad_payload", message="no")
        await say(again, type="ack", seq=10)
        await host.logs("nacked 9 bad_payload")
        await host.logs("acked 10")
        status = await host.hears(type="subconnection", state="ready", acked_seq=10)
        assert status["reconnects"] == 1 and status["dropped"] == {"nacked": 1}
        await host.hears(type="event", kind="dropped", service="probe", reason="nacked")

    scenario(play)


def test_a_cloud_that_lost_its_state_gets_a_new_stream_at_once():
    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, hello, _ = await cloud.welcome()
        await say(connection, type="do", what="send_ten")
        for _ in range(10):
            await receive(connection)
        await say(connection, type="ack", seq=6)
        await host.logs("acked 6")
        await connection.close(1001)
        second = await cloud.accept()
        await text(second)
        await say(second, type="welcome", acked=2, nacked=[], stream="cloud-1", next_seq=1)
        assert await closed(second) == 1000
        third, hello_again, _ = await cloud.welcome()
        assert hello_again["stream"] != hello["stream"] and hello_again["next_seq"] == 5
        assert [parts(await receive(third))[1:] for _ in range(4)] == [
            (number, f"message {number + 5}".encode()) for number in (1, 2, 3, 4)]
        await say(third, type="ack", seq=4)
        await host.logs("acked 10")
        status = await host.hears(type="subconnection", state="ready", acked_seq=10)
        assert status["dropped"] == {"cloud_state_lost": 4}

    scenario(play)


def test_durable_messages_reach_the_plugin_and_are_acknowledged_refused_or_held():
    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome(next_seq=1)
        await connection.send(durable(1, b"one"))
        assert await text(connection) == {"type": "ack", "seq": 1}
        await host.logs("durable 1 one")
        await connection.send(durable(2, b"refuse"))
        assert await text(connection) == {"type": "nack", "seq": 2, "code": "bad_payload", "message": "no thanks"}
        assert await text(connection) == {"type": "ack", "seq": 2}
        await connection.send(durable(3, b"pending"))
        await connection.send(durable(4, b"four"))
        assert await text(connection) == {"type": "ack", "seq": 4}
        await connection.send(struct.pack(">BQ", 0x82, 5) + b"no zstd frame")
        refusal = await text(connection)
        assert (refusal["type"], refusal["seq"]) == ("nack", 5)
        assert await text(connection) == {"type": "ack", "seq": 5}
        stored = json.loads((host.state_dir / ".hawser-received-probe").read_text())
        assert stored == {"stream": "cloud-1", "number": 5}

    scenario(play)


def test_a_message_that_is_neither_taken_nor_refused_comes_again_after_a_reconnect():
    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome(next_seq=2)
        await connection.send(durable(1, b"again"))
        assert await closed(connection) == 1011
        second, _, resume = await cloud.welcome(next_seq=2)
        assert resume["acked"] == 0
        await second.send(durable(1, b"again"))
        assert await text(second) == {"type": "ack", "seq": 1}

    scenario(play)


def test_the_received_number_survives_kill_9_of_the_host():
    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome()
        await connection.send(durable(1, b"one"))
        await connection.send(durable(2, b"two"))
        while (await text(connection))["seq"] != 2:
            pass
        host.process.send_signal(signal.SIGKILL)
        await host.process.wait()
        async with Host(host.authority, host.state_dir) as second:
            await second.say(**cloud.grant())
            again, _, resume = await cloud.welcome(next_seq=4)
            assert resume["acked"] == 2
            await again.send(durable(2, b"two"))
            await again.send(durable(3, b"three"))
            assert await text(again) == {"type": "ack", "seq": 3}
            await second.logs("durable 3 three")
            assert not [m for m in second.heard if m.get("message", "").startswith("durable 2")]

    scenario(play)


def test_what_a_killed_host_had_sent_comes_again_under_the_same_stream_and_numbers():
    """[iso-8] kill -9 of a host loses nothing that it accepted, and the cloud can tell what it has already."""
    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, hello, _ = await cloud.welcome()
        await say(connection, type="do", what="send_ten")
        for number in range(1, 11):  # only what is on stable storage is sent
            assert parts(await receive(connection)) == (2, number, f"message {number - 1}".encode())
        host.process.send_signal(signal.SIGKILL)
        await host.process.wait()
        async with Host(host.authority, host.state_dir) as second:
            await second.say(**cloud.grant())
            again, hello_again, _ = await cloud.welcome(acked=7)
            assert hello_again["stream"] == hello["stream"] and hello_again["next_seq"] == 11
            for number in (8, 9, 10):
                assert parts(await receive(again)) == (2, number, f"message {number - 1}".encode())
            await say(again, type="ack", seq=10)
            await second.hears(type="subconnection", state="ready", acked_seq=10)

    scenario(play)


def test_texts_best_effort_and_compression_pass_in_both_directions():
    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome()
        await connection.send(struct.pack(">BQ", 1, 0) + b"hi")
        await host.logs("message hi")
        await say(connection, type="do", what="send_text")
        assert await text(connection) == {"type": "hello_from_probe"}
        await say(connection, type="do", what="send_best_effort")
        assert parts(await receive(connection)) == (1, 0, b"quick")
        await say(connection, type="do", what="send_compressed")
        kind, number, payload = parts(await receive(connection))
        assert (kind, number) == (0x82, 1)
        assert payload[:4] == b"\x28\xb5\x2f\xfd" and len(payload) < 100
        await connection.send(struct.pack(">BQ", 0x82, 1) + payload)
        await host.logs("durable 1 " + "z" * 40)

    scenario(play)


def test_a_flood_through_a_small_outbox_is_paused_and_arrives_whole_over_losses():
    async def play(cloud, host):
        await host.say(**cloud.grant(max_in_flight_messages=1000))
        connection, _, _ = await cloud.welcome()
        await say(connection, type="do", what="flood")
        stored = 0
        while stored < 20000:
            kind, number, payload = parts(await receive(connection))
            assert (kind, number) == (2, stored + 1) and payload.startswith(b"%d " % stored) and len(payload) == 512
            stored += 1
            if stored % 500 == 0:
                await say(connection, type="ack", seq=stored)
            if stored % 7000 == 0:
                await connection.close(1012)
                connection, _, _ = await cloud.welcome(acked=stored)
        await host.logs("flood done with pauses")
        await host.logs("acked 20000")
        status = await host.hears(type="subconnection", state="ready", acked_seq=20000)
        assert status["dropped"] == {} and status["buffer_full_count"] > 0 and status["queued_bytes"] == 0

    scenario(play)


def test_a_revocation_is_obeyed_with_4012_also_while_the_plugin_is_stuck():
    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome()
        await say(connection, type="do", what="hang")
        await host.hears(type="log", message='text {"type": "do", "what": "hang"}')
        await host.say(type="revoke", service="probe", reason="plugin_blocked")
        assert await asyncio.wait_for(closed(connection), 5) == 4012
        assert (await host.state("revoked"))["failure_reason"] == "plugin_blocked"
        await host.say(**cloud.grant())
        await cloud.welcome()

    scenario(play)


def test_another_server_means_1001_and_a_wait_for_its_grant():
    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome()
        await host.say(type="server_changed")
        assert await closed(connection) == 1001
        await host.say(**cloud.grant())
        await cloud.welcome()

    scenario(play)


def test_a_refused_or_withdrawn_grant_leads_to_a_question_for_another():
    async def play(cloud, host):
        cloud.refuse_with = 401
        await host.say(**cloud.grant())
        asked = await host.hears(type="want_grants", service="probe")
        assert asked["why"] == "token_expired"
        cloud.refuse_with = None
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome()
        before = len(host.heard)
        await connection.close(4001, "token_withdrawn")
        asked = await host.hears(before, type="want_grants", service="probe")
        assert asked["why"] == "token_withdrawn"
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome()
        before = len(host.heard)
        await connection.close(4003, "device_removed")
        await host.state("waiting_for_grant", before)
        assert not [m for m in host.heard[before:] if m["type"] == "want_grants"]

    scenario(play)


def test_a_new_grant_does_not_disturb_the_open_connection_and_serves_the_next_dial():
    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome()
        await host.say(**cloud.grant(token="second-" + TOKEN))
        await say(connection, type="do", what="send_text")
        assert (await text(connection))["type"] == "hello_from_probe"
        await connection.close(1012)
        await cloud.welcome()
        assert cloud.requests[1][1]["Authorization"] == "Bearer second-" + TOKEN

    scenario(play)


def test_a_stop_hands_over_what_is_left_and_closes_1000():
    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome()
        await host.state("ready")
        await host.say(type="stop", deadline_ms=5000)
        assert parts(await receive(connection)) == (2, 1, b"farewell")
        await say(connection, type="ack", seq=1)
        assert await closed(connection) == 1000
        assert await asyncio.wait_for(host.process.wait(), LIMIT) == 0
        stopped = await host.hears(type="health", state="stopped")
        assert stopped["detail"] == "done"

    scenario(play)


def test_a_stop_that_nobody_acknowledges_ends_at_its_deadline():
    async def play(cloud, host):
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome()
        await host.state("ready")
        await host.say(type="stop", deadline_ms=600)
        assert await closed(connection) == 1000
        assert await asyncio.wait_for(host.process.wait(), LIMIT) == 0

    scenario(play)


def test_what_breaks_the_protocol_is_closed_with_its_code_and_dialled_again():
    async def play(cloud, host):
        await host.say(**cloud.grant())
        for message, code in ((durable(2, b"gap"), 1008), ("nonsense", 1007), (b"short", 1008),
                              (durable(1, b"x" * 1048576), 1009)):
            connection, _, _ = await cloud.welcome(next_seq=9)
            await connection.send(message)
            assert await closed(connection) == code

    scenario(play)


def test_a_cloud_with_another_authority_never_sees_the_token():
    async def play(cloud, host):
        stranger = Authority(host.state_dir / "stranger", "Somebody else")
        async with Cloud(stranger) as other:
            await host.say(**other.grant())
            status = await host.state("backoff")
            assert status["failure_reason"] == "tls_failed", status
            assert other.requests == []

    scenario(play)


def test_a_grant_that_ran_out_is_not_dialled_and_another_is_asked_for():
    async def play(cloud, host):
        await host.say(**cloud.grant(expires_in=1))
        connection, _, _ = await cloud.welcome()
        await asyncio.sleep(1.1)
        await say(connection, type="do", what="send_text")  # its end does not disturb the open connection
        await text(connection)
        await connection.close(1012)
        await host.hears(type="want_grants", service="probe")
        assert len(cloud.requests) == 1
        await host.say(**cloud.grant())
        await cloud.welcome()

    scenario(play)


def test_the_round_trip_is_measured_by_pings_at_the_grants_interval():
    async def play(cloud, host):
        await host.say(**cloud.grant(ping_s=5))
        await cloud.welcome()
        await host.state("ready")
        await asyncio.sleep(5.5)
        status = [m for m in host.heard if m["type"] == "subconnection"][-1]
        assert status["rtt_ms"] is not None and status["rtt_ms"] < 1000 * SLOWNESS

    scenario(play)


def wake_ups(pid):
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def test_an_idle_host_does_not_wake_up():
    async def play(cloud, host):
        if "libtsan" in Path(f"/proc/{host.process.pid}/maps").read_text():
            pytest.skip("ThreadSanitizer has a thread of its own that wakes up")
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome()
        await say(connection, type="do", what="send_ten")
        for _ in range(10):
            await receive(connection)
        await say(connection, type="ack", seq=10)
        await host.hears(type="subconnection", state="ready", acked_seq=10)
        await asyncio.sleep(1.5)  # the last figures go out
        before = wake_ups(host.process.pid)
        await asyncio.sleep(3)
        assert wake_ups(host.process.pid) - before <= 1

    scenario(play)


def test_a_plugin_of_the_released_abi_talks_to_its_cloud_in_every_way():
    """[sdk-2] [sdk-7] the C plugin of 1.0, behind the walls: best effort, text, durable, source-backed, received, private state"""
    async def play(cloud, host):
        await host.logs("state written  0")
        await host.logs("accepted  2")
        await host.say(**cloud.grant())
        connection, _, _ = await cloud.welcome()
        got = [await receive(connection) for _ in range(4)]
        assert {"type": "hello"} in [json.loads(message) for message in got if isinstance(message, str)]
        assert sorted(parts(message) for message in got if isinstance(message, bytes)) == [
            (1, 0, b"quick"), (2, 1, b"one"), (2, 2, b"two")]
        await say(connection, type="ack", seq=1)
        await connection.close(1012)
        connection, _, _ = await cloud.welcome(acked=1)
        again = [await receive(connection) for _ in range(3)]
        assert (2, 2, b"two") in [parts(message) for message in again if isinstance(message, bytes)]
        await connection.send(durable(1, b"from the cloud"))
        assert await text(connection) == {"type": "ack", "seq": 1}
        await host.logs("from the cloud, settled  0")

    scenario(play, plugin="released_1_0")
