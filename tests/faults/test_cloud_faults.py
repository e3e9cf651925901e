"""Servers that are down, die, flap, refuse or forget: rows F46 to F51 and F56 to F63 of the fault matrix, D. Cloud."""

import json
import shutil
import time

import pytest

import processes
from basics import SERIAL, SERVICES, wait_for
from lab import AUTH_PORT
from namespaces import CLOUD_NAME, CLOUD_ROUTER, FLEET
from program import SLOWNESS
from rows import (assert_no_sample_lost, assert_rounds_wait, failed_attempts, moored, rounds_of, sample_times, wait_down,
                  wait_drained)
from wire import Answer, refusal


def shared_fleet(lab, *names):
    """Scripted clouds that share what they know, as the servers of one operator do."""
    first, *others = lab.fleet(names).values()
    for each in others:
        each.adopt(first)
    return first, *others


def agent_of(lab, *names, **options):
    return lab.agent(servers={name: [AUTH_PORT] for name in names}, **options)


def test_only_the_last_of_27_servers_lives(lab):
    """[F46] [conn-7] [conn-9] Nine names with three ports each, the last alone lives: found in one round, in stored
    order."""
    names = sorted(FLEET)[:9]
    lab.scripted_cloud(name=names[-1])
    servers = {name: [AUTH_PORT, AUTH_PORT + 1, AUTH_PORT + 2] for name in names}
    agent = lab.agent(plugins=[], servers=servers).start()
    state = agent.wait_established()
    assert state["cloud_server_domain_name"] == names[-1]
    failed = [line.split("(")[1].split(":", 2)[:2] for line in agent.program.lines()
              if "failed: connect_refused" in line]
    expected = [[FLEET[name], str(port)] for name in names for port in sorted(servers[name], reverse=True)][:-1]
    assert failed == expected
    assert [row["domain"] for row in state["servers"] if row.get("current")] in ([names[-1]], [])


def test_the_server_dies_and_comes_back(lab):
    """[F47] [F48] [conn-10] The first server dies: the next takes over, no sample is lost; flapping of the first moves
    nothing."""
    first, second = shared_fleet(lab, CLOUD_NAME, "s1.test")
    agent = agent_of(lab, CLOUD_NAME, "s1.test", plugins=["hawser.monitoring"]).start()
    agent.wait_ready(("monitoring",))
    first.record.wait("data:monitoring", 3)
    first.close()
    died = time.monotonic()
    second.record.wait("connect", limit=10 * SLOWNESS)
    assert time.monotonic() - died < 3 + SLOWNESS, "a reset server is left at once"
    agent.wait_ready(("monitoring",))
    for _ in range(3):
        first.open()
        time.sleep(1)
        first.close()
    second.record.wait("data:monitoring", 5)
    state = agent.state()
    assert state["cloud_server_domain_name"] == "s1.test" and second.record.count("connect") == 1
    assert first.record.count("connect") == 1, "the agent went back by itself"
    wait_drained(agent)
    assert_no_sample_lost(first)  # which is the second's too


def real_pair(lab):
    """Two hawser-clouds, each with data of its own, certificates of one authority, and the device added to both."""
    clouds = []
    for name in (CLOUD_NAME, "s1.test"):
        cloud = lab.cloud(name=name, serials=[SERIAL])
        for part, file in zip(lab.authority.issue([name]), ("server.crt", "server.key")):
            (cloud.folder / file).write_bytes(part.read_bytes())
        clouds.append(cloud.start())
    return clouds


def received(cloud, service="monitoring"):
    return sum(each["received"] for each in cloud.device()["subconnections"] if each["service"] == service)


def test_a_real_server_dies_and_comes_back(lab):
    """[F47] [F48] [conn-10] hawser-cloud is killed: the second one has the device within seconds, and keeps it while
    the first flaps."""
    first, second = real_pair(lab)
    agent = agent_of(lab, CLOUD_NAME, "s1.test", plugins=["hawser.monitoring"]).start()
    agent.wait_ready(("monitoring",))
    wait_for(lambda: received(first) >= 3, 15, "samples at the first")
    first.kill()
    died = time.monotonic()
    agent.wait_state(lambda state: state["cloud_server_domain_name"] == "s1.test"
                     and state["cloud_connection_state"] == "Established", limit=10, what="a failover")
    assert time.monotonic() - died < 3 + SLOWNESS, "a reset server is left at once"
    agent.wait_ready(("monitoring",))
    for _ in range(3):
        first.start()
        time.sleep(1)
        first.kill()
    first.start()
    wait_for(lambda: received(second) >= 5, 15, "samples at the second")
    wait_drained(agent)
    assert agent.state()["cloud_server_domain_name"] == "s1.test"
    assert second.program.text().count(f"{SERIAL} connected from") == 1
    assert f"{SERIAL} connected" not in first.program.text(), "the agent went back by itself"
    dropped = {reason: count for reason, count in agent.subconnection("monitoring")["dropped"].items() if count}
    assert set(dropped) <= {"cloud_state_lost"}, dropped
    assert sum(dropped.values()) <= received(first), "what the first had not acknowledged went to the second"


def test_a_restart_begins_with_the_last_server(lab):
    """[conn-10] After a restart the agent begins with the server it was last connected to; `reset --first` goes
    back."""
    first, second = shared_fleet(lab, CLOUD_NAME, "s1.test")
    agent = agent_of(lab, CLOUD_NAME, "s1.test", plugins=[])
    first.close()
    agent.start()
    second.record.wait("connect")
    agent.wait_established()
    first.open()
    agent.stop()
    agent.start()
    second.record.wait("connect", 2)
    assert first.record.count("auth") == 0
    agent.wait_established()
    agent.ctl("reset", "--first")
    first.record.wait("connect")
    assert agent.wait_established()["cloud_server_domain_name"] == CLOUD_NAME


# Rounds of full jitter that fit into so many seconds, beyond which one run in 100,000 goes (drawn 400,000 times).
@pytest.mark.parametrize("names, seconds, rounds_most", [
    (3, 20, 9), pytest.param(9, 900, 23, marks=pytest.mark.long)], ids=["20 s", "15 minutes"])
def test_all_servers_are_down_for_a_while(lab, names, seconds, rounds_most):
    """[F49] [conn-19] Every server is down: each round asks each server once, the rounds wait within their growing
    limits, memory is flat, what is measured waits and arrives in order."""
    names = sorted(FLEET)[:names]
    first, *_ = shared_fleet(lab, *names)
    agent = agent_of(lab, *names, plugins=["hawser.monitoring"]).start()
    agent.wait_ready(("monitoring",))
    mark, memory = agent.program.mark(), processes.anonymous_kib(agent.program.pid)
    lab.fault("tcp dport { 443, 8443, 19443 } counter reject with tcp reset")
    agent.program.wait_line("main connection: .*lost:", limit=25)
    time.sleep(seconds)
    rounds = rounds_of(failed_attempts(agent, mark), [FLEET[name] for name in names])
    assert 3 <= len(rounds) <= rounds_most, rounds
    assert_rounds_wait(rounds)
    assert processes.anonymous_kib(agent.program.pid) < memory + 2048
    assert agent.subconnection("monitoring")["queued_messages"] >= seconds * 3 // 4
    lab.heal()
    agent.ctl("reset")
    agent.wait_ready(("monitoring",), limit=60)
    wait_drained(agent)
    assert_no_sample_lost(first)


def test_a_server_that_takes_no_token(lab):
    """[F50] [conn-2] 401 for every token: one new proof an attempt, growing waits, the same key, and no other
    identity."""
    cloud = lab.scripted_cloud()
    cloud.always("register", refusal(401, "token_expired"))
    agent = lab.agent(plugins=[]).start()
    agent.wait_failure("token_expired")
    key = (agent.state_dir / "device.key").read_bytes()
    time.sleep(12)
    attempts = agent.program.count_lines("main connection: .*failed: token_expired")
    assert 1 <= attempts <= 8, attempts
    assert cloud.record.count("register") <= 2 * (attempts + 1), "a token is tried once, and a new one once"
    assert cloud.record.count("auth") <= 4 * (attempts + 1)
    assert (agent.state()["next_attempt_in_s"] or 0) >= 1, "it waits"
    cloud.clear()
    agent.ctl("reset")
    agent.wait_established()
    assert (agent.state_dir / "device.key").read_bytes() == key
    assert {seen.data["body"]["serial"] for seen in cloud.record.all("auth")} == {SERIAL}


@pytest.mark.parametrize("step, code", [("auth", "device_blocked"), ("register", "device_removed")])
def test_a_device_that_is_revoked(lab, step, code):
    """[F50] [F56] [conn-2] A revoked device says so, at either step by its name, asks after minutes, and keeps its key
    and binding."""
    cloud = lab.scripted_cloud()
    cloud.always(step, lambda request: refusal(403, code)
                 if step == "register" or request.json().get("proof") else None)
    agent = lab.agent(plugins=[]).start()
    state = agent.wait_failure(code)
    key = (agent.state_dir / "device.key").read_bytes()
    assert 55 <= state["next_attempt_in_s"] <= 301 and state["cloud_connection_state"] != "Established"
    asked = cloud.record.count(step)
    time.sleep(3)
    assert cloud.record.count(step) == asked, "no storm"
    cloud.clear()
    agent.ctl("reset")
    agent.wait_established()
    assert (agent.state_dir / "device.key").read_bytes() == key


@pytest.mark.parametrize("ahead", [3600, -86400], ids=["ahead", "behind"])
def test_the_clocks_disagree(lab, ahead):
    """[F51] [conn-23] The server's clock is off: no proof fails for it, the device moors; state and doctor tell the
    difference."""
    cloud = lab.scripted_cloud()
    cloud.headers["Date"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + ahead))
    agent = lab.agent(plugins=[]).start()
    agent.wait_established()
    assert cloud.record.count("auth") == 2
    state = agent.state()
    assert abs(state["clock_ahead_s"] + ahead) <= 2 * SLOWNESS, state["clock_ahead_s"]
    words = agent.ctl("state").stdout
    assert "clock" in words.lower() and ("behind" if ahead > 0 else "ahead") in words, words
    doctor = agent.ctl("doctor", expect=None, limit=60).stdout
    assert "clock" in doctor.lower(), doctor


def test_two_devices_with_one_identity(lab):
    """[F57] [conn-24] A copy of the device appears: the newest wins, both ends say so, and the two do not fight faster
    than the waits."""
    cloud = lab.cloud(serials=[SERIAL]).start()
    original = lab.agent(ca_file=cloud.ca_file, plugins=[]).start()
    original.wait_established()
    twin = lab.agent(ca_file=cloud.ca_file, plugins=[], name="twin")
    twin.state_dir.mkdir(mode=0o700)
    shutil.copy2(original.state_dir / "device.key", twin.state_dir / "device.key")
    twin.start()
    twin.wait_established()
    state = original.wait_state(lambda state: state["last_down_reason"] == "replaced", what="replaced")
    assert state["next_attempt_in_s"] >= 55
    here = [each for each in json.loads(original.ctl("history", "--json").stdout)["events"] if each["kind"] == "twin"]
    assert [each["detail"] for each in here] == [f"replaced by {CLOUD_ROUTER}"], here  # as the NAT shows it

    def told():
        events = json.loads(cloud.command("device", "history", SERIAL, "--json").stdout)["events"]
        return [each for each in events if each["side"] == "cloud" and each["reason"] == "replaced"]
    there = wait_for(told, 10, "the replacement in the cloud's history")
    assert there[0]["peer"] == CLOUD_ROUTER and CLOUD_ROUTER in there[0]["detail"], there
    time.sleep(3)
    assert twin.state()["cloud_connection_state"] == "Established"
    assert cloud.program.text().count(f"{SERIAL} connected from") == 2, "each came once"


def test_the_cloud_forgets_the_device(lab):
    """[F59] The cloud's database is lost and the serial added again: the device binds, registers and sends anew by
    itself."""
    cloud = lab.cloud(serials=[SERIAL]).start()
    agent = lab.agent(ca_file=cloud.ca_file).start()
    agent.wait_ready()
    cloud.wait_metrics({"system.uptime"})
    cloud.kill()
    for file in cloud.folder.glob("cloud.db*"):
        file.unlink()
    cloud.add(SERIAL)
    cloud.start()
    lost = time.time()
    agent.wait_ready(limit=60)
    cloud.wait_metrics({"system.uptime"}, newer_than=lost, limit=30)


@pytest.mark.parametrize("when", [12, 25])
def test_the_cloud_dies_before_it_stored(lab, when):
    """[F60] hawser-cloud is killed as it writes to stable storage: nothing that it acknowledged is missing
    afterwards."""
    cloud = lab.cloud(serials=[SERIAL])
    agent = lab.agent(ca_file=cloud.ca_file, plugins=["hawser.monitoring"])
    traced = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e",
              f"inject=fdatasync,fsync:signal=SIGKILL:when={when}"]
    cloud.program = lab.start("cloud-traced", [*traced, *cloud.arguments()], place="cloud")
    cloud.program.wait_line("listening")
    agent.start()
    cloud.program.wait_end(60)
    cloud.start()
    agent.wait_ready(("monitoring",), limit=60)
    wait_drained(agent)
    assert "cloud_state_lost" not in agent.program.text()
    assert not agent.subconnection("monitoring")["dropped"].get("cloud_state_lost")


def test_an_acknowledgement_is_lost(lab):
    """[F61] [data-1] The connection is cut after the cloud stored and before it acknowledged: sent again, stored
    once."""
    cloud, agent = moored(lab, plugins=("monitoring",))
    cloud.acks = False
    stored = len(cloud.messages.get("monitoring", []))
    wait_for(lambda: len(cloud.messages.get("monitoring", [])) >= stored + 3, 15, "messages that are not acknowledged")
    cloud.abort("monitoring")
    cloud.acks = True
    cloud.record.wait("hello:monitoring", 2)
    wait_drained(agent)
    assert_no_sample_lost(cloud)
    assert len(sample_times(cloud)) == len(cloud.messages["monitoring"])


@pytest.mark.parametrize("version", ["hawser.main.v2", "hawser.main.v0", ""])
def test_another_version_of_the_protocol(lab, version):
    """[F63] A cloud that answers with another version of the protocol is refused by its name, not half understood."""
    cloud = lab.scripted_cloud()

    def answer(request):
        from wire import switching_protocols
        head = switching_protocols(request, "hawser.main.v1")
        line = f"Sec-WebSocket-Protocol: {version}\r\n".encode() if version else b""
        return Answer(raw=head.replace(b"Sec-WebSocket-Protocol: hawser.main.v1\r\n", line))
    cloud.next("connect", answer)
    agent = lab.agent(plugins=[]).start()
    agent.program.wait_line("failed: upgrade_refused")
    agent.wait_established()
