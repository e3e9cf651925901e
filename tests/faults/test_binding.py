"""vpn_instance, source_ip and ip_version with the real hawserd: what servers and name server see, and what is missing."""

import json

import pytest

from basics import SERVICES
from lab import AUTH_PORT, MAIN_PORT, SERVICE_PORT
from namespaces import AGENT, AGENT_ADDRESS, CLOUD, CLOUD_ADDRESS, CLOUD_NAME, CLOUD_ROUTER, NAT, run

SECOND_ADDRESS = "10.99.1.66"
CLOUD_V6 = "fd00:99:2::2"
PORTS = ", ".join(str(port) for port in (AUTH_PORT, MAIN_PORT, SERVICE_PORT))


def bound(lab, **binding):
    """An agent whose only server is bound so; DNS is asked for its name."""
    lab.hosts({})
    lab.hosts({}, "nat")
    agent = lab.agent()
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in binding.items())
    text = (agent.config / "hawser.toml").read_text()
    agent.write_config("hawser.toml", text.replace("[cloud.keepalive]", lines + "[cloud.keepalive]"))
    lab.net.nft("flush chain ip nat post\n")  # so that the servers see the address that the agent took
    return agent


def seen(lab, port):
    """The addresses that are connected to this port, one for each connection, as the cloud's kernel has them."""
    lines = lab.sockets("cloud", "state", "established", "sport", "=", f":{port}")
    return sorted(line.split()[3].rsplit(":", 1)[0].strip("[]").removeprefix("::ffff:") for line in lines)


def assert_all_from(lab, dns, address):
    """The main connection, the three subconnections and all questions come from there."""
    assert seen(lab, MAIN_PORT) == [address]
    assert seen(lab, SERVICE_PORT) == [address] * len(SERVICES)
    asked = [line for line in dns.lines() if f" {CLOUD_NAME} from " in line]
    assert asked and all(line.endswith(f" from {address}") for line in asked), asked


def lose_all(cloud):
    """Every connection breaks; waits until each has been made anew."""
    counts = {step: cloud.record.count(step) for step in ("connect", *(f"dial:{service}" for service in SERVICES))}
    cloud.drop_all()
    for step, count in counts.items():
        cloud.record.wait(step, count + 1)


def assert_missing(agent, reason, word):
    """The state of main connection and server names what is missing."""
    state = agent.wait_failure(reason)
    assert word in state["failure_detail"], state["failure_detail"]
    assert [server["failure_reason"] for server in state["servers"]] == [reason], state["servers"]


def test_source_ip_is_the_address_of_everything(lab):
    """[conn-14] source_ip: name server, authentication, WebSocket and all three subconnections see that address and no
    other, also after a loss of all."""
    dns = lab.dns(f"--address=/{CLOUD_NAME}/{CLOUD_ADDRESS}")
    agent = bound(lab, source_ip=SECOND_ADDRESS)
    lab.net.ip(AGENT, f"address add {SECOND_ADDRESS}/24 dev a0\n")
    lab.fault(f"ip saddr {AGENT_ADDRESS} tcp dport {{ {PORTS} }} counter drop",
              f"ip saddr {AGENT_ADDRESS} udp dport 53 counter drop")
    cloud = lab.scripted_cloud()
    agent.start()
    agent.wait_ready()
    assert_all_from(lab, dns, SECOND_ADDRESS)
    lose_all(cloud)
    agent.wait_ready()
    assert_all_from(lab, dns, SECOND_ADDRESS)
    assert lab.dropped() == 0, "something came from the other address"


def test_a_source_ip_that_is_not_there_yet(lab):
    """[conn-14] [conn-20] A source_ip that is no address of this device is `source_ip_missing` with the address in the
    state, a warning at the check and no packet; when the address comes the agent connects at once."""
    dns = lab.dns(f"--address=/{CLOUD_NAME}/{CLOUD_ADDRESS}")
    agent = bound(lab, source_ip=SECOND_ADDRESS)
    checked = lab.run([*agent.arguments(), "--check"], place="device")
    assert SECOND_ADDRESS in checked.stdout + checked.stderr
    cloud = lab.scripted_cloud()
    agent.start()
    assert_missing(agent, "source_ip_missing", SECOND_ADDRESS)
    agent.wait_state(lambda state: (state["next_attempt_in_s"] or 0) >= 4, 60, "a wait of some seconds")
    assert cloud.record.count("tls") == 0 and f" {CLOUD_NAME} from " not in dns.text()
    lab.net.ip(AGENT, f"address add {SECOND_ADDRESS}/24 dev a0\n")
    cloud.record.wait("connect", limit=3)
    agent.wait_ready()
    assert_all_from(lab, dns, SECOND_ADDRESS)


class Instance:
    """A second name of the agent's namespace, that can go while what lives inside goes on."""

    def __init__(self, lab):
        self.name = lab.net.names[AGENT] + "vpn"
        self.inside = lab.start("inside", ["sleep", "600"], place="device")

    def attach(self):
        run("ip", "netns", "attach", self.name, self.inside.pid)

    def detach(self):
        run("ip", "netns", "delete", self.name)


def home(lab):
    """The words before a program in hn that sees namespaces come and go: a place of the lab has mounts of its own."""
    return [*lab.net.words(NAT), "unshare", "--mount", "--propagation", "slave", "sh", "-c",
            'mount --bind "$0" /etc && exec "$@"', lab.etc("nat")]


def test_a_network_namespace_carries_everything(lab):
    """[conn-14] vpn_instance names a network namespace: hawserd and its hosts, who live in another one, look up,
    authenticate, connect and run three subconnections through it; when its name is gone, `vpn_instance_missing` stands in
    the state of the server and of each subconnection, and all come back with it."""
    instance = Instance(lab)
    dns = lab.dns(f"--address=/{CLOUD_NAME}/{CLOUD_ADDRESS}")
    agent = bound(lab, vpn_instance=instance.name)
    cloud = lab.scripted_cloud()
    agent.program = lab.start("device", [*home(lab), *agent.arguments()])
    assert_missing(agent, "vpn_instance_missing", instance.name)
    assert cloud.record.count("tls") == 0 and f" {CLOUD_NAME} from " not in dns.text()
    instance.attach()
    agent.ctl("reset")
    agent.wait_ready()
    assert_all_from(lab, dns, AGENT_ADDRESS)
    lose_all(cloud)
    agent.wait_ready()
    assert_all_from(lab, dns, AGENT_ADDRESS)
    instance.detach()
    cloud.drop_all()
    assert_missing(agent, "vpn_instance_missing", instance.name)
    for service in SERVICES:
        row = agent.wait_state(lambda state: agent.subconnection(service, state)["failure_reason"] == "vpn_instance_missing",
                               what=f"the reason at {service}")
        assert instance.name in agent.subconnection(service, row)["failure_detail"]
    instance.attach()
    agent.ctl("reset")
    agent.wait_ready(limit=60)
    assert_all_from(lab, dns, AGENT_ADDRESS)
    assert CLOUD_ROUTER not in dns.text(), "hawserd's own namespace was used"
    instance.detach()


def test_a_device_carries_everything(lab):
    """[conn-14] vpn_instance names a network device that the best route does not lead to: everything goes through it."""
    lab.net.run(AGENT, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", lab.net.names[CLOUD])
    lab.net.ip(CLOUD, "address add 10.99.8.1/24 dev v1\nlink set v1 up\n")
    lab.net.ip(AGENT, "address add 10.99.8.2/24 dev v0\nlink set v0 up\n"
                      "route add default via 10.99.8.1 dev v0 metric 500\n")
    dns = lab.dns(f"--address=/{CLOUD_NAME}/{CLOUD_ADDRESS}")
    agent = bound(lab, vpn_instance="v0")
    cloud = lab.scripted_cloud()
    agent.start()
    agent.wait_ready()
    assert_all_from(lab, dns, "10.99.8.2")
    lose_all(cloud)
    agent.wait_ready()
    assert_all_from(lab, dns, "10.99.8.2")


@pytest.mark.parametrize("version, kind, peer", [(4, "query[A]", AGENT_ADDRESS), (6, "query[AAAA]", "fd00:99:1::2")])
def test_only_one_family_is_used(lab, version, kind, peer):
    """[conn-14] ip_version: of a name with an IPv4 and an IPv6 address, both of them served, only the one family is asked
    for and dialled, by the main connection and by the subconnections."""
    dns = lab.dns(f"--host-record={CLOUD_NAME},{CLOUD_ADDRESS},{CLOUD_V6}")
    agent = bound(lab, ip_version=version)
    clouds = {4: lab.scripted_cloud(), 6: lab.scripted_cloud(listen=CLOUD_V6)}
    agent.start()
    state = agent.wait_ready()
    assert state["cloud_server_address"] == (CLOUD_ADDRESS if version == 4 else CLOUD_V6)
    assert seen(lab, MAIN_PORT) == [peer] and seen(lab, SERVICE_PORT) == [peer] * len(SERVICES)
    asked = [line for line in dns.lines() if "query[A" in line and CLOUD_NAME in line]
    assert asked and all(kind in line for line in asked), asked
    assert clouds[10 - version].record.count("tls") == 0


def test_a_name_without_that_family(lab):
    """[conn-14] ip_version = 6 and a name that has an IPv4 address only: `dns_failed`, and the family is named."""
    lab.dns("--local=/test/", f"--host-record={CLOUD_NAME},{CLOUD_ADDRESS}")
    agent = bound(lab, ip_version=6)
    cloud = lab.scripted_cloud()
    agent.start()
    assert "IPv6" in agent.wait_failure("dns_failed")["failure_detail"]
    assert cloud.record.count("tls") == 0


def test_bindings_of_two_servers_are_their_own(lab):
    """[conn-14] [conn-10] Each server has its own binding: after a failover from the bound one the next one is dialled
    from the usual address, the subconnections too."""
    first, second = lab.scripted_cloud(), lab.scripted_cloud("s1.test")
    agent = lab.agent(servers={CLOUD_NAME: [AUTH_PORT], "s1.test": [AUTH_PORT]})
    text = (agent.config / "hawser.toml").read_text()
    agent.write_config("hawser.toml", text.replace(f'domain = "{CLOUD_NAME}"',
                                                   f'domain = "{CLOUD_NAME}"\nsource_ip = "{SECOND_ADDRESS}"'))
    lab.net.nft("flush chain ip nat post\n")
    lab.net.ip(AGENT, f"address add {SECOND_ADDRESS}/24 dev a0\n")
    agent.start()
    agent.wait_ready()
    assert seen(lab, MAIN_PORT) == [SECOND_ADDRESS]
    first.close()
    second.record.wait("connect")
    agent.wait_ready()
    assert seen(lab, MAIN_PORT) == [AGENT_ADDRESS] and seen(lab, SERVICE_PORT) == [AGENT_ADDRESS] * len(SERVICES)
