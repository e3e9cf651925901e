"""hawserctl doctor where the way to the cloud is blocked: name servers, routes, proxies."""

import json

from basics import built
from lab import AUTH_PORT
from middleboxes import tinyproxy
from namespaces import AGENT, AGENT_ROUTER, CLOUD_ADDRESS, CLOUD_NAME

INSIDE = "10.99.2.11"


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
