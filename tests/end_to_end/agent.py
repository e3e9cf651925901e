"""hawserd and hawserctl under test."""

import itertools
import json
import os
import signal
from pathlib import Path

import basics
import processes

FIRST_UID, UIDS_EACH, RANGES = 1879048192, 1000, 250_000
_agents = itertools.count()


class Agent:
    """Owned by a World. Everything of it lives in <world>/<name>: config/, state/, run/."""

    def __init__(self, world, port, ca_file, *, name="device", serial=None, domain="localhost", site="branch-042",
                 authentication_port=None, keepalive_s=180, keepalive_count=3, ping_s=60, plugins=None,
                 plugin_files=None, plugin_dir=None, log_level="debug", servers=None, development_mode=True):
        """`servers`: {domain: [ports]} in place of `domain` and `port`; the first is the primary. `development_mode`:
        plugins that nobody signed are loaded, as those of a build tree are."""
        self.world, self.name = world, name
        self.folder = world.folder / name
        self.config, self.state_dir = self.folder / "config", self.folder / "state"
        self.runtime_dir = self.folder / "run"
        self.plugin_dir = Path(plugin_dir) if plugin_dir else basics.built_plugins()
        self.socket = self.runtime_dir / "control.sock"
        self.serial = serial or basics.SERIAL
        self.program = None
        self._starts = 0
        for folder in (self.config / "plugins.d", self.runtime_dir):
            folder.mkdir(parents=True)
        enabled = plugins if plugins is not None else ["hawser.monitoring", "hawser.config_push", "hawser.log_upload"]
        lines = [f'[device]\nserial = "{self.serial}"\nmodel = "HW-1"\nsite = "{site}"', '[cloud]\nkind = "generic"']
        if authentication_port:
            lines.append(f"authentication_port = {authentication_port}")
        for number, (each, ports) in enumerate((servers or {domain: [port] if port else []}).items()):
            lines.append(f'[[cloud.server]]\nrole = "{"backup" if number else "primary"}"\ndomain = "{each}"')
            if ports:
                lines.append(f"ports = {list(ports)}")
        lines += [f'[cloud.keepalive]\ninterval = "{keepalive_s}s"\ncount = {keepalive_count}',
                  f'[cloud.ping]\ninterval = "{ping_s}s"', f'[cloud.tls]\nca_file = "{ca_file}"',
                  f"[plugins]\nfirst_uid = {self.first_uid()}\nenabled = {json.dumps(enabled)}",
                  f"development_mode = {json.dumps(development_mode)}",
                  f'[log]\nlevel = "{log_level}"']
        self.write_config("hawser.toml", "\n".join(lines) + "\n")
        files = {"hawser.monitoring": '[config]\ninterval = "1s"\n', **(plugin_files or {})}
        for plugin, text in files.items():
            self.write_config(f"plugins.d/{plugin}.toml", text)

    def first_uid(self):
        """A range of users of its own: the limit of processes is counted per user, over all agents of the machine. A
        process id stands for one process only within its namespace."""
        namespace = os.stat("/proc/self/ns/pid").st_ino
        return FIRST_UID + ((namespace * 4096 + os.getpid()) * 16 + next(_agents)) % RANGES * UIDS_EACH

    def write_config(self, name, text):
        path = self.config / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    # ---- hawserd

    def arguments(self):
        return [basics.built("hawserd"), "--config", self.config, "--state-dir", self.state_dir,
                "--runtime-dir", self.runtime_dir, "--plugin-dir", self.plugin_dir,
                "--host-program", basics.built("hawser-host"),
                "--ctl-program", basics.built("hawserctl")]

    def start(self, **options):
        self._starts += 1
        suffix = f"-{self._starts}" if self._starts > 1 else ""
        self.program = self.world.start(f"{self.name}{suffix}", self.arguments(), place="device", **options)
        return self

    def stop(self):
        return self.program.stop()

    def kill(self):
        return self.program.kill()

    def hosts(self):
        """The process ids of the plugin hosts that live now."""
        return processes.descendants(self.program.pid)

    def host_of(self, service):
        return self.subconnection(service)["host_pid"]

    def kill_host(self, service):
        pid = self.host_of(service)
        os.kill(pid, signal.SIGKILL)
        return pid

    # ---- hawserctl

    def ctl(self, *arguments, **options):
        folder = () if "--config" in arguments else ("--config", self.config, "--state-dir", self.state_dir)
        return self.world.run([basics.built("hawserctl"), "--socket", self.socket, *folder, *arguments],
                              **{"limit": 20, **options})

    def state(self):
        """The JSON of `hawserctl state`, or {} while the agent does not answer."""
        done = self.ctl("state", "--json", expect=None)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def subconnection(self, service, state=None):
        for row in (state or self.state()).get("subconnections", []):
            if row["service"] == service:
                return row
        return {}

    def wait_state(self, predicate, limit=20, what=""):
        """The first state that satisfies the predicate."""
        def look():
            self.must_run()
            state = self.state()
            return state if state and predicate(state) else None
        return basics.wait_for(look, limit, what or "a state of the agent")

    def wait_established(self, limit=20):
        return self.wait_state(lambda state: state["cloud_connection_state"] == "Established", limit, "Established")

    def wait_ready(self, services=basics.SERVICES, limit=20):
        """Established, and these subconnections ready. Returns the state."""
        def ready(state):
            return state["cloud_connection_state"] == "Established" and all(
                self.subconnection(service, state).get("state") == "ready" for service in services)
        return self.wait_state(ready, limit, f"Established with {', '.join(services)} ready")

    def wait_failure(self, reason, limit=20):
        """A state whose failure reason is this one."""
        return self.wait_state(lambda state: reason in str(state["failure_reason"]), limit, f"the failure {reason}")

    def must_run(self):
        if not self.program.running():
            raise AssertionError(f"hawserd ended with {self.program.exit_code}\n" + "\n".join(self.program.lines()[-30:]))
