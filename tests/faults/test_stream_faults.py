"""Faults inside a connection: rows F20 to F29 of the fault matrix, A. Transport. F21, F24 and F25 need no network of
their own and stand in tests/end_to_end (test_refusals.py, test_wire.py)."""

import os
import signal
import time

import pytest

import processes
from basics import SERIAL, SERVICES, wait_for
from lab import CLOSE_S, DEAD_S
from namespaces import NAT
from program import SLOWNESS
from rows import (assert_no_sample_lost, log_settings, moored, wait_down, wait_drained, wait_moored_again,
                  wait_uploaded, write_log)


@pytest.mark.long
def test_a_peer_that_stops_reading(lab):
    """[F20] The cloud stops reading: memory stays bounded, the connection is given up at its limit, and all arrives
    later."""
    path, content = write_log(lab, 24 << 20)
    cloud = lab.scripted_cloud()
    cloud.grant_limits["ping_s"] = 5
    agent = lab.agent(plugins=["hawser.log_upload"], plugin_files=log_settings(path)).start()
    cloud.record.wait("data:log_upload", 2)
    cloud.stop_reading("log_upload")
    agent.program.wait_line("log_upload: hang_up", limit=DEAD_S + CLOSE_S + 3)
    for pid in agent.hosts():
        assert processes.pss_kib(pid) < 64 * 1024, "what waits is bounded"
    wait_uploaded(cloud, content, limit=90)
    assert cloud.record.count("main:end") == 0


def test_a_frozen_server(lab):
    """[F22] hawser-cloud is frozen: hang_up within ping interval + 15 s; thawed, everything returns."""
    cloud = lab.cloud(serials=[SERIAL]).start()
    agent = lab.agent(ca_file=cloud.ca_file).start()
    agent.wait_ready()
    os.kill(cloud.program.pid, signal.SIGSTOP)
    try:
        state, took = wait_down(agent)
        assert state["last_down_reason"] == "hang_up" and took <= DEAD_S + CLOSE_S + SLOWNESS
    finally:
        os.kill(cloud.program.pid, signal.SIGCONT)
    agent.wait_ready(limit=60)


def test_a_half_closed_connection(lab):
    """[F23] The server shuts its sending side: a closed connection, at once, without a Close frame."""
    cloud, agent = moored(lab)
    cloud.half_close()
    state, took = wait_down(agent, 5)
    assert state["last_down_reason"] == "peer_closed" and took < 1 + SLOWNESS, state
    wait_moored_again(cloud, agent)


def test_a_frame_that_ends_in_its_header(lab):
    """[F26] Half a frame header and the end: closed at once, and no spinning."""
    cloud, agent = moored(lab)
    cloud.send_raw(b"\x81")
    before = processes.cpu_ns(agent.program.pid)
    cloud.abort()
    state, took = wait_down(agent, 5)
    assert state["last_down_reason"] == "peer_closed" and took < 1 + SLOWNESS, state
    wait_moored_again(cloud, agent)
    assert processes.cpu_ns(agent.program.pid) - before < 1e9


def test_a_frame_that_never_ends(lab):
    """[F27] Half a frame and then silence ends the connection within ping interval + 15 s."""
    cloud, agent = moored(lab)
    cloud.main.socket.mute = True
    cloud.send_raw(b"\x81\x7e\x10\x00" + b'{"type":"command"')
    state, took = wait_down(agent)
    assert state["last_down_reason"] == "hang_up" and took <= DEAD_S + CLOSE_S + SLOWNESS, state
    wait_moored_again(cloud, agent)


def test_the_rate_collapses_inside_a_message(lab):
    """[F28] 1 Mbit/s, then 2 kbit/s inside a message, then 1 Mbit/s: what the cloud stores is whole and in order."""
    path, content = write_log(lab, 400 * 1024)
    cloud = lab.scripted_cloud()
    cloud.grant_limits["ping_s"] = 5
    lab.rate(1000000)
    agent = lab.agent(plugins=["hawser.log_upload"], plugin_files=log_settings(path)).start()
    cloud.record.wait("data:log_upload")
    lab.rate(2000)
    time.sleep(8)
    lab.rate(1000000)
    agent.wait_established(limit=60)
    wait_uploaded(cloud, content, limit=60)
    lab.rate(None)


def untouched_but_monitoring(cloud, agent, before):
    assert agent.state()["connected_at"] == before["connected_at"] and cloud.record.count("main:end") == 0
    for service in ("config_push", "log_upload"):
        assert cloud.record.count(f"dial:{service}") == 1, f"{service} was touched"


@pytest.mark.parametrize("how", ["dropped", "destroyed", "garbage"])
def test_one_subconnection_is_cut(lab, how):
    """[F29] [iso-3] One subconnection is blackholed, killed or fed what is no WebSocket: it alone comes back; main
    connection and the others are not touched."""
    cloud, agent = moored(lab, plugins=SERVICES)
    before = agent.state()
    writer = cloud.subconnections["monitoring"].socket.writer
    port = writer.get_extra_info("peername")[1]
    if how == "dropped":
        lab.fault(f"tcp sport {port} counter drop")  # the NAT keeps the agent's port numbers where it can
    elif how == "garbage":
        cloud.background.call(writer.write, bytes(range(128, 256)) * 64)
    else:
        lab.net.run("ha", "ss", "-K", "src", "10.99.1.2", "sport", "=", f":{port}")
    cloud.record.wait("hello:monitoring", 2, limit=(DEAD_S + CLOSE_S + 10) * SLOWNESS)
    if how == "dropped":
        assert lab.dropped() > 0
    agent.wait_ready()
    untouched_but_monitoring(cloud, agent, before)
    wait_drained(agent)
    assert_no_sample_lost(cloud)


def test_one_subconnection_is_throttled(lab):
    """[iso-3] Of one subconnection next to nothing gets through: it alone is slow or begins anew; when it may go on, what
    waited is all there."""
    cloud, agent = moored(lab, plugins=SERVICES)
    before = agent.state()
    port = cloud.subconnections["monitoring"].socket.writer.get_extra_info("peername")[1]
    lab.fault(f"tcp sport {port} limit rate over 100 bytes/second counter drop")
    wait_for(lambda: lab.dropped() >= 5, 60, "packets beyond the rate")
    wait_for(lambda: agent.subconnection("monitoring")["queued_messages"] > 0, 60, "messages wait")
    lab.heal()
    agent.wait_ready(limit=60)
    untouched_but_monitoring(cloud, agent, before)
    wait_drained(agent)
    assert_no_sample_lost(cloud)
