"""The harness itself, held against other makes: what it says about the agent must be right."""

import asyncio
import http.client
import json
import os
import ssl

import processes
import proof
import pytest
import websockets
from basics import SERIAL, wait_for
from cryptography.hazmat.primitives.asymmetric import ec
from harness import World

SERVICES = [{"service": "monitoring", "plugin": "p", "version": "1", "digest": "sha256:" + "0" * 64,
             "protocols": ["x"]}]
REGISTRATION = {"boot_id": "b", "hostname": "h", "site": "", "keepalive_s": 180, "keepalive_count": 3, "ping_s": 60,
                "services": SERVICES}


class Client:
    """A device of python3-websockets and http.client."""

    def __init__(self, world, port):
        self.tls = ssl.create_default_context(cafile=str(world.authority.file))
        self.http = http.client.HTTPSConnection("localhost", port, context=self.tls, timeout=10)
        self.key = ec.generate_private_key(ec.SECP256R1())

    def post(self, step, body, token=""):
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        self.http.request("POST", f"/hawser/v1/{step}", json.dumps(body), headers)
        answer = self.http.getresponse()
        return answer.status, answer.getheader("Hawser-Nonce"), json.loads(answer.read())

    def moor(self):
        """The URL and token of a main connection."""
        _, nonce, _ = self.post("auth", {"serial": SERIAL, "model": "m", "agent": "test/1"})
        made = proof.make(self.key, SERIAL, "localhost", nonce)
        _, _, answer = self.post("auth", {"serial": SERIAL, "model": "m", "agent": "test/1", "proof": made})
        _, _, registered = self.post("register", REGISTRATION, answer["token"])
        self.http.close()
        return registered["url"], answer["token"]

    def dial(self, url, protocol, token):
        return websockets.connect(url, ssl=self.tls, subprotocols=[protocol], compression=None,
                                  extra_headers={"Authorization": f"Bearer {token}"})

    async def whole_way(self, url, token):
        async with self.dial(url, "hawser.main.v1", token) as main:
            await main.send(json.dumps({"type": "keepalive", "seq": 1}))
            assert json.loads(await main.recv()) == {"type": "keepalive_ack", "seq": 1}
            await main.send(json.dumps({"type": "subconnection_request", "id": "1", "services": SERVICES}))
            [grant] = json.loads(await main.recv())["grants"]
            async with self.dial(grant["url"], grant["protocol"], grant["token"]) as data:
                await data.send(json.dumps({"type": "hello", "stream": "s", "next_seq": 1, "plugin": "p", "version": "1"}))
                assert json.loads(await data.recv())["acked"] == 0
                await data.send(json.dumps({"type": "resume", "acked": 0}))
                await data.send(b"\x02" + (1).to_bytes(8, "big") + b"payload")
                assert json.loads(await data.recv()) == {"type": "ack", "seq": 1}
                await asyncio.wait_for(data.ping(), 5)


@pytest.mark.parametrize("slice_bytes", [0, 1])
def test_the_scripted_cloud_serves_another_makes_client(world, slice_bytes):
    """The scripted cloud speaks the protocol with python3-websockets as its device, whole and byte by byte."""
    cloud = world.scripted_cloud()
    cloud.slice_bytes = slice_bytes
    proxy = world.proxy(cloud.auth_port)
    proxy.slice_bytes = slice_bytes
    client = Client(world, proxy.port)
    url, token = client.moor()
    asyncio.run(client.whole_way(url, token))
    assert cloud.messages["monitoring"] == [b"payload"] and not cloud.faults
    assert proxy.connections == 1 and proxy.to_client > 1000


def test_the_scripted_cloud_sees_what_breaks_the_protocol(world):
    """A gap in the durable numbers and a keepalive out of order are noted as faults of the device."""
    cloud = world.scripted_cloud()
    client = Client(world, cloud.auth_port)
    url, token = client.moor()

    async def misbehave():
        async with client.dial(url, "hawser.main.v1", token) as main:
            await main.send(json.dumps({"type": "keepalive", "seq": 5}))
            await main.recv()
            await main.send(json.dumps({"type": "subconnection_request", "id": "1", "services": SERVICES}))
            [grant] = json.loads(await main.recv())["grants"]
            async with client.dial(grant["url"], grant["protocol"], grant["token"]) as data:
                await data.send(json.dumps({"type": "hello", "stream": "s", "next_seq": 1, "plugin": "p", "version": "1"}))
                await data.recv()
                await data.send(json.dumps({"type": "resume", "acked": 0}))
                await data.send(b"\x02" + (7).to_bytes(8, "big") + b"payload")
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await data.recv()
                assert closed.value.code == 1008
    asyncio.run(misbehave())
    assert len(cloud.faults) == 2, cloud.faults
    cloud.faults.clear()


def test_nothing_that_outlives_its_parent_goes_unseen(world):
    """The harness sees a process that outlives the program which started it, and ends it."""
    inner = World()
    parent = inner.start("parent", ["/bin/sh", "-c", "sleep 60 & echo started; exit 0"])
    parent.wait_end()  # only then is the child ours, and a moment later it has become sleep
    [orphan] = wait_for(lambda: [pid for pid in processes.children(os.getpid())
                                 if processes.command_line(pid).startswith("sleep")], 10, "the orphan is seen")
    inner.close()
    inner.remove()
    assert inner.left_running and "sleep 60" in inner.left_running[0]
    assert not processes.alive(orphan)
