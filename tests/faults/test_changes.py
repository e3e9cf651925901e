"""What ends a wait, what a proxy of the environment does, and a twin, with the real programs in the lab."""

import os
import shutil
import time

import pytest

from basics import SERIAL, SERVICES, wait_for
from dhcp import Wire
from lab import AUTH_PORT
from middleboxes import tinyproxy
from namespaces import AGENT, AGENT_ROUTER, CLOUD_ADDRESS, CLOUD_NAME
from program import SLOWNESS
from test_doctor import doctor
from wire import Answer

INSIDE = "10.99.2.11"


def change_link(lab, agent):
    lab.net.ip(AGENT, "link add d0 type veth peer name d1\nlink set d0 up\nlink set d1 up\n")


def change_address(lab, agent):
    lab.net.ip(AGENT, "address add 10.99.1.77/24 dev a0\n")


def change_route(lab, agent):
    lab.net.ip(AGENT, f"route add 10.99.200.0/24 via {AGENT_ROUTER}\n")


def lease(lab, agent):
    Wire(lab, agent.runtime_dir / "dhcp").offer(CLOUD_NAME.encode(), interface="a0")


def configure(lab, agent):
    agent.write_config("conf.d/40-ping.toml", '[cloud.ping]\ninterval = "6s"\n')
    agent.ctl("config", "reload")


def long_wait(agent):
    """Waits until the agent itself waits for so long that an attempt before its end must have a reason."""
    return agent.wait_state(lambda state: (state["next_attempt_in_s"] or 0) >= 6, 90, "a wait of six seconds and more")


@pytest.mark.parametrize("change", [change_link, change_address, change_route, lease, configure])
def test_what_ends_the_agents_own_backoff(lab, change):
    """[conn-20] A link, an address, a route, a DHCP event and a new configuration each end the agent's own backoff at
    once."""
    lab.fault(f"tcp dport {AUTH_PORT} counter reject with tcp reset")
    cloud = lab.scripted_cloud()
    agent = lab.agent(plugins=[], authentication_port=AUTH_PORT).start()
    long_wait(agent)
    lab.heal()
    began = time.monotonic()
    change(lab, agent)
    cloud.record.wait("connect", limit=4 * SLOWNESS)
    assert time.monotonic() - began < 4 * SLOWNESS
    agent.wait_established()


@pytest.mark.parametrize("change", [change_link, change_route, lease, configure])
def test_what_does_not_end_a_wait_that_the_cloud_asked_for(lab, change):
    """[conn-20] A wait that the cloud asked for (Retry-After) goes on through a link, a route, a lease of the same name and
    a new configuration; `reset` ends it."""
    cloud = lab.scripted_cloud()
    cloud.always("register", Answer(503, "", {"Retry-After": "3600"}))
    agent = lab.agent(plugins=[], authentication_port=AUTH_PORT).start()
    agent.wait_state(lambda state: (state["next_attempt_in_s"] or 0) > 3000, what="an hour's wait")
    cloud.clear("register")
    count = cloud.record.count("tls")
    mark = agent.program.mark()
    change(lab, agent)
    time.sleep(2.5)
    state = agent.state()
    assert cloud.record.count("tls") == count and state["next_attempt_in_s"] > 3000, agent.program.lines()[mark:]
    agent.ctl("reset")
    agent.wait_established()


@pytest.mark.parametrize("user", ["", "moor:sEcret-1@"], ids=["open", "with a user"])
def test_a_proxy_of_the_environment(lab, user):
    """[conn-22] https_proxy, with and without a user: the main connection and all three subconnections go through it, the
    cloud sees no credentials, and they stand in no log, state, configuration shown, nor in the hosts' environment."""
    words = [f"BasicAuth {user[:-1].replace(':', ' ')}"] if user else []
    proxy = tinyproxy(lab, INSIDE, 3128, "ConnectPort 443", "ConnectPort 8443", "ConnectPort 19443", "ConnectPort 9443", *words)
    lab.fault(f"ip saddr 10.99.1.2 ip daddr {CLOUD_ADDRESS} tcp dport {{ 443, 8443, 19443 }} counter drop")
    cloud = lab.scripted_cloud()
    agent = lab.agent(log_level="trace")
    agent.start(environment={**os.environ, "https_proxy": f"http://{user}{INSIDE}:3128"})
    agent.wait_ready()
    targets = [line for line in proxy.lines() if "CONNECT" in line and CLOUD_NAME in line]
    assert sum(f"{CLOUD_NAME}:8443" in line for line in targets) >= len(SERVICES) and lab.dropped() == 0, targets
    for seen in cloud.record.all():
        assert not [name for name in seen.data.get("headers", {}) if "proxy" in name.lower()], seen
    shown = agent.program.text() + agent.ctl("state", "--json").stdout + agent.ctl("config", "show", "--json").stdout
    for pid in agent.hosts():
        with open(f"/proc/{pid}/environ") as file:
            shown += file.read()
    assert "sEcret-1" not in shown and "bW9vcjpzRWNyZXQtMQ" not in shown
    # doctor is typed in a shell without that variable, and hawserctl is started for a bundle that the cloud asks for.
    steps = doctor(agent, lab, expect=0)
    assert any(row["result"] == "skipped" and "tells nobody" in row["detail"] for row in steps) == bool(user), steps
    cloud.send_main({"type": "command", "id": "b", "name": "collect_bundle", "args": {"url": f"https://{CLOUD_NAME}:9443/b"}})
    proxy.wait_line(f"CONNECT {CLOUD_NAME}:9443")


def test_all_proxy_counts_where_no_https_proxy_is_set(lab):
    """[conn-22] all_proxy alone: the main connection and the services go through it; with https_proxy beside it that one
    counts, and NO_PROXY goes past both."""
    ports = ("ConnectPort 443", "ConnectPort 8443", "ConnectPort 19443")
    proxy = tinyproxy(lab, INSIDE, 3128, *ports)
    lab.fault(f"ip saddr 10.99.1.2 ip daddr {CLOUD_ADDRESS} tcp dport {{ 443, 8443, 19443 }} counter drop")
    lab.scripted_cloud()
    agent = lab.agent()
    agent.start(environment={**os.environ, "ALL_PROXY": f"http://{INSIDE}:3128"})
    agent.wait_ready()
    assert sum(f"{CLOUD_NAME}:8443" in line for line in proxy.lines() if "CONNECT" in line) >= len(SERVICES)
    assert lab.dropped() == 0
    agent.stop()
    agent.start(environment={**os.environ, "ALL_PROXY": f"http://{INSIDE}:9", "https_proxy": f"http://{INSIDE}:3128"})
    agent.wait_ready()
    agent.stop()
    lab.heal()
    mark = proxy.mark()
    agent.start(environment={**os.environ, "ALL_PROXY": f"http://{INSIDE}:3128", "NO_PROXY": ".test"})
    agent.wait_ready()
    assert not proxy.count_lines("CONNECT", mark)


def test_no_proxy_goes_past_it(lab):
    """[conn-22] no_proxy names the cloud: nothing goes to the proxy of the environment."""
    proxy = tinyproxy(lab, INSIDE, 3128, "ConnectPort 443", "ConnectPort 8443", "ConnectPort 19443")
    lab.scripted_cloud()
    agent = lab.agent()
    agent.start(environment={**os.environ, "https_proxy": f"http://{INSIDE}:3128", "no_proxy": "example.com, .test"})
    agent.wait_ready()
    assert f"CONNECT {CLOUD_NAME}" not in proxy.text()


def test_both_ends_name_the_twin(lab):
    """[conn-24] [state-2] A second device with the same identity at another address: the first says `replaced` with the
    other's address, in state, history and log; the cloud shows `replaced` with both addresses; and the first waits a
    minute at least."""
    lab.net.nft("flush chain ip nat post\n")
    cloud = lab.cloud(serials=[SERIAL]).start()
    original = lab.agent(ca_file=cloud.ca_file, plugins=[]).start()
    original.wait_established()
    twin = lab.agent(ca_file=cloud.ca_file, plugins=[], name="twin")
    lab.net.ip(AGENT, "address add 10.99.1.66/24 dev a0\n")
    text = (twin.config / "hawser.toml").read_text()
    twin.write_config("hawser.toml", text.replace("[cloud.keepalive]", 'source_ip = "10.99.1.66"\n[cloud.keepalive]'))
    twin.state_dir.mkdir(mode=0o700)
    shutil.copy2(original.state_dir / "device.key", twin.state_dir / "device.key")
    twin.start()
    twin.wait_established()
    state = original.wait_state(lambda state: state["last_down_reason"] == "replaced", what="replaced")
    assert "10.99.1.66" in state["last_down_detail"], state["last_down_detail"]
    assert state["next_attempt_in_s"] >= 55
    assert "replaced" in original.ctl("state").stdout and "10.99.1.66" in original.ctl("history", "--json").stdout

    def told():
        events = cloud.command("device", "history", SERIAL, "--json").stdout
        return events if '"replaced"' in events else None
    events = wait_for(told, 10, "the replacement in the cloud's history")
    assert "10.99.1.66" in events and "10.99.1.2" in events, events
    assert "replaced" in cloud.program.text() and "10.99.1.66" in cloud.program.text()
    assert twin.state()["cloud_connection_state"] == "Established"
