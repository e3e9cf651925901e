"""Faults of the way between agent and cloud: rows F1 to F16 of the fault matrix, A. Transport."""

import socket
import threading
import time

import pytest

from basics import SERIAL, SERVICES, wait_for
from lab import AUTH_PORT, CLOSE_S, DEAD_S, MAIN_PORT, PING_S, SERVICE_PORT
from namespaces import AGENT, AGENT_ROUTER, CLOUD, NAT
from program import SLOWNESS
from rows import (assert_no_sample_lost, cpu_share, log_settings, moored, uploaded, wait_down, wait_drained,
                  wait_failure_or_down, wait_moored_again, wait_uploaded, write_log)


CLOUD_CLOSE_S = 3  # its look once a second, and a second for its Close to get out


def forget_mappings_at_once(lab):
    """The NAT drops what belongs to no mapping, and takes up none in mid-stream."""
    lab.net.sysctl(NAT, "net.netfilter.nf_conntrack_tcp_loose=0")
    lab.fault("ct state invalid drop")


def test_a_mapping_that_lives_longer_than_the_ping_is_kept(lab):
    """[F1] [conn-5] A NAT forgets idle connections after 8 s: a ping every 5 s keeps the connection, an hour's
    keepalive would not."""
    forget_mappings_at_once(lab)
    lab.net.sysctl(NAT, "net.netfilter.nf_conntrack_tcp_timeout_established=8")
    cloud, agent = moored(lab)
    pings = cloud.main.socket
    deadline = time.monotonic() + 20 * SLOWNESS
    while pings.pings < 4 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert pings.pings >= 4 and cloud.record.count("main:end") == 0
    agent.ctl("state")
    assert agent.state()["cloud_connection_state"] == "Established"


def test_a_mapping_that_dies_before_the_ping_is_noticed(lab):
    """[F1] A NAT that forgets after 2 s: the loss is seen within ping interval + 15 s, named, and mended by itself."""
    forget_mappings_at_once(lab)
    lab.net.sysctl(NAT, "net.netfilter.nf_conntrack_tcp_timeout_established=2")
    cloud, agent = moored(lab)
    state, took = wait_down(agent)
    assert state["last_down_reason"] == "hang_up" and took <= DEAD_S + CLOSE_S + SLOWNESS
    wait_moored_again(cloud, agent)


def test_a_nat_that_restarts(lab):
    """[F2] A NAT loses all its mappings: main connection and every subconnection come back by themselves, no sample is
    lost."""
    forget_mappings_at_once(lab)
    cloud, agent = moored(lab, plugins=SERVICES)
    lab.net.run(NAT, "conntrack", "-F")
    wait_down(agent)
    for service in SERVICES:
        cloud.record.wait(f"hello:{service}", 2, limit=40 * SLOWNESS)
    wait_moored_again(cloud, agent, SERVICES)
    wait_drained(agent)
    assert_no_sample_lost(cloud)


@pytest.mark.parametrize("rule", ["counter drop", "ip saddr 10.99.2.2 counter drop", "ip saddr 10.99.1.2 counter drop"],
                         ids=["F3-both-ways", "F4-to-the-agent", "F5-to-the-cloud"])
def test_a_black_hole(lab, rule):
    """[F3] [F4] [F5] Packets vanish, both ways or one: hang_up within ping interval + 15 s, the agent answers
    meanwhile, no loss."""
    cloud, agent = moored(lab, plugins=("monitoring",))
    lab.fault(rule)
    state, took = wait_down(agent)
    assert state["last_down_reason"] == "hang_up" and took <= DEAD_S + CLOSE_S + SLOWNESS, state
    assert lab.dropped() > 0
    lab.heal()
    wait_moored_again(cloud, agent, ("monitoring",), limit=45)
    wait_drained(agent)
    assert_no_sample_lost(cloud)


def test_a_server_drops_its_ghost(lab):
    """[F5] What the agent says vanishes: hawser-cloud too calls the device gone, within 2.5 ping intervals."""
    cloud = lab.cloud(serials=[SERIAL]).start()
    agent = lab.agent(ca_file=cloud.ca_file, plugins=[]).start()
    agent.wait_established()
    cloud.wait_device(lambda device: device["state"] != "disconnected", what="the device is there")
    lab.fault("ip saddr 10.99.1.2 drop")
    cloud.wait_device(lambda device: device["state"] == "disconnected", limit=2.5 * PING_S + CLOUD_CLOSE_S,
                      what="the ghost is gone")
    lab.heal()
    wait_down(agent)
    agent.wait_established(limit=30)


def test_an_injected_reset(lab):
    """[F6] A reset from the middle ends the connection at the next packet; the agent says so and comes back with
    jitter."""
    cloud, agent = moored(lab)
    lab.fault("meta l4proto tcp counter reject with tcp reset")
    state, took = wait_down(agent, PING_S + 2)
    assert state["last_down_reason"] == "peer_closed", state
    wait_failure_or_down(agent, "connect_refused")
    lab.heal()
    wait_moored_again(cloud, agent)


def test_five_of_a_hundred_packets_are_lost(lab):
    """[F7] 5 % loss slows the traffic down and is no reason to call a connection dead; no sample is lost."""
    cloud, agent = moored(lab, plugins=("monitoring",))
    lab.fault("numgen random mod 100 < 5 counter drop")
    cloud.record.wait("data:monitoring", 20, limit=40 * SLOWNESS)
    assert cloud.record.count("main:end") == 0 and cloud.record.count("end:monitoring") == 0
    lab.heal()
    wait_drained(agent)
    assert_no_sample_lost(cloud)


@pytest.mark.long
def test_thirty_of_a_hundred_packets_are_lost(lab):
    """[F7] 30 % loss may cost connections, but no message."""
    cloud, agent = moored(lab, plugins=("monitoring",))
    lab.fault("numgen random mod 100 < 30 counter drop")
    cloud.record.wait("data:monitoring", 15, limit=120 * SLOWNESS)
    lab.heal()
    agent.wait_ready(("monitoring",), limit=60)
    wait_drained(agent, limit=60)
    assert_no_sample_lost(cloud)


def test_a_long_way_with_packets_out_of_order(lab):
    """[F8] 300 ms there and back, with packets that overtake each other: it moors, and a log of 1 MiB arrives whole."""
    lab.slow_wire(delay_ms=150, jitter_ms=25)
    path, content = write_log(lab, 1 << 20)
    cloud, agent = moored(lab, plugins=("log_upload",), plugin_files=log_settings(path))
    wait_uploaded(cloud, content, limit=60)
    assert cloud.record.count("main:end") == 0 and agent.subconnection("log_upload")["reconnects"] == 0


def test_a_thin_line_full_of_logs(lab):
    """[F9] 64 kbit/s, filled by a log upload: pings get through, and the main connection stays."""
    path, content = write_log(lab, 160 * 1024)
    cloud = lab.scripted_cloud()
    cloud.grant_limits["ping_s"] = 30
    lab.rate(64000)
    agent = lab.agent(plugins=["hawser.log_upload"], plugin_files=log_settings(path)).start()
    agent.wait_ready(("log_upload",), limit=30)
    wait_uploaded(cloud, content, limit=60)
    assert cloud.main.socket.pings >= 2 and cloud.record.count("main:end") == 0
    assert agent.subconnection("log_upload")["reconnects"] == 0


def mtu_black_hole(lab):
    """Packets of more than 600 bytes towards the cloud vanish, and no one tells the sender."""
    lab.net.nft("add chain inet fault out { type filter hook output priority 0; }\n"
                "add rule inet fault out icmp type destination-unreachable counter drop\n")
    lab.net.ip(NAT, "link set c1 mtu 600\n")


def test_big_packets_vanish(lab):
    """[F10] Behind a path with a smaller MTU that says nothing, only the service with big messages stalls, no longer
    than the limit."""
    lab.net.sysctl(AGENT, "net.ipv4.tcp_mtu_probing=0")
    path = lab.folder / "app.log"
    path.write_text("begin\n")
    cloud, agent = moored(lab, plugins=("log_upload",), plugin_files=log_settings(path))
    cloud.record.wait("data:log_upload")
    mtu_black_hole(lab)
    _, content = write_log(lab, 20000)
    agent.program.wait_line("log_upload: ready -> backoff", limit=32)
    assert cloud.record.count("main:end") == 0, "the main connection is not touched"
    lab.net.ip(NAT, "link set c1 mtu 1500\n")
    agent.wait_ready(("log_upload",), limit=30)
    wait_drained(agent, "log_upload")


def test_big_packets_vanish_where_the_kernel_probes(lab):
    """[F10] With net.ipv4.tcp_mtu_probing the same path works without a reconnect."""
    lab.net.sysctl(AGENT, "net.ipv4.tcp_mtu_probing=1", "net.ipv4.tcp_base_mss=512")
    path = lab.folder / "app.log"
    path.write_text("begin\n")
    cloud, agent = moored(lab, plugins=("log_upload",), plugin_files=log_settings(path))
    cloud.record.wait("data:log_upload")
    mtu_black_hole(lab)
    _, content = write_log(lab, 20000)
    wait_for(lambda: sum(seen.data["size"] for seen in cloud.record.all("data:log_upload")) > len(content) // 3, 25,
             "the big message came through")
    assert agent.subconnection("log_upload")["reconnects"] == 0
