"""The network lab: the harness's World with the agent and the cloud in network namespaces of their own (namespaces.py),
names that are not localhost, and a way between them that can be broken."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import namespaces
from background import Background
from basics import wait_for
from harness import World
from namespaces import AGENT, CLOUD, CLOUD_ADDRESS, CLOUD_NAME, CLOUD_ROUTER, FLEET, NAT, Namespaces

AUTH_PORT, MAIN_PORT, SERVICE_PORT = 19443, 443, 8443
PING_S = 5                                # the least that may be set
DEAD_S = PING_S + 15                      # after so long without a byte the device calls a connection dead
CLOSE_S = 1                               # it sends a Close, and does not wait for an answer
_ETC = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "ssl", "host.conf", "localtime", "protocols", "services")
_PLACES = {"device": AGENT, "nat": NAT, "cloud": CLOUD}


class Lab(World):
    """A program runs at its place with an /etc of its own, the folder etc(place): hosts and resolv.conf may be changed
    there at any time, and the system's are never touched."""

    def __init__(self):
        super().__init__()
        namespaces.remove_leftovers()
        self.net = Namespaces()
        for place in _PLACES:
            self._make_etc(place)

    def _make_etc(self, place):
        folder = self.etc(place)
        folder.mkdir(parents=True)
        for name in _ETC:
            source = Path("/etc") / name
            if source.is_dir():
                shutil.copytree(source, folder / name, symlinks=True)
            elif source.exists():
                shutil.copy2(source, folder / name)
        self.hosts({name: [address] for name, address in FLEET.items()}, place)
        (folder / "resolv.conf").write_text(f"nameserver {CLOUD_ADDRESS}\noptions timeout:1 attempts:1\n")

    def etc(self, place="device"):
        return self.folder / "etc" / place

    def hosts(self, names, place="device"):
        """What /etc/hosts says there: name -> addresses. Without a name that is asked for, DNS is."""
        lines = [f"{address} {name}\n" for name, addresses in names.items() for address in addresses]
        (self.etc(place) / "hosts").write_text("127.0.0.1 localhost\n" + "".join(lines))

    # ---- where things run

    @property
    def background(self):
        if self._background is None:
            self._background = Background(lambda: self.net.enter(CLOUD))
        return self._background

    def prefix(self, place):
        if place not in _PLACES:
            return []
        return [*self.net.words(_PLACES[place]), "unshare", "--mount", "--propagation", "private", "sh", "-c",
                'mount --bind "$0" /etc && exec "$@"', self.etc(place)]

    def scripted_cloud(self, name=CLOUD_NAME, **options):
        options.setdefault("ports", (AUTH_PORT, MAIN_PORT, SERVICE_PORT))
        options.setdefault("listen", FLEET.get(name, CLOUD_ADDRESS))
        return super().scripted_cloud(name=name, **options)

    def cloud(self, name=CLOUD_NAME, **options):
        """A real hawser-cloud, listening on the address of this name."""
        return super().cloud(name=name, listen=FLEET[name], names=[name], auth_port=AUTH_PORT, port=MAIN_PORT,
                             **options)

    def agent(self, port=AUTH_PORT, ca_file=None, **options):
        options.setdefault("ping_s", PING_S)
        options.setdefault("domain", CLOUD_NAME)
        return super().agent(port, ca_file or self.authority.file, **options)

    def proxy(self, target, **options):
        """In hc, on an address of its own; what it hides need not be known to the agent."""
        return super().proxy(target, **{"listen": CLOUD_ADDRESS, "host": CLOUD_ADDRESS, **options})

    def in_place(self, place, function):
        """Calls the function on a thread inside the namespace; sockets that it makes live there."""
        result = []

        def inside():
            self.net.enter(_PLACES[place])
            try:
                result.append((True, function()))
            except Exception as error:  # a door between threads
                result.append((False, error))
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join(60)
        good, value = result[0]
        if not good:
            raise value
        return value

    # ---- what breaks

    def fault(self, *rules):
        """These rules in the forwarding path of hn, before any that stand there; heal() removes all."""
        self.net.nft("".join(f"insert rule inet fault f {rule}\n" for rule in rules))

    def heal(self):
        self.net.nft("flush chain inet fault f\n")

    def dropped(self):
        """How many packets the rules with a counter have met."""
        words = self.net.run(NAT, "nft", "list", "chain", "inet", "fault", "f").split()
        return sum(int(words[at + 1]) for at, word in enumerate(words) if word == "packets")

    def slow_wire(self, delay_ms, jitter_ms):
        """From now on every packet between hn and hc is so late, each way, and may overtake others."""
        hn, hc = self.net.names[NAT], self.net.names[CLOUD]
        program = self.start("slow-wire", [sys.executable, Path(__file__).with_name("slow_wire.py"), hn, "w1", hc, "w0",
                                           delay_ms, jitter_ms])
        program.wait_line("ready")
        self.net.ip(NAT, f"address delete {CLOUD_ROUTER}/24 dev c1\naddress add {CLOUD_ROUTER}/24 dev w1\n"
                         "link set w1 up\n")
        self.net.ip(CLOUD, f"address flush dev c0\naddress add {CLOUD_ADDRESS}/24 dev w0\nlink set w0 up\n"
                           f"route add default via {CLOUD_ROUTER}\n")
        return program

    def rate(self, bits=None):
        """From now on the way from the agent to the cloud carries so many bits a second; None: what it can."""
        if bits:
            self.net.run(NAT, "tc", "qdisc", "replace", "dev", "c1", "root", "tbf", "rate", f"{bits}bit", "burst", "4k",
                         "latency", "400ms")
        else:
            self.net.run(NAT, "tc", "qdisc", "delete", "dev", "c1", "root", expect=None)

    def dns(self, *options):
        """A dnsmasq in hc, the agent's name server, that knows only what these options say."""
        taken = sum(program.name.startswith("dnsmasq") for program in self.programs)
        program = self.start(f"dnsmasq-{taken + 1}",
                             ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv",
                              "--log-queries", "--log-facility=-", "--user=root", "--pid-file=", "--local-ttl=0",
                              f"--listen-address={CLOUD_ADDRESS}", "--bind-interfaces", *options], place="cloud")
        program.wait_line("started")
        return program

    def sockets(self, place, *filters):
        """The lines of `ss` for TCP sockets there."""
        return self.net.run(_PLACES[place], "ss", "-Htn", *filters).splitlines()

    def local_port(self, remote_port):
        """The agent's own port of its connection to that port of the cloud."""
        def look():
            return self.sockets("device", "state", "established", "dport", "=", f":{remote_port}")
        return int(wait_for(look, 5, f"a connection to port {remote_port}")[0].split()[2].rsplit(":", 1)[1])

    def close(self):
        super().close()
        self.net.close()


def lab_can_stand():
    """Why not, else empty."""
    reason = namespaces.why_not()
    if not reason and subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode != 0:
        reason = "this kernel or container does not let root make network namespaces"
    return reason
