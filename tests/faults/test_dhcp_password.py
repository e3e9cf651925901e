"""What a lease may bring besides the name, and which lease counts, with the real hawserd and its door."""

import json

import pytest

import proof
from dhcp import Wire
from lab import AUTH_PORT
from namespaces import AGENT, AGENT_ROUTER

CONFIGURED, LEASED, OTHER = "s1.test", "s2.test", "s3.test"
PASSWORD = "Leased-Plum-4"


def leased(lab, settings, **options):
    agent = lab.agent(domain=CONFIGURED, plugins=[], authentication_port=AUTH_PORT, log_level="trace", **options)
    if settings:
        agent.write_config("conf.d/60-dhcp.toml", f"[cloud.dhcp]\n{settings}\n")
    return agent, Wire(lab, agent.runtime_dir / "dhcp")


def write_lease(lab, wire, interface, **options):
    """The door's file as the hooks write it, with several options at once."""
    wire.door.mkdir(exist_ok=True)
    wire.door.chmod(0o755)
    new = wire.door / f".{interface}.new"
    new.write_text("".join(f"{name}={value.encode().hex()}\n" for name, value in options.items()))
    new.chmod(0o644)
    new.rename(wire.door / interface)


def passwords(cloud):
    """For each proof that the cloud got: None without a password, else whether it is that of the lease."""
    found = []
    for seen in cloud.record.all("auth"):
        if text := seen.data["body"].get("proof"):
            payload = json.loads(proof.unb64(text.split(".")[1]))
            expected = proof.password_proof(PASSWORD, payload["nonce"], payload["serial"], payload["jwk"], payload["aud"])
            found.append(payload["pwd"] == expected if "pwd" in payload else None)
    return found


def connected_to(agent, name):
    return agent.wait_state(lambda state: state["cloud_connection_state"] == "Established"
                            and state["cloud_server_domain_name"] == name, what=f"Established with {name}")


@pytest.mark.parametrize("settings, value, expected", [
    ("password_option = 252", PASSWORD, True),
    ("", PASSWORD, None),
    ("password_option = 252", "http://wpad.example/wpad.dat", None)], ids=["set", "not set", "WPAD"])
def test_a_leased_password(lab, settings, value, expected):
    """[conn-11] A password of a lease counts only where the operator set password_option; a value that is a URL is ignored
    and logged; the password itself stands in no log and no state."""
    lab.scripted_cloud(CONFIGURED)
    cloud = lab.scripted_cloud(LEASED)
    agent, wire = leased(lab, settings)
    write_lease(lab, wire, "l0", option_253=LEASED, option_252=value)
    agent.start()
    connected_to(agent, LEASED)
    assert passwords(cloud) == [expected]
    if value.startswith("http"):
        line = agent.program.wait_line(r"l0.*252|252.*l0")
        assert "URL" in line or "url" in line, line
    shown = agent.program.text() + agent.ctl("state", "--json").stdout + agent.ctl("history", "--json").stdout
    assert PASSWORD not in shown and PASSWORD.encode().hex() not in shown


def test_another_leased_password_authenticates_anew(lab):
    """[conn-11] A renewal with another password leaves for `password_changed_by_dhcp` and proves the new one."""
    cloud = lab.scripted_cloud(LEASED)
    agent, wire = leased(lab, "password_option = 252")
    write_lease(lab, wire, "l0", option_253=LEASED, option_252="Older-Plum-3")
    agent.start()
    connected_to(agent, LEASED)
    write_lease(lab, wire, "l0", option_253=LEASED, option_252=PASSWORD)
    cloud.record.wait("connect", 2)
    state = connected_to(agent, LEASED)
    assert passwords(cloud)[0] is False and passwords(cloud)[-1] is True
    assert state["last_down_reason"] == "password_changed_by_dhcp", state["last_down_reason"]


def test_of_several_leases_that_of_the_best_default_route_counts(lab):
    """[conn-11] Two interfaces with a lease each: the one of the best default route counts; when another default route
    becomes the best, the other one."""
    lab.net.ip(AGENT, f"route add 10.99.2.0/24 via {AGENT_ROUTER}\nlink add d0 type veth peer name d1\n"
                      "address add 10.99.9.2/24 dev d0\nlink set d0 up\nlink set d1 up\n"
                      "route add default via 10.99.9.1 metric 500\n")
    clouds = lab.fleet([CONFIGURED, LEASED, OTHER])
    agent, wire = leased(lab, "")
    write_lease(lab, wire, "a0", option_253=LEASED)
    write_lease(lab, wire, "d0", option_253=OTHER)
    agent.start()
    connected_to(agent, LEASED)
    lab.net.ip(AGENT, f"route delete default via {AGENT_ROUTER}\nroute add default via {AGENT_ROUTER} metric 700\n")
    state = connected_to(agent, OTHER)
    assert [server["domain"] for server in state["servers"] if server["source"] == "dhcp"] == [OTHER]
    assert state["last_down_reason"] == "server_changed_by_dhcp" and clouds[CONFIGURED].record.count("tls") == 0
