"""What the agent counts as dropped, beside what was handed over and what arrived."""

import struct

import basics
import pytest
from basics import wait_for

SERVICE, PLUGIN = "dropper", "acme.dropper"
DURABLE, DURABLE_BYTES, TOO_LONG_BYTES = 800, 4000, 100_000  # some three times the spool
BURST, BURST_BYTES = 600, 40_000                             # more than queue and sockets hold
FLOOD, FLOOD_BYTES = 200, 20_000                             # more than the plugin's queue of 1 MiB
AT_LIMIT = ("queue_full", "spool_full")


@pytest.fixture
def moored(world):
    """(cloud, agent): the dropper has handed over its durable messages while it had no grant."""
    if not (basics.BUILD / "plugins" / PLUGIN).is_dir():
        pytest.skip("the gallery's plugins are not built")
    cloud = world.scripted_cloud()
    cloud.services = {SERVICE: f"acme.{SERVICE}.v1"}
    cloud.refused = {SERVICE: "microservice_down"}
    cloud.grant_limits["max_message_bytes"] = 65536
    config = f"durable = {DURABLE}\ndurable_bytes = {DURABLE_BYTES}\ntoo_long_bytes = {TOO_LONG_BYTES}\n"
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[PLUGIN], log_level="info",
                        plugin_files={PLUGIN: f"[spool]\nbytes = 1048576\n[config]\n{config}"},
                        plugin_dir=basics.BUILD / "plugins").start()
    agent.program.wait_line("all is handed over", 30)
    return cloud, agent


class Peer:
    """The cloud's end of the subconnection, which counts what it sends."""

    def __init__(self, cloud):
        self.cloud, self.sent, self._asked = cloud, 0, 0

    def say(self, kind, **more):
        self.sent += 1
        self.cloud.send_text(SERVICE, {"type": kind, **more})

    def flood(self, count, size):
        async def send():
            for _ in range(count):
                await self.cloud.socket_of(SERVICE).send_binary(struct.pack(">BQ", 1, 0) + b"f" * size)
        self.sent += count
        self.cloud.background.run(send(), 60)

    def figures(self):
        """What the dropper handed over and received. It answers in order, so what came before is received or lost."""
        def answers():
            return [seen.data["body"] for seen in self.cloud.record.all(f"text:{SERVICE}")]

        def ask():
            self._asked += 1
            self.say("figures", id=self._asked)
            try:
                return wait_for(lambda: next((each for each in answers() if each.get("id") == self._asked), None), 3)
            except AssertionError:
                return None  # lost in a full queue
        return wait_for(ask, 30, "the dropper's figures")


def dropped_of_all(agent, handed_over):
    """How many the full spool has dropped, once the figures are those of all that was handed over."""
    row = agent.subconnection(SERVICE)
    dropped = row["dropped"].get("spool_full", 0)
    return dropped if row["queued_messages"] + dropped == handed_over else None


def wait_dropped(agent, reason, count):
    """The state in which so many messages were dropped for this reason."""
    return agent.wait_state(lambda state: agent.subconnection(SERVICE, state)["dropped"].get(reason) == count, 20,
                            f"{count} dropped as {reason}, of {agent.subconnection(SERVICE)['dropped']}")


def assert_lines_are_sums(state):
    rows = state["subconnections"]
    assert state["total_dropped_packets"] == sum(sum(row["dropped"].values()) for row in rows)
    assert state["dropped_packets_after_reaching_buffer_limit"] == sum(
        row["dropped"].get(reason, 0) for row in rows for reason in AT_LIMIT)
    assert state["buffer_full_count"] == sum(row["buffer_full_count"] for row in rows)


def assert_full_again(state, before, dropped):
    """A queue became full: once, or a few times where a busy machine lets it drain in between, and not with each of the
    messages that it dropped. Returns the count."""
    assert dropped > 5 and 1 <= state["buffer_full_count"] - before <= 5, (state["buffer_full_count"], before, dropped)
    return state["buffer_full_count"]


def test_what_is_dropped_is_what_was_handed_over_less_what_arrived(moored):
    """[data-4] [data-2] A spool at its limit that drops its oldest, a message over the grant's limit, a burst into a full
    queue and a plugin that does not take its messages: each lost message counts once, under its reason, and the lines of
    the state are the sums, also after the death of the host."""
    cloud, agent = moored
    spool = wait_for(lambda: dropped_of_all(agent, DURABLE + 1), 20, "each message waits or is dropped")
    cloud.refused = {}
    agent.ctl("reset")
    agent.wait_ready([SERVICE])
    wait_for(lambda: agent.subconnection(SERVICE)["queued_messages"] == 0, 20, "the spool is empty")
    arrived = [int(payload.split()[0]) for payload in cloud.messages[SERVICE]]
    assert arrived == list(range(DURABLE - len(arrived) + 1, DURABLE + 1)), "the newest, each once and in order"
    assert spool == DURABLE - len(arrived) > 0
    state = wait_dropped(agent, "too_big", 1)
    assert agent.subconnection(SERVICE, state)["dropped"] == {"spool_full": spool, "too_big": 1}
    assert_lines_are_sums(state)
    times_full = state["buffer_full_count"]
    assert 0 < times_full <= spool

    peer = Peer(cloud)
    cloud.stop_reading(SERVICE)
    peer.say("burst", count=BURST, bytes=BURST_BYTES)
    agent.wait_state(lambda state: "queue_full" in agent.subconnection(SERVICE, state)["dropped"], 20, "a full queue")
    cloud.read_on(SERVICE)
    assert peer.figures()["burst"] == BURST
    queue = BURST - sum(seen.data["kind"] == 1 for seen in cloud.record.all(f"data:{SERVICE}"))
    state = wait_dropped(agent, "queue_full", queue)
    assert_lines_are_sums(state)
    times_full = assert_full_again(state, times_full, queue)

    peer.say("be_deaf", ms=3000)
    peer.flood(FLOOD, FLOOD_BYTES)
    received = peer.figures()["received"]
    deaf = peer.sent - received
    assert deaf > 0
    state = wait_dropped(agent, "queue_full", queue + deaf)
    assert_lines_are_sums(state)
    assert_full_again(state, times_full, deaf)
    assert state["total_dropped_packets"] == spool + 1 + queue + deaf
    assert state["dropped_packets_after_reaching_buffer_limit"] == spool + queue + deaf

    agent.write_config(f"plugins.d/{PLUGIN}.toml", "[spool]\nbytes = 1048576\n[config]\ndurable = 0\n")
    agent.ctl("config", "reload")
    agent.program.wait_line(f"{PLUGIN} took its new")  # the next host hands over nothing
    agent.wait_ready([SERVICE])
    restarts = agent.subconnection(SERVICE)["restarts"]
    agent.kill_host(SERVICE)
    agent.wait_state(lambda state: agent.subconnection(SERVICE, state).get("restarts") == restarts + 1, 20,
                     "another host")
    for line in ("total_dropped_packets", "dropped_packets_after_reaching_buffer_limit", "buffer_full_count"):
        assert agent.state()[line] == state[line], line
