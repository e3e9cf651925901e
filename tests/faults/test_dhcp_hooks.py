"""The hooks of packaging/dhcp with real DHCP clients and servers: what a lease says reaches the door, and nothing else
happens, whatever it says."""

import os
import shutil
import stat
from pathlib import Path

import pytest
from basics import wait_for
from dhcp import CLIENT, HOOKS, LEASE_S, Wire
from namespaces import AGENT

NAME = b"cloud.test"
# B45..B50 and B48: the hooks carry them through unchanged; hawserd judges.
HOSTILE = [b"$(touch PWNED)", b"`touch PWNED`;touch PWNED", b"'\"\\'\"; touch PWNED #", b"a\nb\noption_253=00",
           b"nul\0inside", b"\xff\xfe\x80 not utf-8", b"http://x/wpad.dat", b"%s%n* ? [a-z] ~root", b"x" * 255]
CLIENTS = ["dhclient", "udhcpc", "dhcpcd"]
LONG = pytest.mark.long


def needs(*programs):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [each for each in programs if not shutil.which(each, path=path)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: type packaging/install-packages test")


def uptime():
    return float(Path("/proc/uptime").read_text().split()[0])


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("server", ["dnsmasq", "kea"])
def test_an_option_reaches_the_door(lab, client, server):
    """[conn-13] With each client and each server the option's bytes stand in the door, with the lease's end."""
    needs(client, "kea-dhcp4" if server == "kea" else "dnsmasq")
    wire = Wire(lab)
    getattr(wire, server)(NAME)
    getattr(wire, client)()
    wire.wait_lease({253: NAME})
    expires = wire.lease()[1]
    assert LEASE_S - 10 <= expires - uptime() <= LEASE_S + 2, expires
    file = os.stat(wire.door / CLIENT)
    assert (file.st_uid, stat.S_IMODE(file.st_mode), stat.S_IMODE(os.stat(wire.door).st_mode)) == (0, 0o644, 0o755)


@pytest.mark.parametrize("client", ["dhclient", pytest.param("udhcpc", marks=LONG), pytest.param("dhcpcd", marks=LONG)])
def test_hostile_contents_are_carried_as_data(lab, client):
    """[conn-12] [B45] [B46] [B47] [B48] [B50] S24: whatever the bytes are, they arrive as they are, and run nothing."""
    needs(client, "kea-dhcp4")
    wire = Wire(lab)
    server = wire.kea(HOSTILE[0], lifetime_s=4)
    program = getattr(wire, client)()
    wire.wait_lease({253: HOSTILE[0]})
    for value in HOSTILE[1:]:
        wire.change_kea(server, value, program, lifetime_s=4)
        wire.wait_lease({253: value}, limit=15)
    assert os.listdir(wire.door) == [CLIENT]
    for folder in (Path.cwd(), wire.door, wire.folder, lab.etc("device"), Path("/")):
        assert not (folder / "PWNED").exists()


@pytest.mark.parametrize("client", ["dhclient", "udhcpc", pytest.param("dhcpcd", marks=LONG)])
def test_without_the_option_there_is_no_file(lab, client):
    """[F125] [conn-11] A lease without the option leaves the door empty; one that a renewal takes away is removed."""
    needs(client, "kea-dhcp4")
    wire = Wire(lab)
    server = wire.kea(None, lifetime_s=4)
    program = getattr(wire, client)()
    program_got_address(lab)
    assert wire.lease() is None
    wire.change_kea(server, NAME, program, lifetime_s=4)
    wire.wait_lease({253: NAME})
    wire.change_kea(server, None, program, lifetime_s=4)
    wire.wait_no_lease()
    assert program.running()


def program_got_address(lab):
    wait_for(lambda: "10.99.7." in lab.net.run(AGENT, "ip", "-4", "address", "show", "dev", CLIENT), 20, "an address")


@pytest.mark.parametrize("client", ["dhclient", pytest.param("udhcpc", marks=LONG), pytest.param("dhcpcd", marks=LONG)])
def test_an_expired_lease_leaves_the_door(lab, client):
    """[F128] [conn-11] When the server is gone and the lease has run out, the file is removed."""
    needs(client, "kea-dhcp4")
    wire = Wire(lab)
    server = wire.kea(NAME, lifetime_s=4)
    getattr(wire, client)()
    wire.wait_lease({253: NAME})
    server.kill()
    wire.wait_no_lease(limit=45)  # udhcpc takes no lease for shorter than 16 s


def test_a_release_leaves_the_door(lab):
    """[conn-11] `dhclient -r` and the end of udhcpc take the lease back at once."""
    needs("dhclient", "udhcpc", "dnsmasq")
    wire = Wire(lab)
    wire.dnsmasq(NAME)
    wire.dhclient()
    wire.wait_lease({253: NAME})
    wire.dhclient_release()
    wire.wait_no_lease()
    client = wire.udhcpc()
    wire.wait_lease({253: NAME})
    client.stop()
    wire.wait_no_lease()


def test_the_last_step_refuses_what_it_does_not_know(lab):
    """[conn-12] [B44] Names of interfaces that are paths, codes and spellings that are none: refused, not written."""
    door = lab.folder / "door"
    environment = {**os.environ, "HAWSER_DHCP_FOLDER": str(door)}

    def lease(*words, expect=0):
        return lab.run([HOOKS / "hawser-dhcp-lease", *words], environment=environment, expect=expect).stderr
    for interface in ("../eth0", ".hidden", "", "a b", "x" * 16, "eth0\n", "$(id)", "*"):
        assert "not the name of an interface" in lease("bound", interface, "60", "253", "hex", "61", expect=64)
    for code in ("1", "255", "0253", "253 ", "2*3", ""):
        assert "not one of 224 to 254" in lease("bound", "eth0", "60", code, "hex", "61")
    for form, value in (("hex", "6"), ("hex", "zz"), ("bytes", "256"), ("bytes", "1;2"), ("bytes", "0x10"),
                        ("hex", "61" * 1501)):
        assert "left out" in lease("bound", "eth0", "60", "253", form, value)
    assert not door.exists() or not os.listdir(door)
    lease("bound", "eth0", "60", "253", "bytes", "")
    assert (door / "eth0").read_text().startswith("option_253=\n")
    for seconds in ("", "4294967295", "99999999999", "-1", "x"):
        lease("bound", "eth0", seconds, "253", "text", "$(id)")
        assert (door / "eth0").read_text() == "option_253=" + b"$(id)".hex() + "\n"
    lease("bound", "eth0", "60", "253", "hex", "63:6C")
    assert (door / "eth0").read_text().startswith("option_253=636c\nexpires_boot_s=")
    lease("released", "eth0")
    assert not os.listdir(door)


def test_networkmanager_s_words_are_understood(lab):
    """[conn-13] NetworkManager's dispatcher hands over private options, and takes them back when the link goes down."""
    wire = Wire(lab)
    script = wire.hook("networkmanager-dispatcher", wire.helper / "70-hawser")
    script.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "HAWSER_DHCP_FOLDER": str(wire.door), "DEVICE_IP_IFACE": CLIENT,
                   "DHCP4_DHCP_LEASE_TIME": "120", "DHCP4_PRIVATE_253": NAME.hex(":")}
    lab.run([script, CLIENT, "up"], environment=environment)
    assert wire.lease()[0] == {253: NAME}
    lab.run([script, CLIENT, "down"], environment=environment)
    assert wire.lease() is None
