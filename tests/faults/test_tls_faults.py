"""Certificates and handshakes that are not right, for a name that is not localhost: rows F36 to F45, C. TLS.

F36 to F39 and F45 stand in tests/end_to_end too (test_tls.py, test_keepalive.py), F40 and F41 in core/transport; here
the host has a name of its own, so that a missing name check would be seen."""

import socket
import time

import pytest

from basics import SERIAL
from certificates import Authority
from lab import AUTH_PORT, CLOSE_S
from namespaces import CLOUD_ADDRESS, CLOUD_NAME
from program import SLOWNESS
from rows import moored, wait_down, wait_moored_again


def refused(lab, certificate, reason, *words, limit=20):
    """An agent at a cloud with this certificate for authentication: refused, with these words, and nothing was sent."""
    cloud = lab.scripted_cloud(certificates={"auth": certificate})
    agent = lab.agent(plugins=[]).start()
    state = agent.wait_failure(reason, limit=limit)
    for word in words:
        assert word in state["failure_detail"], state["failure_detail"]
    assert cloud.record.count("auth") == 0
    time.sleep(3)
    attempts = agent.program.text().count("Connecting -> Waiting, failed:")
    assert attempts <= 5, f"{attempts} attempts within seconds are a storm"
    return agent


@pytest.mark.parametrize("days, words", [((-30, -2), ("expired",)), ((5, 30), ("is valid from",))],
                         ids=["F36-expired", "F37-not-yet"])
def test_a_certificate_out_of_its_time(lab, days, words):
    """[F36] [F37] Expired, or not valid yet: `certificate_clock` with its date, that of the device, and no storm of
    attempts."""
    refused(lab, lab.authority.issue([CLOUD_NAME], days=days), "certificate_clock", *words, "20")


@pytest.mark.parametrize("names", [["evil.test"], ["test"], ["*.cloud.test"], ["evil-cloud.test"],
                                   ["cloud.test.evil.test"]])
def test_a_certificate_for_another_name(lab, names):
    """[F38] [sec-1] A trusted certificate for another name is refused, and both names are told."""
    refused(lab, lab.authority.issue(names), "tls_failed", CLOUD_NAME)


def test_a_certificate_of_a_stranger(lab):
    """[F39] [sec-1] A certificate of an authority that is not trusted is refused, and its issuer is shown."""
    stranger = Authority(lab.folder / "stranger", "Stranger CA")
    agent = refused(lab, stranger.issue([CLOUD_NAME]), "tls_failed")
    assert "Stranger CA" in agent.state()["failure_detail"] + agent.program.text()


def test_an_authority_is_replaced(lab):
    """[F40] With the old and the new authority in ca_file, the cloud changes its certificate without an outage."""
    new = Authority(lab.folder / "new", "New CA")
    both = lab.folder / "both.pem"
    both.write_bytes(lab.authority.file.read_bytes() + new.file.read_bytes())
    cloud = lab.scripted_cloud()
    agent = lab.agent(ca_file=both, plugins=[]).start()
    agent.wait_established()
    cloud.close()
    usual = new.issue([CLOUD_NAME])
    rotated = lab.scripted_cloud(certificates={step: usual for step in ("auth", "main", "service")})
    rotated.adopt(cloud)
    agent.wait_state(lambda state: rotated.record.count("connect") and state["cloud_connection_state"] == "Established",
                     what="established with the new certificate")


def test_an_old_version_of_tls(lab):
    """[F41] A server that speaks TLS 1.1 at most is refused by `tls_failed`."""
    chain, key = lab.authority.issue([CLOUD_NAME])
    server = lab.start("old-tls", ["openssl", "s_server", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-accept",
                                   f"{CLOUD_ADDRESS}:{AUTH_PORT}", "-cert", chain, "-key", key, "-www"], place="cloud")
    server.wait_line("ACCEPT")
    agent = lab.agent(plugins=[]).start()
    state = agent.wait_failure("tls_failed")
    assert "1.2" in state["failure_detail"], state["failure_detail"]


def test_a_certificate_expires_while_connected(lab):
    """[F43] The server's certificate runs out: the connection stays, the next dial fails by its name."""
    short = lab.authority.issue([CLOUD_NAME], days=(-1, 6 * SLOWNESS / 86400))
    cloud = lab.scripted_cloud(certificates={step: short for step in ("auth", "main", "service")})
    agent = lab.agent(plugins=[]).start()
    agent.wait_established()
    time.sleep(7 * SLOWNESS)
    assert agent.state()["cloud_connection_state"] == "Established" and cloud.record.count("main:end") == 0
    cloud.drop_all()
    state = agent.wait_failure("certificate_clock")
    assert "expired" in state["failure_detail"]


def test_a_handshake_that_stalls(lab):
    """[F44] [conn-21] A server that accepts and says nothing is left after 10 s, by the next server of the list."""
    silent = lab.in_place("cloud", lambda: socket.create_server((CLOUD_ADDRESS, AUTH_PORT)))
    lab.scripted_cloud(name="s1.test")
    began = time.monotonic()
    agent = lab.agent(plugins=[], servers={CLOUD_NAME: [AUTH_PORT], "s1.test": [AUTH_PORT]}).start()
    agent.program.wait_line("failed: tls_failed", limit=12)
    assert 9.5 <= time.monotonic() - began <= 11 + SLOWNESS
    assert agent.wait_established()["cloud_server_domain_name"] == "s1.test"
    silent.close()


def test_a_server_that_is_killed(lab):
    """[F45] hawser-cloud is killed: no close_notify, no Close; an end of the connection that is named, and mended."""
    cloud = lab.cloud(serials=[SERIAL]).start()
    agent = lab.agent(ca_file=cloud.ca_file, plugins=[]).start()
    agent.wait_established()
    cloud.kill()
    state, took = wait_down(agent, 5)
    assert state["last_down_reason"] == "peer_closed" and took < 1 + SLOWNESS
    cloud.start()
    agent.wait_established(limit=30)


def test_half_a_message_before_the_end_has_no_effect(lab):
    """[F45] A command cut off by the end of the connection is not carried out."""
    cloud, agent = moored(lab)
    command = b'{"type":"command","id":"cut","name":"reconnect","args":{}}'
    cloud.send_raw(bytes([0x81, len(command)]) + command[:-2])
    cloud.abort()
    wait_down(agent, 5)
    wait_moored_again(cloud, agent)
    assert cloud.record.count("main:command_result") == 0 and cloud.record.count("connect") == 2
