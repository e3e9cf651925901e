"""hawserctl's server commands against an agent that runs: what is refused, what is stored in which order, what is touched."""

import json
import re

import pytest

from basics import SERVICES, free_port, wait_for


def moored(world, **options):
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, **options).start()
    agent.wait_ready(SERVICES if options.get("plugins") is None else ())
    return cloud, agent


def refused(agent, *words):
    """What is said, where a command is refused and changes no byte of the configuration."""
    file = agent.config / "conf.d" / "50-hawserctl.toml"
    before = file.read_bytes() if file.exists() else None
    said = agent.ctl(*words, expect=1).stderr
    assert (file.read_bytes() if file.exists() else None) == before, words
    assert said.startswith("hawserctl: ") and len(said.splitlines()) == 1, said
    return said


def listed(state):
    return [(server["domain"], server["port"], server["role"]) for server in state["servers"]]


def wait_listed(agent, expected):
    state = agent.wait_state(lambda state: listed(state) == expected, 10, f"the servers {expected}")
    return state["servers"]


def test_eight_backups_and_three_ports_and_no_more(world):
    """[conn-7] The ninth backup and the fourth port are refused with a sentence that names them; the running agent has the
    nine servers that were taken, and stays connected."""
    cloud, agent = moored(world, plugins=[])
    before = agent.state()["connected_at"]
    for number in range(1, 9):
        agent.ctl("backup-server", "add", f"b{number}.example", "--port", 443)
    said = refused(agent, "backup-server", "add", "b9.example", "--port", 443)
    assert "b9.example" in said and "8" in said.replace("eight", "8"), said
    agent.ctl("backup-server", "add", "b1.example", "--port", 444, "--port", 445)
    said = refused(agent, "backup-server", "add", "b1.example", "--port", 446)
    assert "446" in said or "b1.example" in said, said
    assert "3" in said.replace("three", "3"), said
    said = refused(agent, "server", "set", "localhost", "--port", 1, "--port", 2, "--port", 3)
    assert "3" in said.replace("three", "3"), said
    expected = [("b1.example", port, "backup") for port in (445, 444, 443)]
    expected += [(f"b{number}.example", 443, "backup") for number in range(2, 9)]
    wait_listed(agent, [*expected, ("localhost", cloud.auth_port, "primary")])
    assert agent.state()["connected_at"] == before and cloud.record.count("connect") == 1


def test_a_duplicate_is_refused_whatever_its_case(world):
    """[conn-8] A name and port that stand elsewhere in the list are refused, in whatever case, and none is stored twice; a
    name is stored as typed, up to 253 characters and no longer."""
    cloud, agent = moored(world, plugins=[])
    agent.ctl("backup-server", "add", "Backup.Example", "--port", 443)
    for words in (("backup-server", "add", "LOCALHOST", "--port", cloud.auth_port),
                  ("server", "set", "BACKUP.example", "--port", 443)):
        said = refused(agent, *words)
        assert words[2].lower() in said.lower() and str(words[4]) in said and "already" in said, said
    file = agent.config / "conf.d" / "50-hawserctl.toml"
    before = file.read_bytes()
    assert "already" in agent.ctl("backup-server", "add", "BACKUP.example", "--port", 443).stdout
    assert file.read_bytes() == before, "what stands there is not stored twice"
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "D" * 61])
    assert len(longest) == 253
    agent.ctl("backup-server", "add", longest, "--port", 1)
    assert "253" in refused(agent, "backup-server", "add", longest + "x", "--port", 1)
    refused(agent, "backup-server", "add", "", "--port", 1)
    wait_listed(agent, [(longest, 1, "backup"), ("Backup.Example", 443, "backup"),
                        ("localhost", cloud.auth_port, "primary")])
    written = (agent.config / "conf.d" / "50-hawserctl.toml").read_text()
    assert longest in written and "Backup.Example" in written


def test_the_stored_order_is_that_of_state_and_of_the_attempts(world):
    """[conn-9] Whatever order the commands came in: names alphabetically whatever their case, ports descending, the primary
    among them; `state` shows that order, and the next round tries in it."""
    agent = world.agent(free_port(), world.authority.file, plugins=[], servers={"127.0.0.5": [free_port()]}).start()
    agent.wait_state(lambda state: state["servers"], what="a list of servers")
    ports = sorted(free_port() for _ in range(3))
    agent.ctl("backup-server", "add", "127.0.0.9", "--port", ports[1])
    agent.ctl("backup-server", "add", "127.0.0.9", "--port", ports[2])
    agent.ctl("backup-server", "add", "127.0.0.2", "--port", ports[0], "--port", ports[2], "--port", ports[1])
    agent.ctl("backup-server", "add", "LOCALHOST", "--port", ports[0])
    own = agent.state()["servers"]
    [primary] = [server["port"] for server in own if server["role"] == "primary"]
    expected = [("127.0.0.2", port, "backup") for port in reversed(ports)] + [("127.0.0.5", primary, "primary")]
    expected += [("127.0.0.9", ports[2], "backup"), ("127.0.0.9", ports[1], "backup"), ("LOCALHOST", ports[0], "backup")]
    wait_listed(agent, expected)
    mark = agent.program.mark()
    agent.ctl("reset", "--first")

    def tried():
        lines = agent.program.lines()[mark:]  # a round that was under way ends before the reset
        begin = next((at for at, line in enumerate(lines) if line.endswith("-> Waiting, reset")), len(lines))
        found = [re.search(r"(127[\d.]+:\d+): Connection refused\)", line) for line in lines[begin:]]
        addresses = [each[1] for each in found if each]
        return addresses if len(addresses) >= len(expected) else None
    wanted = [f"{'127.0.0.1' if name == 'LOCALHOST' else name}:{port}" for name, port, _ in expected]
    assert wait_for(tried, 10, "a round over the whole list")[:len(wanted)] == wanted


def test_a_backup_more_or_less_touches_no_connection(world):
    """[conn-25] [conn-7] A backup server added, given a port, and taken away: no connection is touched; the agent knows
    each change at once, and the next loss leads to the new server."""
    cloud, agent = moored(world)
    before = agent.state()
    other = world.scripted_cloud(name="127.0.0.1")
    agent.ctl("backup-server", "add", "127.0.0.1", "--port", other.auth_port)
    agent.ctl("backup-server", "add", "zz.example", "--port", 1)
    agent.ctl("backup-server", "remove", "zz.example")
    wait_listed(agent, [("127.0.0.1", other.auth_port, "backup"), ("localhost", cloud.auth_port, "primary")])
    after = agent.wait_ready()
    assert after["connected_at"] == before["connected_at"]
    for service in SERVICES:
        assert agent.subconnection(service, after)["since"] == agent.subconnection(service, before)["since"], service
        assert agent.subconnection(service, after)["host_pid"] == agent.subconnection(service, before)["host_pid"]
    assert cloud.record.count("auth") <= 2 and cloud.record.count("register") == 1
    cloud.close()
    other.record.wait("connect")
    assert agent.wait_established()["cloud_server_domain_name"] == "127.0.0.1"


def test_a_plugin_touches_its_own_subconnection_only(world):
    """[conn-25] A plugin enabled, configured anew and disabled while the agent runs: only its own host and subconnection
    come, change and go."""
    cloud, agent = moored(world)
    before = agent.state()

    def enable(*plugins):
        agent.write_config("conf.d/30-plugins.toml", f"[plugins]\nenabled = {json.dumps(list(plugins))}\n")
        agent.ctl("config", "reload")
    enable("hawser.monitoring", "hawser.config_push")
    agent.wait_state(lambda state: agent.subconnection("log_upload", state).get("state") != "ready", what="one less")
    cloud.record.wait("end:log_upload")
    agent.write_config("plugins.d/hawser.monitoring.toml", '[config]\ninterval = "2s"\n')
    agent.ctl("config", "reload")
    enable("hawser.monitoring", "hawser.config_push", "hawser.log_upload")
    after = agent.wait_ready()
    assert after["connected_at"] == before["connected_at"] and cloud.record.count("register") >= 1
    for service in ("monitoring", "config_push"):
        assert agent.subconnection(service, after)["host_pid"] == agent.subconnection(service, before)["host_pid"]
        assert cloud.record.count(f"dial:{service}") == 1, f"{service} was touched"
    assert cloud.record.count("connect") == 1 and cloud.record.count("dial:log_upload") == 2


@pytest.mark.parametrize("remembers", [True, False])
def test_the_last_server_is_remembered_where_it_should(world, remembers):
    """[conn-10] A restart begins with the server that was connected last; with remember_server = false at the head of the
    list; `reset --first` goes there, `reset` stays."""
    first, second = world.scripted_cloud(name="127.0.0.1"), world.scripted_cloud()
    second.adopt(first)
    agent = world.agent(None, world.authority.file, plugins=[], servers={
        "127.0.0.1": [first.auth_port], "localhost": [second.auth_port]})
    if not remembers:
        agent.write_config("conf.d/30-server.toml", "[cloud]\nremember_server = false\n")
    first.close()
    agent.start()
    second.record.wait("connect")
    agent.wait_established()
    first.open()
    agent.ctl("reset")
    second.record.wait("connect", 2)
    agent.wait_established()
    agent.stop()
    agent.start()
    (second if remembers else first).record.wait("connect", 3 if remembers else 1)
    agent.wait_established()
    agent.ctl("reset", "--first")
    first.record.wait("connect", 1 if remembers else 2)
    assert agent.wait_established()["cloud_server_domain_name"] == "127.0.0.1"
