"""hawser-cloud under test: its server and its command line."""

import json
import re

import basics


class Cloud:
    """Owned by a World. `hawser-cloud init` has run in <world>/<name>; ports are free ones of 127.0.0.1."""

    def __init__(self, world, *, name="cloud", serials=()):
        self.world, self.name = world, name
        self.folder = world.folder / name
        self.config = self.folder / "cloud.toml"
        self.auth_port, self.port = basics.free_port(), basics.free_port()
        self.program = None
        self._starts = 0
        self.run("init", self.folder)
        self._set_ports()
        self.ca_file = next(path for path in (self.folder / "ca.pem", self.folder / "ca.crt", self.folder / "tls/ca.pem")
                            if path.exists())
        for serial in serials:
            self.add(serial)

    def _set_ports(self):
        text = self.config.read_text()
        for key, port in (("authentication_port", self.auth_port), ("connection_port", self.port)):
            text, count = re.subn(rf"(?m)^{key}\s*=.*$", f"{key} = {port}", text)
            assert count == 1, f"{self.config}: {count} lines {key}"
        self.config.write_text(text)

    # ---- serving

    def start(self, wait=True):
        self._starts += 1
        suffix = f"-{self._starts}" if self._starts > 1 else ""
        self.program = self.world.start(f"{self.name}{suffix}",
                                        [basics.built("hawser-cloud"), "serve", "--config", self.config])
        if wait:
            self.wait_listening()
        return self

    def wait_listening(self):
        self.program.wait_line(r"(?i)listening|serving|ready")

    def stop(self):
        return self.program.stop()

    def kill(self):
        return self.program.kill()

    # ---- the command line

    def run(self, *arguments, expect=0):
        return self.world.run([basics.built("hawser-cloud"), *arguments], expect=expect)

    def command(self, *arguments, expect=0):
        return self.run(*arguments, "--config", self.config, expect=expect)

    def add(self, serial):
        return self.command("device", "add", serial)

    def device(self, serial=None):
        """`device show SERIAL --json`."""
        return json.loads(self.command("device", "show", serial or basics.SERIAL, "--json").stdout)

    def wait_device(self, predicate, limit=20, what=""):
        def look():
            device = self.device()
            return device if predicate(device) else None
        return basics.wait_for(look, limit, what or "a state of the device at the cloud", pause=0.1)
