"""hawserctl doctor where the way to the cloud is blocked: name servers, routes, proxies."""

import json

import pytest
from basics import built
from lab import AUTH_PORT, MAIN_PORT
from middleboxes import tinyproxy
from namespaces import AGENT, AGENT_ROUTER, CLOUD_ADDRESS, CLOUD_NAME
from test_addresses import BAD_GATEWAY, CONNECTIONS, Half, cloud_that_names

INSIDE = "10.99.2.11"
DEAD = "10.99.2.3"  # the cloud's machine answers there with a reset, or with what a test lets it do


def doctor(agent, lab, *, expect):
    done = lab.run([built("hawserctl"), "--socket", agent.socket, "--config", agent.config, "--state-dir",
                    agent.state_dir, "doctor", "--json"], place="device", expect=expect, limit=60)
    return json.loads(done.stdout)["steps"]


def failed(steps):
    """{step: reason} of the failures; each has its advice and its time."""
    found = {}
    for row in steps:
        if row["result"] == "failed":
            assert row["advice"] and row["detail"], row
            found[row["step"]] = row["reason"]
    return found


def with_proxy(lab, user=""):
    agent = lab.agent(plugins=[])
    agent.write_config("conf.d/20-proxy.toml", f'[cloud.proxy]\nurl = "http://{user}{INSIDE}:3128"\n')
    (agent.config / "conf.d" / "20-proxy.toml").chmod(0o600)
    lab.fault(f"ip saddr 10.99.1.2 ip daddr {CLOUD_ADDRESS} tcp dport {{ 443, 8443, 19443 }} counter drop")
    return agent


def test_doctor_walks_through_the_proxy(lab):
    """[state-3] [conn-22] Where only a proxy leads out doctor walks through it to the cloud's first answer; wrong
    credentials and a dead proxy are named with what to do, without the password."""
    lines = ("ConnectPort 443", "ConnectPort 8443", "ConnectPort 19443", "BasicAuth moor sEcret-1")
    lab.scripted_cloud()
    agent = with_proxy(lab, "moor:sEcret-1@")
    proxy = tinyproxy(lab, INSIDE, 3128, *lines)
    steps = doctor(agent, lab, expect=0)
    done = {row["step"] for row in steps if row["result"] == "ok"}
    assert {"DNS", "TCP to proxy", "proxy", "TLS", "cloud"} <= done, steps
    assert "sEcret-1" not in json.dumps(steps)
    agent.write_config("conf.d/20-proxy.toml", f'[cloud.proxy]\nurl = "http://moor:sEcret-2@{INSIDE}:3128"\n')
    steps = doctor(agent, lab, expect=1)
    assert failed(steps)["proxy"] == "proxy_auth_required" and "sEcret-2" not in json.dumps(steps), steps
    proxy.stop()
    assert failed(doctor(agent, lab, expect=1))["TCP to proxy"] == "connect_refused"


def test_doctor_names_the_name_servers_and_the_route(lab):
    """[state-3] A name that does not exist, name servers that do not answer, and no route: each is a failure of its own
    step."""
    lab.scripted_cloud()
    lab.hosts({})
    dns = lab.dns("--local=/test/")
    agent = lab.agent(plugins=[])
    assert failed(doctor(agent, lab, expect=1))["DNS"] == "dns_failed"
    dns.stop()
    assert failed(doctor(agent, lab, expect=1))["DNS"] == "dns_failed"
    lab.hosts({CLOUD_NAME: [CLOUD_ADDRESS]})
    assert not failed(doctor(agent, lab, expect=0))
    lab.net.ip(AGENT, f"route delete default via {AGENT_ROUTER}\n")
    assert "network_unreachable" in failed(doctor(agent, lab, expect=1)).values()


def test_doctor_names_a_firewall(lab):
    """[state-3] A firewall that swallows packets is `connect_timeout` at the step TCP, and every step has its time."""
    lab.scripted_cloud()
    lab.fault(f"tcp dport {AUTH_PORT} counter drop")
    agent = lab.agent(plugins=[])
    steps = doctor(agent, lab, expect=1)
    assert failed(steps)["TCP"] == "connect_timeout", steps
    [tcp] = [row for row in steps if row["step"] == "TCP"]
    assert 9000 <= tcp["took_ms"] <= 12000, tcp


def by_address(steps, address):
    """{step: its row} of that address, in the walk of the one server."""
    return {row["step"]: row for row in steps if row.get("address") == address}


def dead_port(lab):
    return "connect_refused", "TCP", "nothing listens at this port"


def dead_firewall(lab):
    lab.fault(f"ip daddr {DEAD} counter drop")
    return "connect_timeout", "TCP", "firewall"


def dead_http(lab):
    Half(lab, b"", True)
    return "peer_closed", "cloud", "closes the connection"


def dead_tls(lab):
    Half(lab, b"", False)
    return "tls_failed", "TLS", "out who answers"


@pytest.mark.parametrize("kill", [dead_port, dead_firewall, dead_http, dead_tls])
@pytest.mark.parametrize("dead_first", [True, False], ids=["first", "last"])
def test_doctor_tells_a_dead_address_from_a_good_one(lab, kill, dead_first):
    """[state-3] [conn-18] A name with two addresses of which one is dead: each address has lines of its own, true ones, the
    dead one's with a remedy; every step of the good one, up to the services, is done, and the exit is 1."""
    lab.hosts({CLOUD_NAME: [DEAD, CLOUD_ADDRESS] if dead_first else [CLOUD_ADDRESS, DEAD]})
    cloud = lab.scripted_cloud()
    reason, broken, remedy = kill(lab)
    agent = lab.agent(plugins=["hawser.monitoring"]).start()
    agent.wait_ready(("monitoring",), limit=40)
    mark = cloud.record.count("auth")
    steps = doctor(agent, lab, expect=1)
    [dns] = [row for row in steps if row["step"] == "DNS" and DEAD in row["detail"]]
    assert dns["result"] == "ok" and CLOUD_ADDRESS in dns["detail"], dns
    dead, good = by_address(steps, DEAD), by_address(steps, CLOUD_ADDRESS)
    assert dead[broken]["result"] == "failed" and dead[broken]["reason"] == reason and remedy in dead[broken]["advice"], dead
    assert all(row["result"] == "ok" for step, row in dead.items() if step != broken), dead
    assert {"route", "TCP", "TLS", "cloud"} <= set(good) and {row["result"] for row in good.values()} == {"ok"}, good
    for step in ("authentication", "upgrade", "monitoring"):
        assert [row["result"] for row in steps if row["step"] == step] == ["ok"], (step, steps)
    assert [row["step"] for row in steps if row["result"] == "failed"] == [broken], steps
    assert cloud.record.count("auth") > mark


@pytest.mark.parametrize("answer, reason", [(b"", "peer_closed"), (BAD_GATEWAY, "upgrade_refused")])
def test_doctor_asks_every_address_of_a_registrations_host(lab, answer, reason):
    """[state-3] [conn-18] The host for connections has a dead address before a good one: the upgrade has a line for each,
    and only the dead one's is a failure."""
    cloud = cloud_that_names(lab, "main", CONNECTIONS)
    Half(lab, answer, True, CONNECTIONS, MAIN_PORT)
    agent = lab.agent(plugins=[]).start()
    agent.wait_established(limit=40)
    cloud.close_main(4009, "replaced")  # while it waits doctor may register in its place
    agent.wait_state(lambda state: state["last_down_reason"] == "replaced", what="a wait")
    steps = doctor(agent, lab, expect=1)
    rows = [(row["address"], row["result"], row["reason"]) for row in steps if row["step"] == "upgrade"]
    assert rows == [(DEAD, "failed", reason), (CLOUD_ADDRESS, "ok", None)], (rows, steps)


@pytest.mark.parametrize("running", [True, False], ids=["with an agent", "without"])
def test_doctor_names_a_missing_vpn_instance(lab, running):
    """[state-3] [conn-14] A vpn_instance that is neither a VRF nor a namespace: the check of the configuration warns with
    file and line, and the server's own line says what is missing and what to do; nothing else of that server is tried."""
    lab.scripted_cloud()
    agent = lab.agent(plugins=[])
    text = (agent.config / "hawser.toml").read_text()
    agent.write_config("hawser.toml", text.replace("[cloud.keepalive]", 'vpn_instance = "blue-vrf"\n[cloud.keepalive]'))
    if running:
        agent.start()
        agent.wait_failure("vpn_instance_missing")
    steps = doctor(agent, lab, expect=1)
    [binding] = [row for row in steps if row["step"] == "binding"]
    assert binding["result"] == "failed" and binding["reason"] == "vpn_instance_missing", binding
    assert "blue-vrf" in binding["detail"] and "create the VRF device" in binding["advice"], binding
    assert any(row["result"] == "warning" and "hawser.toml:" in row["detail"] and "blue-vrf" in row["detail"]
               for row in steps), steps
    assert not [row for row in steps if row["step"] in ("DNS", "route", "TCP", "TLS")], steps
    shown = lab.run([built("hawserctl"), "--socket", agent.socket, "--config", agent.config, "doctor"], place="device",
                    expect=1, limit=60).stdout
    assert "blue-vrf" in shown and "create the VRF device" in shown, shown
