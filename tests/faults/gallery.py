"""The rogues' gallery: two healthy plugins that exchange echoes with the cloud, a rogue that is let loose beside them,
and what they and the main connection felt of it. The plugins stand in plugins/.

Everything runs in a process namespace of its own (the script `alone`): some rogues kill whatever they can."""

import asyncio
import json
import os
import time
from pathlib import Path

import basics
import processes
from program import SLOWNESS

HEALTHY = ("acme.echo_a", "acme.echo_b")
SERVICES = ("echo_a", "echo_b")
ROGUE = "acme.rogue"
LATE_S = 1.0       # no echo and no ping of the main connection may take longer, also when twelve tests run at once
PING_EVERY_S, NO_PONG_S = 0.1, 10.0


def why_not():
    if os.geteuid() != 0:
        return "needs root"
    if os.getpid() != 1:
        return "some rogues kill every process they can: start this with tests/faults/alone /usr/bin/python3 -m pytest ..."
    return ""


def toml(value):
    return json.dumps(value)  # strings, numbers, booleans and lists of them are written alike


class Gallery:
    """Owned by a test's World. After open() both healthy plugins are ready; loose() enables the rogue."""

    def __init__(self, world, *, period_ms=10, echo=True, healthy_limits="", **options):
        self.world = world
        world.folder.chmod(0o711)  # each plugin has a user of its own, who must reach its state folder
        self.cloud = world.scripted_cloud()
        rogues = [f"rogue_{number}" for number in range(1, 8)]
        self.cloud.services = {name: f"acme.{name}.v1"
                               for name in (*SERVICES, "rogue", "leaver", "sleeper", "liar", *rogues)}
        self.cloud.echoes = set(SERVICES)
        healthy = f"{healthy_limits}[config]\nperiod_ms = {period_ms}\necho = {toml(echo)}\n"
        self.agent = world.agent(self.cloud.auth_port, world.authority.file, plugins=list(HEALTHY), log_level="info",
                                 plugin_files={each: healthy for each in HEALTHY}, plugin_dir=basics.BUILD / "plugins",
                                 **options)
        self._reports = 0
        self._pinging = None
        self.pings = []  # (seconds since the start of the test, seconds it took)

    # ---- letting loose

    def open(self):
        self.agent.start()
        self.before = self.agent.wait_ready(SERVICES)
        self.report()  # what came before counts for nobody
        self._pinging = asyncio.run_coroutine_threadsafe(self._ping(), self.world.background.loop)
        return self

    def loose(self, do="", *, plugin=ROGUE, limits="", actions="", **config):
        """Enables a rogue that does this. `limits`: lines of its [limits]."""
        self.loose_many([plugin], do, limits=limits, actions=actions, **config)

    def loose_many(self, plugins, do, *, limits="", actions="", **config):
        config = {"do": do, **config} if do else config
        text = f"[limits]\n{limits}\n[config]\n" if limits else "[config]\n"
        text += "".join(f"{name} = {toml(value)}\n" for name, value in config.items()) + actions
        for plugin in plugins:
            self.agent.write_config(f"plugins.d/{plugin}.toml", text)
        self.enable(plugins)

    def enable(self, rogues):
        self.agent.write_config("conf.d/70-rogues.toml", f"[plugins]\nenabled = {json.dumps([*HEALTHY, *rogues])}\n")
        self.agent.ctl("config", "reload")

    # ---- what is told

    def plugin(self, plugin=ROGUE):
        """The entry of `hawserctl plugin list --json`; {} while there is none."""
        done = self.agent.ctl("plugin", "list", "--json", expect=None)
        rows = json.loads(done.stdout)["plugins"] if done.returncode == 0 else []
        return next((row for row in rows if row["id"] == plugin), {})

    def shown(self, plugin=ROGUE):
        return json.loads(self.agent.ctl("plugin", "show", plugin, "--json").stdout)

    def history(self):
        return json.loads(self.agent.ctl("history", "--json", "--limit", 1000).stdout)["events"]

    def told(self, reason, plugin=ROGUE):
        """The details of the events about this plugin with this reason."""
        return [event["detail"] or "" for event in self.history()
                if event["reason"] == reason and plugin in f"{event.get('plugin') or ''} {event['detail'] or ''}"]

    def wait_plugin(self, predicate, what, *, plugin=ROGUE, limit=20):
        def look():
            self.agent.must_run()
            row = self.plugin(plugin)
            return row if row and predicate(row) else None
        return basics.wait_for(look, limit, f"{plugin} {what}; its line is {self.plugin(plugin)}", pause=0.1)

    def wait_told(self, reason, *, plugin=ROGUE, limit=20):
        """The detail of the first event of this reason about the rogue."""
        return basics.wait_for(lambda: self.told(reason, plugin), limit,
                               f"an event {reason} about {plugin}; there are {self.history()[-5:]}", pause=0.1)[0]

    def wait_line(self, pattern, limit=20):
        return self.agent.program.wait_line(pattern, limit)

    def lines(self, pattern):
        return [line for line in self.agent.program.lines() if pattern in line]

    # ---- what the others felt

    async def _ping(self):
        began = time.monotonic()
        while True:
            socket = self.cloud.main.socket
            sent = time.monotonic()
            try:
                took = await asyncio.wait_for(socket.ping(), NO_PONG_S)
            except (OSError, asyncio.TimeoutError):
                self.pings.append((sent - began, NO_PONG_S))
                return  # judge() says so
            self.pings.append((sent - began, took))
            await asyncio.sleep(max(0, PING_EVERY_S - took))

    def report(self):
        """What the healthy plugins noted since the last time, by service."""
        self._reports += 1
        for service in SERVICES:
            self.cloud.send_text(service, {"type": "figures", "id": self._reports})
        return {service: self._answer(service) for service in SERVICES}

    def _answer(self, service):
        def look():
            return next((seen.data["body"] for seen in self.cloud.record.all(f"text:{service}")
                         if seen.data["body"].get("id") == self._reports), None)
        return basics.wait_for(look, 10, f"a report of {service}")

    def judge(self):
        """Nobody else felt anything: no echo lost or late, the main connection as it was, every other host as it was."""
        felt = self.report()
        for service, row in felt.items():
            assert row["sent"] > 0 and row["lost"] == 0 and row["refused"] == 0, (service, row)
            assert row["longest_us"] < LATE_S * SLOWNESS * 1e6, (service, row)
        assert self.pings and max(took for _, took in self.pings) < LATE_S * SLOWNESS, self.pings
        state = self.agent.state()
        assert state["cloud_connection_state"] == "Established" and state["connected_at"] == self.before["connected_at"]
        for service in SERVICES:
            was, now = self.agent.subconnection(service, self.before), self.agent.subconnection(service, state)
            same = ("host_pid", "restarts", "reconnects", "state", "since")
            assert [was[key] for key in same] == [now[key] for key in same], (was, now)
        assert self.cloud.record.count("main:end") == 0
        return felt

    def stop_pinging(self):
        if self._pinging:
            self._pinging.cancel()
            self._pinging = None

    def close(self):
        """Stops the agent; nothing that it started is left, whoever tried to get away."""
        self.stop_pinging()
        if not self.agent.program.running():
            return  # the test has said so; the world's own close() looks for what is left
        began = time.monotonic()
        assert self.agent.stop() == 0
        assert time.monotonic() - began < 8 * SLOWNESS
        basics.wait_for(lambda: not strangers(), 3, f"that nothing is left; there is {strangers()}")


def strangers():
    """What lives in this namespace and is not the test."""
    mine = {os.getpid()}
    return {pid: processes.command_line(pid) for pid in (int(each) for each in os.listdir("/proc") if each.isdigit())
            if pid not in mine and processes.alive(pid)}


def namespace():
    return os.readlink("/proc/self/ns/pid")


def folder_bytes(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
