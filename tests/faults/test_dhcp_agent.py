"""hawserd and the cloud's name from a DHCP lease: real client, real server, the hooks of packaging/dhcp."""

import os

import pytest
from certificates import Authority
from dhcp import Wire
from lab import AUTH_PORT

CONFIGURED, LEASED, OTHER = "s1.test", "s2.test", "s3.test"


def leased(lab, *, domain=CONFIGURED, **options):
    agent = lab.agent(domain=domain, plugins=[], authentication_port=AUTH_PORT, **options)
    return agent, Wire(lab, agent.runtime_dir / "dhcp")


def connected_to(agent, name, limit=20):
    return agent.wait_state(lambda state: state["cloud_connection_state"] == "Established"
                            and state["cloud_server_domain_name"] == name, limit, f"Established with {name}")


def sources(state):
    return [(server["domain"], server["source"]) for server in state["servers"]]


@pytest.mark.parametrize("client, server", [("dhclient", "dnsmasq"), ("udhcpc", "kea")])
def test_the_leased_name_is_connected_to(lab, client, server):
    """[conn-11] [conn-13] [F126] [F128] A name that a lease brings is connected to, before the configured one; when the
    lease is released the agent falls back."""
    configured, by_lease = lab.scripted_cloud(CONFIGURED), lab.scripted_cloud(LEASED)
    agent, wire = leased(lab)
    agent.start()
    connected_to(agent, CONFIGURED)
    getattr(wire, server)(LEASED.encode())
    program = getattr(wire, client)()
    state = connected_to(agent, LEASED)
    assert sources(state)[0] == (LEASED, "dhcp") and (CONFIGURED, "config") in sources(state)
    assert configured.record.count("connect") == 1 and by_lease.record.count("connect") == 1
    wire.dhclient_release() if client == "dhclient" else program.stop()
    state = connected_to(agent, CONFIGURED)
    assert all(source == "config" for _, source in sources(state))
    assert "server_changed_by_dhcp" in agent.program.text()


@pytest.mark.parametrize("client, code", [("dhclient", 252), ("udhcpc", 252), ("dhcpcd", 224), ("udhcpc", 254)])
def test_another_code_of_the_site(lab, client, code):
    """[conn-12] [conn-13] domain_option = 252, which is also WPAD's, and others of 224 to 254: a real client brings the name
    under that code from dnsmasq, and it is connected to; what comes under 253 counts no more."""
    lab.scripted_cloud(CONFIGURED), lab.scripted_cloud(LEASED)
    agent, wire = leased(lab)
    agent.write_config("conf.d/60-dhcp.toml", f"[cloud.dhcp]\ndomain_option = {code}\n")
    agent.start()
    connected_to(agent, CONFIGURED)
    wire.dnsmasq(LEASED.encode(), code)
    getattr(wire, client)(code)
    assert sources(connected_to(agent, LEASED))[0] == (LEASED, "dhcp")
    assert wire.lease()[0] == {code: LEASED.encode()}
    wire.offer(OTHER.encode(), interface="z9")  # under 253, in a lease of its own
    agent.ctl("config", "reload")
    assert sources(agent.state())[0] == (LEASED, "dhcp") and OTHER not in agent.ctl("state", "--json").stdout


def test_a_code_with_a_standard_meaning(lab):
    """[conn-12] domain_option = 15, the domain name of every lease: a warning with file, line and what to do, and a real
    lease with that option moves nothing."""
    lab.scripted_cloud(CONFIGURED)
    agent, wire = leased(lab)
    agent.write_config("conf.d/60-dhcp.toml", "[cloud.dhcp]\ndomain_option = 15\n")
    agent.start()
    agent.program.wait_line(r"60-dhcp\.toml:2:\d+: cloud\.dhcp\.domain_option: is 15 \(domain name\), .* 224 to 254 only")
    connected_to(agent, CONFIGURED)
    wire.dnsmasq(LEASED.encode(), 15)
    client = wire.udhcpc(15)
    client.wait_line("lease of .* obtained")
    assert wire.lease() is None
    assert sources(agent.state()) == [(CONFIGURED, "config")]


def test_a_lease_at_start_needs_no_configured_server(lab):
    """[conn-11] What stands in the door before hawserd starts counts, even where no server is configured."""
    lab.scripted_cloud(LEASED)
    agent, wire = leased(lab)
    text = (agent.config / "hawser.toml").read_text()
    begin, end = text.index("[[cloud.server]]"), text.index("[cloud.keepalive]")
    agent.write_config("hawser.toml", text[:begin] + text[end:])
    wire.offer(LEASED.encode())
    agent.start()
    connected_to(agent, LEASED)


def test_an_identical_name_keeps_the_connection(lab):
    """[conn-11] [F126] The name that is connected to already, in whatever case, changes nothing; another one tears down
    and connects anew."""
    configured, other = lab.scripted_cloud(CONFIGURED), lab.scripted_cloud(OTHER)
    agent, wire = leased(lab)
    agent.start()
    connected_to(agent, CONFIGURED)
    wire.offer(CONFIGURED.upper().encode())
    agent.wait_state(lambda state: sources(state)[0][1] == "dhcp", 10, "the leased name first")
    wire.offer(CONFIGURED.encode())
    assert configured.record.count("connect") == 1 and configured.record.count("main:end") == 0
    wire.offer(OTHER.encode())
    connected_to(agent, OTHER)
    assert configured.record.count("connect") == 1 and other.record.count("connect") == 1


def test_an_expired_lease_falls_back(lab):
    """[conn-11] [F128] Where the DHCP client died and removed nothing, the end of the lease counts."""
    lab.scripted_cloud(CONFIGURED), lab.scripted_cloud(LEASED)
    agent, wire = leased(lab)
    agent.start()
    connected_to(agent, CONFIGURED)
    wire.offer(LEASED.encode(), seconds=5)
    connected_to(agent, LEASED, limit=4)
    connected_to(agent, CONFIGURED)
    assert (wire.door / "l0").exists()


HOSTILE = [b"", b"x" * 254, b"a" * 64 + b".test", b"nul\0.test", b"$(id)", b"`id`;id", b"a'b\"c", b"two\nlines",
           b"\xff\xfe", b"http://", b"https://s2.test/", b"s2.test:443", b"s2.test:0", b"s2.test s3.test", b"../s2",
           b".", b"-.-", b",".join(b"10.0.0.%d" % number for number in range(20)), b"a..b", b"http://x/wpad.dat",
           b"\x1b[31mred"]


def test_hostile_contents_change_nothing_and_are_named(lab):
    """[conn-12] [B44] [B45] [B46] [B47] [B48] [B49] [B50] Whatever an option holds that is no host name: the connection
    stays, the log says so in one line, escaped."""
    configured = lab.scripted_cloud(CONFIGURED)
    agent, wire = leased(lab)
    agent.start()
    connected_to(agent, CONFIGURED)
    for value in HOSTILE:
        mark = agent.program.mark()
        wire.offer(value)
        line = agent.program.wait_line(r"l0.*(253|domain)", limit=5, since=mark)
        assert all(character >= " " or character == "\t" for character in line), repr(line)
        wire.withdraw()
    state = agent.state()
    assert all(source == "config" for _, source in sources(state)), state["servers"]
    assert configured.record.count("connect") == 1 and configured.record.count("main:end") == 0


@pytest.mark.parametrize("what", ["writable", "foreign", "link", "fifo", "large", "garbage"])
def test_a_door_that_others_can_open_is_not_believed(lab, what):
    """[conn-12] A file of another user, writable by others, no plain file, too large or misshapen is left alone."""
    configured = lab.scripted_cloud(CONFIGURED)
    lab.scripted_cloud(LEASED)
    agent, wire = leased(lab)
    agent.start()
    connected_to(agent, CONFIGURED)
    good = f"option_253={LEASED.encode().hex()}\n"
    wire.door.mkdir(exist_ok=True)
    wire.door.chmod(0o755)
    made, target = wire.door / ".l0.new", wire.door / "l0"
    if what == "fifo":
        os.mkfifo(made, 0o644)
    elif what == "link":
        (lab.folder / "elsewhere").write_text(good)
        made.symlink_to(lab.folder / "elsewhere")
    else:
        texts = {"large": good + "#" * 5000, "garbage": "option_253=zz\n=\n\0\n" + "option_253=" + "0" * 999}
        made.write_text(texts.get(what, good))
        made.chmod(0o666 if what == "writable" else 0o644)
        if what == "foreign":
            os.chown(made, 65534, 65534)
    mark = agent.program.mark()
    made.rename(target)
    agent.program.wait_line("l0", limit=5, since=mark)
    assert all(source == "config" for _, source in sources(agent.state()))
    assert configured.record.count("connect") == 1 and configured.record.count("main:end") == 0


def test_a_rogue_name_gets_no_further_than_tls(lab):
    """[F127] [conn-12] Who answers at a leased name has to prove it: a foreign CA gets no byte of the device, and the
    agent goes on to the configured server."""
    lab.scripted_cloud(CONFIGURED)
    foreign = Authority(lab.folder / "foreign").issue([LEASED])
    rogue = lab.scripted_cloud(LEASED, certificates={"auth": foreign})
    agent, wire = leased(lab)
    wire.offer(LEASED.encode())
    agent.start()
    connected_to(agent, CONFIGURED, limit=30)
    assert rogue.record.count("auth") == 0


def test_the_operator_turns_it_off(lab):
    """[conn-12] With cloud.dhcp.enabled = false, and for interfaces that are not named, leases count for nothing."""
    configured, by_lease = lab.scripted_cloud(CONFIGURED), lab.scripted_cloud(LEASED)
    agent, wire = leased(lab)
    wire.offer(LEASED.encode())
    agent.write_config("conf.d/60-dhcp.toml", "[cloud.dhcp]\nenabled = false\n")
    agent.start()
    connected_to(agent, CONFIGURED)
    agent.stop()
    agent.write_config("conf.d/60-dhcp.toml", '[cloud.dhcp]\ninterfaces = ["eth7"]\n')
    agent.start()
    connected_to(agent, CONFIGURED)
    assert by_lease.record.count("connect") == 0 and configured.record.count("connect") == 2


def test_another_code_is_taken_where_it_is_set(lab):
    """[conn-12] cloud.dhcp.domain_option names the code that counts."""
    lab.scripted_cloud(CONFIGURED), lab.scripted_cloud(LEASED)
    agent, wire = leased(lab)
    agent.write_config("conf.d/60-dhcp.toml", "[cloud.dhcp]\ndomain_option = 240\n")
    agent.start()
    connected_to(agent, CONFIGURED)
    wire.offer(OTHER.encode(), code=253)
    wire.offer(LEASED.encode(), code=240)
    connected_to(agent, LEASED)
