"""What the rows of the matrix have in common: how a device is moored, how a loss is seen, what must hold at the end."""

import datetime
import json
import re
import struct
import time

import processes
from basics import wait_for
from lab import CLOSE_S, DEAD_S
from program import SLOWNESS


def moored(lab, cloud=None, *, plugins=(), **options):
    """A scripted cloud and an agent that is established with it."""
    cloud = cloud or lab.scripted_cloud()
    cloud.grant_limits["ping_s"] = 5
    agent = lab.agent(plugins=[f"hawser.{plugin}" for plugin in plugins], **options).start()
    agent.wait_ready(plugins) if plugins else agent.wait_established()
    return cloud, agent


def wait_down(agent, limit=DEAD_S + CLOSE_S + 2):
    """Waits until the main connection is lost, which may be for a moment only; (the state after it, seconds it
    took)."""
    began = time.monotonic()
    agent.program.wait_line(r"main connection: .*lost: ", limit)
    took = time.monotonic() - began
    return agent.wait_state(lambda state: state["last_down_reason"], 5, "the reason of the loss"), took


def close_into_a_long_spread(cloud, agent, code, reason, least_s=5):
    """The cloud closes the main connection, and the agent waits for longer than that in the spread of an hour that it was
    told. By chance one spread in some hundred is shorter: then once more. Returns how many connections there were."""
    while True:
        count = cloud.record.count("connect")
        cloud.close_main(code, reason)
        state = agent.wait_state(lambda state: state["next_attempt_in_s"] is not None or
                                 cloud.record.count("connect") > count, what="a wait")
        if (state["next_attempt_in_s"] or 0) > least_s:
            return count
        cloud.record.wait("connect", count + 1, limit=least_s + 20)
        agent.wait_established()


def wait_pings(cloud, count):
    """So many more pings of the agent, one every 5 s."""
    before = cloud.main.socket.pings
    wait_for(lambda: cloud.main.socket.pings >= before + count, (count + 1) * 5 + 5, f"{count} pings")


def wait_failure_or_down(agent, *reasons, limit=DEAD_S + CLOSE_S + 2):
    """The first state that names one of these reasons, of a failed attempt or of the last loss."""
    def named(state):
        return any(reason in (str(state["failure_reason"]), str(state["last_down_reason"])) for reason in reasons)
    return agent.wait_state(named, limit, f"one of {reasons} named in the state")


def wait_moored_again(cloud, agent, plugins=(), limit=30):
    """Established again, by a connection that is newer than the first."""
    cloud.record.wait("connect", 2, limit * SLOWNESS)
    return agent.wait_ready(plugins, limit) if plugins else agent.wait_established(limit)


def sample_times(cloud):
    """The time of each stored sample of the monitoring plugin, in order of arrival."""
    times = []
    for payload in cloud.messages.get("monitoring", []):
        metrics = json.loads(payload)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
        points = next(value for value in metrics[0].values() if isinstance(value, dict))["dataPoints"]
        times.append(int(points[0]["timeUnixNano"]))
    return times


def assert_no_sample_lost(cloud):
    """Samples are taken once a second: none is missing, none came twice."""
    times = sample_times(cloud)
    assert times == sorted(set(times)), "each sample once, in order"
    assert all(later - earlier < 2.5e9 * SLOWNESS for earlier, later in zip(times, times[1:])), "none is missing"


def wait_drained(agent, service="monitoring", limit=20):
    agent.wait_state(lambda state: agent.subconnection(service, state)["queued_messages"] == 0, limit,
                     f"{service} has sent what waited")


def logged_at(line):
    return datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00"))


def dial_seconds(agent):
    """How long the first dial took by the agent's own log: DNS, TCP and TLS, without the start of the process."""
    began = logged_at(agent.program.wait_line("Waiting -> Connecting"))
    return (logged_at(agent.program.wait_line("Connecting -> Request_auth")) - began).total_seconds()


def failed_attempts(agent, since):
    """(when, address) of each refused attempt; an attempt is one server (sdk/protocol.md §1)."""
    with_address = re.compile(r"main connection: .*failed: connect_refused \(([^:]+):")
    return [(logged_at(line), found[1]) for line in agent.program.lines_since(since) if (found := with_address.search(line))]


def rounds_of(attempts, addresses):
    """(begin, end) of each whole round: the attempts, cut by the number of servers. Each asks each server once, and
    the next server follows at once (conn-19)."""
    size, rounds = len(addresses), []
    for at in range(0, len(attempts) - size + 1, size):
        times, asked = zip(*attempts[at:at + size])
        assert sorted(asked) == sorted(addresses), f"round {len(rounds) + 1} asked {asked}"
        assert (times[-1] - times[0]).total_seconds() < 2 * SLOWNESS, "inside a round nobody waits"
        rounds.append((times[0], times[-1]))
    return rounds


def assert_rounds_wait(rounds, least=1.0, most=300.0):
    """Between rounds: at least 1 s, at most 1 s doubled at each round, up to 5 minutes (conn-19)."""
    for number, ((_, ended), (began, _)) in enumerate(zip(rounds, rounds[1:])):
        waited = (began - ended).total_seconds()
        assert least - 0.1 <= waited <= min(most, 2.0 ** number) + SLOWNESS, f"after round {number + 1}: {waited} s"


def cpu_share(agent, seconds=2.0):
    """The share of a core that hawserd uses, over so many seconds."""
    before = processes.cpu_ns(agent.program.pid)
    time.sleep(seconds)
    return (processes.cpu_ns(agent.program.pid) - before) / seconds / 1e9


def log_settings(path):
    return {"hawser.log_upload": f'[[config.sources]]\nname = "app"\npaths = ["{path}"]\nfrom = "beginning"\n'}


def uploaded(cloud):
    """What the cloud stored of the one log file, put together by offsets."""
    text = bytearray()
    for payload in cloud.messages.get("log_upload", []):
        length = struct.unpack(">I", payload[:4])[0]
        header, body = json.loads(payload[4:4 + length]), payload[4 + length:]
        assert header["offset"] <= len(text), f"a gap before {header}"
        text[header["offset"]:header["end_offset"]] = body
    return bytes(text)


def write_log(lab, size):
    """A log file of about so many bytes that do not compress; (its path, its content)."""
    import random
    chance = random.Random(size)
    path = lab.folder / "app.log"
    lines = [f"{number:06} {chance.getrandbits(2000):0500x}\n" for number in range(max(1, size // 508))]
    path.write_text("".join(lines))
    return path, "".join(lines).encode()


def wait_uploaded(cloud, content, limit=60):
    wait_for(lambda: len(uploaded(cloud)) >= len(content), limit, "the log is at the cloud", pause=0.2)
    assert uploaded(cloud) == content
