"""Faults of the agent's own link and of servers that cannot be dialled: rows F11 to F19, A. Transport."""

import socket
import threading
import time

import pytest

from lab import AUTH_PORT, CLOSE_S, DEAD_S
from namespaces import AGENT, AGENT_ROUTER, CLOUD_NAME
from program import SLOWNESS
from rows import cpu_share, dial_seconds, moored, wait_down, wait_failure_or_down, wait_moored_again


@pytest.mark.parametrize("spread_s", [0, 3600])
def test_the_address_changes(lab, spread_s):
    """[F11] [conn-19] The agent's address is replaced: the old connection is left, a new one stands, within ping interval +
    15 s, however long the spread that the cloud asked for: the loss was local."""
    cloud = lab.scripted_cloud()
    cloud.spread_s = spread_s
    cloud, agent = moored(lab, cloud)
    began = time.monotonic()
    lab.net.ip(AGENT, "address delete 10.99.1.2/24 dev a0\naddress add 10.99.1.77/24 dev a0\n"
                      f"route replace default via {AGENT_ROUTER}\n")
    wait_moored_again(cloud, agent, limit=DEAD_S + CLOSE_S + 5)
    assert time.monotonic() - began <= (DEAD_S + CLOSE_S + 5) * SLOWNESS


def link(lab, state):
    lab.net.ip(AGENT, f"link set a0 {state}\n")
    if state == "up":
        lab.net.ip(AGENT, f"route replace default via {AGENT_ROUTER}\n")


def test_the_link_is_down_for_a_second(lab):
    """[F12] A link that is gone for a second costs no connection."""
    cloud, agent = moored(lab)
    link(lab, "down")
    time.sleep(1)
    link(lab, "up")
    pings = cloud.main.socket.pings
    end = time.monotonic() + DEAD_S * SLOWNESS
    while cloud.main.socket.pings < pings + 2 and time.monotonic() < end:
        time.sleep(0.1)
    assert cloud.main.socket.pings >= pings + 2 and cloud.record.count("main:end") == 0
    assert agent.state()["cloud_connection_state"] == "Established"


def test_the_link_is_down_for_longer(lab):
    """[F12] [F13] [conn-20] Without a link the state says so and the agent does not spin; when it is back the agent is
    at once."""
    cloud, agent = moored(lab)
    link(lab, "down")
    wait_failure_or_down(agent, "network_unreachable")
    assert cpu_share(agent) < 0.05
    agent.wait_state(lambda state: (state["next_attempt_in_s"] or 0) >= 3, limit=60, what="a wait of some seconds")
    link(lab, "up")
    back = time.monotonic()
    wait_moored_again(cloud, agent)
    assert time.monotonic() - back <= 2 + 2 * SLOWNESS, "the agent waited although its link was back"


def test_no_route(lab):
    """[F13] Without a route the reason is `network_unreachable`, the agent tries with growing waits, and does not
    spin."""
    lab.net.ip(AGENT, "route delete default\n")
    cloud = lab.scripted_cloud()
    agent = lab.agent(plugins=[]).start()
    agent.wait_failure("network_unreachable")
    assert cpu_share(agent) < 0.05
    lab.net.ip(AGENT, f"route add default via {AGENT_ROUTER}\n")
    agent.wait_established(limit=15)
    assert cloud.record.count("connect") == 1


def test_a_server_that_does_not_answer(lab):
    """[F14] [conn-10] [conn-21] Packets to the first server vanish: the next one is tried after the connect limit of 10
    s."""
    clouds = lab.fleet([CLOUD_NAME, "s1.test"])
    lab.fault(f"ip daddr 10.99.2.2 tcp dport {AUTH_PORT} counter drop")
    began = time.monotonic()
    agent = lab.agent(plugins=[], servers={CLOUD_NAME: [AUTH_PORT], "s1.test": [AUTH_PORT]}).start()
    agent.program.wait_line("failed: connect_timeout", limit=12)
    state = agent.wait_established()
    assert 9.5 <= time.monotonic() - began <= 11 + SLOWNESS
    assert state["cloud_server_domain_name"] == "s1.test" and clouds[CLOUD_NAME].record.count("tls") == 0


@pytest.mark.parametrize("rule, reasons", [
    ("", ("connect_refused",)),
    (f"tcp dport {AUTH_PORT + 1} reject with icmp type admin-prohibited", ("connect_refused", "network_unreachable")),
], ids=["F15-refused", "F16-prohibited"])
def test_the_next_port_follows_at_once(lab, rule, reasons):
    """[F15] [F16] [conn-9] The first port refuses, or a firewall prohibits it: the next port is tried at once, the
    reason shown."""
    if rule:
        lab.fault(rule)
    lab.scripted_cloud()
    began = time.monotonic()
    agent = lab.agent(plugins=[], servers={CLOUD_NAME: [AUTH_PORT, AUTH_PORT + 1]}).start()
    state = agent.wait_established()
    assert time.monotonic() - began < 2 * SLOWNESS and state["cloud_server_authentication_port"] == AUTH_PORT
    assert any(f"failed: {reason} (10.99.2.2:{AUTH_PORT + 1}" in agent.program.text() for reason in reasons)


def test_a_dead_address_does_not_hide_a_living_one(lab):
    """[F17] [conn-18] The name has a dead IPv6 address and a good IPv4 one: the good one is dialled 250 ms later."""
    lab.scripted_cloud(name="dual.test")
    lab.fault("ip6 daddr fd00:99:2::dead counter drop")
    lab.dns("--host-record=dual.test,10.99.2.2,fd00:99:2::dead")
    lab.hosts({})
    agent = lab.agent(plugins=[], domain="dual.test").start()
    state = agent.wait_established()
    assert dial_seconds(agent) < 1.5 * SLOWNESS
    assert state["cloud_server_address"] == "10.99.2.2" and lab.dropped() > 0, "the IPv6 address was tried too"


def test_the_connection_table_is_full(lab):
    """[F18] A NAT whose table is full takes no new connection: named, waited for, and over when there is room."""
    lab.fault("ct state new ct count over 1 counter drop")
    hog = lab.in_place("cloud", lambda: socket.create_server(("10.99.2.2", 7000)))
    taken = lab.in_place("device", lambda: socket.create_connection(("10.99.2.2", 7000), 2))
    cloud = lab.scripted_cloud()
    agent = lab.agent(plugins=[]).start()
    state = agent.wait_failure("connect_timeout", limit=15)
    assert state["cloud_connection_state"] != "Established" and cloud.record.count("tls") == 0
    lab.heal()
    agent.wait_established(limit=20)
    for each in (taken, hog):
        each.close()


class Portal:
    """A captive portal on hn: answers whatever comes with these bytes, and keeps what came."""

    def __init__(self, lab, answer):
        self.answer, self.heard = answer, b""
        self.server = lab.in_place("nat", lambda: socket.create_server((AGENT_ROUTER, 8081)))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            while True:
                client, _ = self.server.accept()
                client.settimeout(5)
                self.heard += client.recv(65536)
                client.sendall(self.answer)
                client.close()
        except OSError:
            return


def test_a_captive_portal(lab):
    """[F19] A portal answers in the cloud's place: a TLS error with a word on what it may be; nothing of value is sent
    to it."""
    portal = Portal(lab, b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\n\r\n")
    lab.net.nft(f"add rule ip nat pre iifname a1 tcp dport {AUTH_PORT} dnat to {AGENT_ROUTER}:8081\n")
    lab.scripted_cloud()
    agent = lab.agent(plugins=[]).start()
    state = agent.wait_failure("tls_failed")
    assert "TLS" in state["failure_detail"]
    assert portal.heard.startswith(b"\x16\x03") and agent.serial.encode() not in portal.heard
    lab.net.nft("flush chain ip nat pre\n")
    agent.wait_established(limit=15)
    portal.server.close()
