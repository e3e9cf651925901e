"""What the cloud sends on subconnections."""

import asyncio
import json
import signal
import uuid

from device import Device, SERIAL, durable, ends, hear, hear_ack, hear_data, say


def test_cloud_to_device_is_durable(cloud):
    """[data-1] What the cloud queued is sent in order, again after a reconnect until acknowledged, and not after."""
    device, stream = Device(cloud), str(uuid.uuid4())
    local = cloud.folder / "local"
    local.write_text("x\n")

    def push():
        cloud.run("config", "push", SERIAL, f"/etc/x={local}")

    async def go():
        _, grants = await device.main()
        push()
        config = await device.open(grants["config_push"], stream)
        assert config.welcome["next_seq"] == 2
        push()
        await say(config, {"type": "resume", "acked": 0})
        assert [(await hear_data(config))[0] for _ in range(2)] == [1, 2]
        config = await device.open(grants["config_push"], stream, acked=0)
        assert (await hear_data(config))[0] == 1
        await say(config, {"type": "ack", "seq": 1})
        assert (await hear_data(config))[0] == 2
        cloud.stop(signal.SIGKILL)
        cloud.start()
        config = await device.open(grants["config_push"], stream, acked=1)
        assert (await hear_data(config))[0] == 2
        await say(config, {"type": "nack", "seq": 2, "code": "bad_payload", "message": "no"})
        await say(config, {"type": "ack", "seq": 2})
        push()
        assert (await hear_data(config))[0] == 3
        # The device lost its state: a new stream begins at 1 with what was not acknowledged.
        config = await device.open(grants["config_push"], stream, acked=0)
        assert (await ends(config))[0] == 1000
        config = await device.open(grants["config_push"], stream, acked=0)
        assert config.welcome["next_seq"] == 2
        assert (await hear_data(config))[0] == 1
    asyncio.run(go())


def test_what_resume_covers_is_kept_until_late_nacks_have_come(cloud):
    """[data-1] [data-3] A device that died before it could say its nacks says them after `resume`, which covers their
    numbers: the cloud still has the messages, also after a lost connection and a kill of its own, and tells which
    revision was refused. Once the device goes on to something else they are forgotten."""
    device, stream = Device(cloud), str(uuid.uuid4())
    local = cloud.folder / "local"
    local.write_text("x\n")

    def reasons():
        """Of the four revisions that were pushed first."""
        return [revision["reason"] for revision in json.loads(cloud.run("config", "show", SERIAL, "--json").stdout)][:4]

    async def nack(config, seq, why):
        await say(config, {"type": "nack", "seq": seq, "code": "bad_payload", "message": why})

    async def go_on(config, seq):
        """Something else than a nack; its acknowledgement says that all before it was taken."""
        status = {"type": "status", "revision": "another", "state": "received"}
        await config.send(durable(seq, json.dumps(status).encode()))
        await hear_ack(config, seq)

    async def go():
        _, grants = await device.main()
        config = await device.open(grants["config_push"], stream, acked=0)
        for number in range(1, 5):
            cloud.run("config", "push", SERIAL, f"/etc/x{number}={local}")
            assert (await hear_data(config))[0] == number
        untold = reasons()
        assert len(untold) == 4 and "bad_payload" not in untold
        # All four are covered, and the connection is lost before a nack; then the cloud is killed there.
        await (await device.open(grants["config_push"], stream, acked=4)).close()
        await device.open(grants["config_push"], stream, acked=4)
        cloud.stop(signal.SIGKILL)
        cloud.start()
        config = await device.open(grants["config_push"], stream, acked=4)
        await nack(config, 2, "no")
        await nack(config, 3, "no more")
        await go_on(config, 1)
        assert reasons() == [untold[0], "bad_payload", "bad_payload", untold[3]]
        # Now they are forgotten: none is sent again, and a nack of one changes nothing.
        config = await device.open(grants["config_push"], stream, acked=4)
        await nack(config, 4, "too late")
        await go_on(config, 2)
        assert reasons() == [untold[0], "bad_payload", "bad_payload", untold[3]]
        cloud.run("config", "push", SERIAL, f"/etc/x5={local}")
        assert (await hear_data(config))[0] == 5
    asyncio.run(go())


def test_set_interval_reaches_the_device(cloud):
    """[mon-2] A change of the interval goes to a connected device at once."""
    device = Device(cloud)

    async def go():
        _, grants = await device.main()
        monitoring = await device.open(grants["monitoring"], acked=0)
        cloud.run("metrics", SERIAL, "--set-interval", 5)
        assert await hear(monitoring, "set_interval") == {"type": "set_interval", "interval_s": 5}
    asyncio.run(go())
