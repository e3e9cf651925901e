"""Three network namespaces in a row, made by the test itself and gone with it:

    ha (agent, 10.99.1.2)  a0 == a1  hn (NAT, 10.99.1.1 and 10.99.2.1)  c1 == c0  hc (cloud, 10.99.2.2 and up)

Their names carry the process that made them, so that runs may stand beside each other, and what a crashed run left is
found and removed by the next. Addresses and names mean nothing outside. Needs root."""

import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

PREFIX = "hawserlab-"
AGENT, NAT, CLOUD = "ha", "hn", "hc"
AGENT_ADDRESS, AGENT_ROUTER, CLOUD_ADDRESS, CLOUD_ROUTER = "10.99.1.2", "10.99.1.1", "10.99.2.2", "10.99.2.1"
CLOUD_NAME = "cloud.test"
# Servers of a fleet: each name has an address of its own in hc. In the stored order of a configuration, alphabetically.
FLEET = {CLOUD_NAME: CLOUD_ADDRESS, **{f"s{number}.test": f"10.99.2.{number + 2}" for number in range(1, 10)}}
MISSING = [program for program in ("ip", "nft", "tc", "conntrack", "dnsmasq", "nsenter", "unshare")
           if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")]
_CLONE_NEWNET = 0x40000000
_made = itertools.count(1)


def why_not():
    """Why the lab cannot stand here; empty where it can."""
    if os.geteuid() != 0:
        return "the network lab makes network namespaces, which only root may: type sudo tests/run"
    if MISSING:
        return f"the network lab needs {', '.join(MISSING)}: type packaging/install-packages test"
    return ""


def _birth(pid):
    """When the process began, in ticks since boot; None when there is none. With the pid it is unique."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


def run(*words, text=None, expect=0):
    done = subprocess.run([str(word) for word in words], input=text, capture_output=True, text=True, timeout=30)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"{' '.join(map(str, words))}\nended with {done.returncode}\n{text or ''}\n"
                             f"{done.stdout}{done.stderr}")
    return done.stdout


def remove_leftovers():
    """Removes the namespaces of runs that died, and ends what still lives in them."""
    for name in run("ip", "netns", "list").split():
        parts = name.split("-")
        if not name.startswith(PREFIX) or len(parts) != 5 or _birth(parts[1]) == parts[2]:
            continue
        for pid in run("ip", "netns", "pids", name, expect=None).split():
            os.kill(int(pid), signal.SIGKILL)
        run("ip", "netns", "delete", name, expect=None)


class Namespaces:
    """Owned by a Lab."""

    def __init__(self):
        stem = f"{PREFIX}{os.getpid()}-{_birth(os.getpid())}-{next(_made)}"
        self.names = {place: f"{stem}-{place}" for place in (AGENT, NAT, CLOUD)}
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self):
        ha, hn, hc = self.names.values()
        for name in self.names.values():
            run("ip", "netns", "add", name)
        run("ip", "-batch", "-", text=f"link add a0 netns {ha} type veth peer name a1 netns {hn}\n"
                                      f"link add c0 netns {hc} type veth peer name c1 netns {hn}\n")
        more = "".join(f"address add {address}/24 dev c0\n" for address in FLEET.values() if address != CLOUD_ADDRESS)
        self.ip(AGENT, f"link set lo up\naddress add {AGENT_ADDRESS}/24 dev a0\nlink set a0 up\n"
                       f"route add default via {AGENT_ROUTER}\naddress add fd00:99:1::2/64 dev a0 nodad\n"
                       "route add default via fd00:99:1::1\n")
        self.ip(NAT, f"link set lo up\naddress add {AGENT_ROUTER}/24 dev a1\naddress add {CLOUD_ROUTER}/24 dev c1\n"
                     "link set a1 up\nlink set c1 up\naddress add fd00:99:1::1/64 dev a1 nodad\n"
                     "address add fd00:99:2::1/64 dev c1 nodad\n")
        self.ip(CLOUD, f"link set lo up\naddress add {CLOUD_ADDRESS}/24 dev c0\n{more}link set c0 up\n"
                       f"route add default via {CLOUD_ROUTER}\naddress add fd00:99:2::2/64 dev c0 nodad\n"
                       "route add default via fd00:99:2::1\n")
        self.sysctl(NAT, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.nft("""
table ip nat {
  chain pre { type nat hook prerouting priority -100; }
  chain post {
    type nat hook postrouting priority 100;
    oifname { c1, w1 } masquerade
  }
}
table inet fault {
  chain f { type filter hook forward priority 0; }
}
""")

    # ---- doing things in them

    def enter(self, place):
        """Moves the calling thread into the namespace; sockets that it makes from then on live there."""
        with open(f"/run/netns/{self.names[place]}", "rb") as handle:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {self.names[place]}")

    def words(self, place):
        """The words before a command that runs there."""
        return ["nsenter", f"--net=/run/netns/{self.names[place]}"]

    def run(self, place, *words, **options):
        return run(*self.words(place), *words, **options)

    def ip(self, place, commands):
        return run("ip", "-netns", self.names[place], "-batch", "-", text=commands)

    def sysctl(self, place, *settings):
        self.run(place, "sysctl", "-qw", *settings)

    def nft(self, text):
        """In hn, by default at the end of what stands there."""
        return self.run(NAT, "nft", "-f", "-", text=text)

    def close(self):
        for name in self.names.values():
            run("ip", "netns", "delete", name, expect=None)
        deadline = time.monotonic() + 2
        while any(Path(f"/run/netns/{name}").exists() for name in self.names.values()) and time.monotonic() < deadline:
            time.sleep(0.01)
