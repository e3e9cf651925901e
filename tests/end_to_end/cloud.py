"""hawser-cloud under test: its server and its command line."""

import datetime
import json

import basics


class Cloud:
    """Owned by a World. `hawser-cloud init` has run in <world>/<name>; ports are free ones of 127.0.0.1 unless told."""

    def __init__(self, world, *, name="cloud", serials=(), listen="127.0.0.1", names=(), auth_port=None, port=None):
        self.world, self.name = world, name
        self.folder = world.folder / name
        self.config, self.ca_file = self.folder / "cloud.toml", self.folder / "ca.crt"
        self.auth_port, self.port = auth_port or basics.free_port(), port or basics.free_port()
        self.program = None
        self._starts = 0
        self.run("init", self.folder, "--listen", listen, "--auth-port", self.auth_port, "--connection-port", self.port,
                 *(word for each in names for word in ("--name", each)))
        for serial in serials:
            self.add(serial)

    # ---- serving

    def arguments(self):
        return [basics.built("hawser-cloud"), "serve", "--config", self.config]

    def start(self):
        self._starts += 1
        suffix = f"-{self._starts}" if self._starts > 1 else ""
        self.program = self.world.start(f"{self.name}{suffix}", self.arguments(), place="cloud")
        self.program.wait_line("listening")
        return self

    def advertise(self, port):
        """Devices are told this port for their connections, where a proxy stands before the cloud."""
        self.config.write_text(self.config.read_text() + f"public_connection_port = {port}\n")

    def stop(self):
        return self.program.stop()

    def kill(self):
        return self.program.kill()

    # ---- the command line

    def run(self, *arguments, **options):
        return self.world.run([basics.built("hawser-cloud"), *arguments], **options)

    def command(self, *arguments, **options):
        return self.run(*arguments, "--config", self.config, **options)

    def add(self, serial):
        return self.command("device", "add", serial)

    def device(self, serial=basics.SERIAL):
        """`device show SERIAL --json`."""
        return json.loads(self.command("device", "show", serial, "--json").stdout)

    def wait_device(self, predicate, limit=20, what=""):
        """The first answer of device() that satisfies the predicate."""
        def look():
            device = self.device()
            return device if predicate(device) else None
        return basics.wait_for(look, limit, what or "a state of the device at the cloud", pause=0.1)

    def wait_subconnections(self, services=basics.SERVICES, state="ready"):
        return self.wait_device(lambda device: {each["service"] for each in device["subconnections"]
                                                if each["state"] == state} == set(services), what=f"{services} {state}")

    def wait_metrics(self, names, newer_than=0.0, limit=20, serial=basics.SERIAL):
        """Waits until all these metrics have a value that is younger than that time; returns the names of all."""
        def look():
            found = json.loads(self.command("metrics", serial, "--json").stdout)
            young = {metric["name"] for metric in found if _seconds(metric["at"]) >= int(newer_than)}
            return {metric["name"] for metric in found} if young >= set(names) else None
        return basics.wait_for(look, limit, f"metrics {sorted(names)} at the cloud", pause=0.2)

    def push_config(self, serial, files, *, check=False, reload=(), expect=0):
        """`config push`, waited for to its end; what it printed. `files`: path on the device -> local file."""
        options = ["--check"] if check else ["--until", "confirmed"]
        for action in reload:
            options += ["--reload", action]
        done = self.command("config", "push", serial, *(f"{path}={local}" for path, local in files.items()), *options,
                            "--confirm-timeout", 20, "--wait", 40, expect=expect, limit=60)
        return done.stdout + done.stderr


def _seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
