"""The cloud is killed between its commit and the acknowledgement: what is stored is sent again, and is there once."""

import subprocess

import pytest
from basics import SERIAL, wait_for
from delivery import Delivery
from program import SLOWNESS

# What hawser-cloud is about to do when it is killed, so many of these from when the tracer stands by. With `fdatasync` the
# commit is written and not synced yet, with `sendmsg` it is synced: acknowledgements are by far the most that it sends.
MOMENTS = [1, 2, 3, 4, 6, 9]


@pytest.fixture
def moored(world):
    """(cloud, agent, delivery): a plugin hands over messages without end, small ones, so that there are many commits."""
    cloud = world.cloud(serials=[SERIAL])
    delivery = Delivery(world, bytes_max=300)
    cloud.start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=["test.delivery"], plugin_dir=delivery.plugins(),
                        plugin_files=delivery.files(), log_level="info").start()
    return cloud, agent, delivery


def most(delivery, what):
    return max(delivery.claims(what).values(), default=0)


def wait_acknowledged(delivery, more):
    """Until so many more messages are acknowledged: commits are under way, and the way is free."""
    enough = most(delivery, "K") + more
    wait_for(lambda: most(delivery, "K") >= enough, 60, "messages are acknowledged again")


def kill_at(cloud, call, moment):
    """Kills the cloud as it enters this system call for the n-th time."""
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                               "-e", f"inject={call}:signal=KILL:when={moment}", "-p", str(cloud.program.pid)])
    cloud.program.wait_end(30)
    tracer.wait(10 * SLOWNESS)


def known_after_loss(agent, delivery):
    """How many messages the plugin knows to be stored, once the connection is gone."""
    state = agent.wait_state(lambda state: agent.subconnection("log_upload", state).get("state") != "ready", 30, "the loss")
    acked = agent.subconnection("log_upload", state)["acked_seq"]  # numbers are counts
    wait_for(lambda: most(delivery, "K") >= acked, 10, "what came before the kill is at the plugin")
    return most(delivery, "K")


def stored_at_welcome(cloud):
    """What the cloud says it has, as the device comes back: numbers are counts, in the one stream of the one run."""
    line = cloud.program.wait_line(r"log_upload ready, stream \S+ at \d+$", 60)
    return int(line.rsplit(" ", 1)[1])


@pytest.mark.parametrize("call", ["fdatasync", "sendmsg"])
def test_between_commit_and_acknowledgement(moored, call):
    """[data-1] hawser-cloud dies by SIGKILL after a commit and before its acknowledgement leaves, at several moments: the
    next one says in `welcome` what it has, the device goes on behind that, and everything is stored once and in order."""
    cloud, agent, delivery = moored
    unsaid = []
    for moment in MOMENTS:
        wait_acknowledged(delivery, 20)
        kill_at(cloud, call, moment)
        known = known_after_loss(agent, delivery)
        cloud.start()
        unsaid.append(stored_at_welcome(cloud) - known)
    assert min(unsaid) >= 0, f"nothing is acknowledged that is not stored: {unsaid}"
    assert sum(each > 0 for each in unsaid) >= len(MOMENTS) // 2, f"stored and not acknowledged at each kill: {unsaid}"
    wait_acknowledged(delivery, 20)
    delivery.pause()
    wait_for(delivery.drained, 60, "everything is acknowledged")
    verdict = delivery.judge(cloud)
    assert verdict.good(), verdict.complaints[:20]
    assert verdict.runs == 1, "numbers are counts"
    print(f"{call}: {dict(verdict.rows())}, stored and not acknowledged at each kill: {unsaid}")
