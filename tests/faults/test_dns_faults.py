"""Names that cannot be found, that change, or that lie: rows F30 to F35 of the fault matrix, B. DNS."""

import time

from lab import AUTH_PORT, DEAD_S
from namespaces import CLOUD_NAME
from program import SLOWNESS
from rows import dial_seconds, moored, wait_down, wait_moored_again


def only_dns(lab, *options):
    """The agent's hosts file knows no name; dnsmasq in hc knows these."""
    lab.hosts({})
    return lab.dns(*options)


def test_a_name_that_does_not_exist(lab):
    """[F30] The name does not exist: `dns_failed` with the name, and the next server is tried at once."""
    only_dns(lab, "--address=/a.test/", f"--address=/{CLOUD_NAME}/10.99.2.2")
    lab.scripted_cloud()
    began = time.monotonic()
    agent = lab.agent(plugins=[], servers={"a.test": [AUTH_PORT], CLOUD_NAME: [AUTH_PORT]}).start()
    assert "a.test" in agent.program.wait_line("failed: dns_failed", limit=5)
    state = agent.wait_established()
    assert state["cloud_server_domain_name"] == CLOUD_NAME and time.monotonic() - began < 3 * SLOWNESS


def test_a_resolver_that_is_silent(lab):
    """[F31] [conn-21] Nobody answers for the name: given up after 5 s, while the subconnection that lives goes on."""
    only_dns(lab, f"--address=/{CLOUD_NAME}/10.99.2.2", "--server=/dead.test/10.99.2.250")
    cloud, agent = moored(lab, plugins=("monitoring",))
    cloud.main_host = "dead.test"  # the next registration names a host for which no one answers
    cloud.close_main(1012, "restarting")
    agent.program.wait_line("failed: dns_failed", limit=12)
    failing = cloud.record.count("data:monitoring")
    assert cloud.record.count("end:monitoring") == 0
    times = [seen.at for seen in cloud.record.all("data:monitoring")]
    assert failing >= 4 and max(b - a for a, b in zip(times, times[1:])) < 2.5 * SLOWNESS, "samples went on meanwhile"
    cloud.main_host = CLOUD_NAME
    wait_moored_again(cloud, agent, ("monitoring",))


def test_an_unanswered_look_up_has_its_limit(lab):
    """[F31] [conn-21] A look-up that no one answers ends after 5 s with `dns_failed`."""
    lab.hosts({})
    lab.fault("udp dport 53 counter drop")
    agent = lab.agent(plugins=[])
    lab.etc().joinpath("resolv.conf").write_text("nameserver 10.99.2.2\noptions timeout:30 attempts:5\n")
    agent.start()
    began = time.monotonic()
    agent.program.wait_line("failed: dns_failed", limit=7)
    assert 4 <= time.monotonic() - began <= 6 * SLOWNESS
    assert "dns_failed" in str(agent.wait_failure("dns_failed")["failure_reason"])


def test_the_address_of_the_cloud_changes(lab):
    """[F32] [conn-18] The name gets another address: the next attempt goes there."""
    first = only_dns(lab, f"--address=/{CLOUD_NAME}/10.99.2.2")
    old, agent = moored(lab)
    new = lab.scripted_cloud(listen="10.99.2.3")
    first.stop()
    lab.dns(f"--address=/{CLOUD_NAME}/10.99.2.3")
    old.close()
    wait_down(agent, 5)
    state = agent.wait_established(limit=20)
    assert state["cloud_server_address"] == "10.99.2.3" and new.record.count("connect") == 1


def test_a_name_that_is_bent_to_the_device_itself(lab):
    """[F33] The resolver bends the cloud's name to 127.0.0.1, where another answers: refused by TLS, nothing is
    sent."""
    dns = only_dns(lab, f"--address=/{CLOUD_NAME}/127.0.0.1")
    evil = lab.folder / "evil"
    evil.mkdir()
    chain, key = lab.authority.issue(["evil.test"])
    impostor = lab.start("impostor", ["openssl", "s_server", "-accept", f"127.0.0.1:{AUTH_PORT}", "-cert", chain,
                                      "-key", key, "-www"], place="device")
    impostor.wait_line("ACCEPT")
    agent = lab.agent(plugins=[]).start()
    state = agent.wait_failure("tls_failed")
    assert CLOUD_NAME in str(state["failure_detail"])
    assert "hawser" not in impostor.text().lower() and agent.serial not in impostor.text()
    dns.stop()
    lab.scripted_cloud()
    lab.dns(f"--address=/{CLOUD_NAME}/10.99.2.2")
    agent.wait_established(limit=20)


def test_resolv_conf_goes_and_comes_back_changed(lab):
    """[F34] resolv.conf vanishes and comes back with another server: it is read again, without a restart."""
    resolv = lab.etc() / "resolv.conf"
    text = resolv.read_text()
    resolv.write_text("nameserver 10.99.2.250\noptions timeout:1 attempts:1\n")
    only_dns(lab, f"--address=/{CLOUD_NAME}/10.99.2.2")
    lab.scripted_cloud()
    agent = lab.agent(plugins=[]).start()
    agent.wait_failure("dns_failed")
    resolv.unlink()
    agent.program.wait_line("failed: dns_failed.*", limit=15, since=agent.program.mark())
    resolv.write_text(text)
    agent.wait_established(limit=20)


def test_ten_addresses_of_which_one_lives(lab):
    """[F35] [conn-18] Ten addresses, nine of them dead: the living one is found within 5 s, though it stands last."""
    addresses = [f"10.99.2.{number}" for number in range(100, 109)]
    lab.fault("ip daddr 10.99.2.100-10.99.2.120 counter drop")
    lab.hosts({CLOUD_NAME: [*addresses, "10.99.2.2"]})
    lab.scripted_cloud()
    agent = lab.agent(plugins=[]).start()
    agent.wait_established()
    assert dial_seconds(agent) < 5 * SLOWNESS and lab.dropped() >= 9
