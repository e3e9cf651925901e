"""A wire of its own between agent and cloud of the lab, with real DHCP servers at one end and real clients with the
hooks of packaging/dhcp at the other."""

import json
import os
import shutil
import signal
from pathlib import Path

from basics import wait_for
from namespaces import AGENT, CLOUD

HOOKS = Path(__file__).resolve().parents[2] / "packaging" / "dhcp"
CLIENT, SERVER, SERVER_ADDRESS = "l0", "l1", "10.99.7.1"
RANGE = ("10.99.7.20", "10.99.7.60")
LEASE_S = 120  # the least that dnsmasq gives; Kea is asked for less


class Wire:
    """Owned by a test. What the hooks write stands in `door`."""

    def __init__(self, lab, door=None):
        self.lab, self.folder = lab, lab.folder / "dhcp"
        self.door = Path(door) if door else self.folder / "door"
        self.helper = self.folder / "helper"
        self.helper.mkdir(parents=True)
        shutil.copy2(HOOKS / "hawser-dhcp-lease", self.helper)
        self.hook("udhcpc-script", self.helper / "udhcpc-script").chmod(0o755)
        self._number = 0
        lab.net.run(CLOUD, "ip", "link", "add", SERVER, "type", "veth", "peer", "name", CLIENT, "netns",
                    lab.net.names[AGENT])
        lab.net.ip(CLOUD, f"address add {SERVER_ADDRESS}/24 dev {SERVER}\nlink set {SERVER} up\n")
        lab.net.ip(AGENT, f"link set {CLIENT} up\n")

    def hook(self, name, target):
        """A file of packaging/dhcp, installed there."""
        target.parent.mkdir(parents=True, exist_ok=True)
        text = (HOOKS / name).read_text().replace("@helper@", str(self.helper))
        target.write_text(text)
        return target

    def _start(self, name, arguments, place, **options):
        self._number += 1
        return self.lab.start(f"{name}-{self._number}", arguments, place=place, foreign=True, **options)

    # ---- servers: `value` is the option's bytes, None: it is not there

    def dnsmasq(self, value, code=253):
        option = [] if value is None else [f"--dhcp-option={code},{value.hex(':')}"]
        server = self._start("dnsmasq-dhcp", [
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--port=0", "--user=root",
            f"--interface={SERVER}", "--bind-interfaces", "--dhcp-authoritative", "--pid-file=", "--log-facility=-",
            f"--dhcp-leasefile={self.folder / f'leases.{self._number}'}", f"--dhcp-range={','.join(RANGE)},{LEASE_S}s",
            "--dhcp-option=3", "--log-dhcp", *option], "cloud")
        server.wait_line("DHCP, IP range")
        return server

    def kea(self, value, code=253, lifetime_s=LEASE_S):
        self.write_kea(value, code, lifetime_s)
        # The lock and process files of its own: another Kea may run on this machine.
        environment = {**os.environ, "KEA_PIDFILE_DIR": str(self.folder), "KEA_LOCKFILE_DIR": str(self.folder)}
        server = self._start("kea-dhcp4", ["kea-dhcp4", "-c", self.folder / "kea.conf"], "cloud",
                             environment=environment)
        server.wait_line("DHCP4_STARTED")
        return server

    def change_kea(self, server, value, client=None, lifetime_s=LEASE_S):
        """From now on Kea says this. udhcpc, which takes no lease for shorter than 16 s, is asked to renew."""
        self.write_kea(value, lifetime_s=lifetime_s)
        mark = server.mark()
        server.signal(signal.SIGHUP)
        server.wait_line("DHCP4_CONFIG_COMPLETE", since=mark)
        if client and client.name.startswith("udhcpc"):
            client.signal(signal.SIGUSR1)

    def write_kea(self, value, code=253, lifetime_s=LEASE_S):
        options = [] if value is None else [{"code": code, "csv-format": False, "data": value.hex()}]
        (self.folder / "kea.conf").write_text(json.dumps({"Dhcp4": {
            "interfaces-config": {"interfaces": [SERVER]},
            "lease-database": {"type": "memfile", "persist": False},
            "valid-lifetime": lifetime_s, "renew-timer": max(1, lifetime_s // 4),
            "rebind-timer": max(2, lifetime_s * 3 // 4),
            "option-def": [{"name": "cloud", "code": code, "type": "binary"}],
            "subnet4": [{"subnet": "10.99.7.0/24", "pools": [{"pool": "-".join(RANGE)}], "option-data": options}],
            "loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}]}}))

    # ---- clients

    def dhclient(self, code=253):
        """With another code: its two lines as dhclient-hawser.conf says, in place of those of 253."""
        etc = self.lab.etc("device") / "dhcp"
        if not etc.exists():
            shutil.copytree("/etc/dhcp", etc)
            self.hook("dhclient-exit-hook", etc / "dhclient-exit-hooks.d" / "hawser")
            own = self.hook("dhclient.conf", etc / "dhclient-hawser.conf")
            own.write_text(own.read_text().replace("253", str(code)))
            with open(etc / "dhclient.conf", "a") as file:
                file.write('\ninclude "/etc/dhcp/dhclient-hawser.conf";\n')
        return self._start("dhclient", ["dhclient", "-d", *self._dhclient_files(), CLIENT], "device")

    def dhclient_release(self):
        """Ends the running dhclient, too."""
        self.lab.run(["dhclient", "-r", *self._dhclient_files(), CLIENT], place="device")

    def _dhclient_files(self):
        return ["-4", "-cf", "/etc/dhcp/dhclient.conf", "-lf", self.folder / "dhclient.leases", "-pf",
                self.folder / "dhclient.pid", "-e", f"HAWSER_DHCP_FOLDER={self.door}"]

    def udhcpc(self, code=253):
        etc = self.lab.etc("device") / "udhcpc"
        if not etc.exists():
            shutil.copytree("/etc/udhcpc", etc)
        return self._start("udhcpc", ["udhcpc", "-f", "-R", "-i", CLIENT, "-O", str(code), "-s",
                                      self.helper / "udhcpc-script"], "device",
                           environment={**os.environ, "HAWSER_DHCP_FOLDER": str(self.door)})

    def dhcpcd(self, code=253):
        hooks = self.folder / "dhcpcd-hooks"
        shutil.copytree("/usr/lib/dhcpcd/dhcpcd-hooks", hooks)
        self.hook("dhcpcd-hook", hooks / "70-hawser")
        own_lines = (HOOKS / "dhcpcd.conf").read_text().replace("253", str(code))
        (self.folder / "dhcpcd.conf").write_text("option classless_static_routes\n" + own_lines)
        own = 'mount --bind "$0" /usr/lib/dhcpcd/dhcpcd-hooks && mount -t tmpfs none /run && ' \
              'mount -t tmpfs none /var/lib/dhcpcd && exec "$@"'
        Path("/var/lib/dhcpcd").mkdir(exist_ok=True)
        return self._start("dhcpcd", ["unshare", "--mount", "--propagation=private", "sh", "-c", own, hooks, "dhcpcd",
                                      "-B", "-4", "-f", self.folder / "dhcpcd.conf", "-e",
                                      f"HAWSER_DHCP_FOLDER={self.door}", CLIENT], "device")

    # ---- the door

    def lease(self):
        """What the hooks wrote, as {code: bytes} and the expiry; None where there is no file."""
        try:
            lines = (self.door / CLIENT).read_text().splitlines()
        except FileNotFoundError:
            return None
        pairs = dict(line.split("=", 1) for line in lines)
        options = {int(name[7:]): bytes.fromhex(value) for name, value in pairs.items() if name.startswith("option_")}
        return options, int(pairs["expires_boot_s"]) if "expires_boot_s" in pairs else None

    def wait_lease(self, options, limit=20):
        wait_for(lambda: (self.lease() or (None,))[0] == options, limit, f"a lease with {options}, not {self.lease()}")

    def wait_no_lease(self, limit=20):
        wait_for(lambda: self.lease() is None, limit, "a door without a lease")

    def offer(self, value, code=253, interface=CLIENT, seconds=3600):
        """The hooks' last step alone, as root: for contents that no server here can be made to send."""
        self.lab.run([self.helper / "hawser-dhcp-lease", "bound", interface, str(seconds), str(code), "hex",
                      value.hex()], environment={**os.environ, "HAWSER_DHCP_FOLDER": str(self.door)})

    def withdraw(self, interface=CLIENT):
        self.lab.run([self.helper / "hawser-dhcp-lease", "released", interface],
                     environment={**os.environ, "HAWSER_DHCP_FOLDER": str(self.door)})
