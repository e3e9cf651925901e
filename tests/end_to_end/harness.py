"""Starts the real programs in a folder of their own, on free ports of 127.0.0.1, and leaves nothing behind.

A test takes the fixture `world` (conftest.py). What it makes through the world (cloud(), agent(), scripted_cloud(),
proxy()) is ended with it, by process id, whether the test passed or not; when it failed, every log is printed."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import processes
from agent import Agent
from background import Background
from basics import BUILD, SERIAL
from certificates import Authority
from cloud import Cloud
from program import SLOWNESS, Program
from proxy import Proxy
from scripted_cloud import ScriptedCloud


class World:
    """Everything that one test has started."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="hawser-"))  # short, for the path of a Unix socket has 107 bytes
        self.folder.chmod(0o711)  # plugins run as users of their own, who pass it on the way to their state
        self.programs = []
        self.left_running = []
        self._parts = []
        self._background = None
        self._authority = None
        processes.adopt_orphans()

    @property
    def background(self):
        if self._background is None:
            self._background = Background()
        return self._background

    @property
    def authority(self):
        if self._authority is None:
            self._authority = Authority(self.folder / "authority")
        return self._authority

    def prefix(self, place):
        """The words before a program that runs at this place ("device", "cloud"). Here there is one place only."""
        return []

    def start(self, name, arguments, *, place="", **options):
        """Starts any program; its log is <folder>/log/<name>.log."""
        (self.folder / "log").mkdir(exist_ok=True)
        program = Program(name, [*self.prefix(place), *arguments], self.folder / "log" / f"{name}.log", **options)
        self.programs.append(program)
        return program

    def cloud(self, **options):
        """A real hawser-cloud, initialised but not serving yet."""
        return Cloud(self, **options)

    def agent(self, port=None, ca_file="", **options):
        """A hawserd with its configuration written but not started yet. `port`: where it authenticates."""
        return Agent(self, port, ca_file, **options)

    def scripted_cloud(self, serials=(SERIAL,), **options):
        cloud = ScriptedCloud(self.background, self.authority, serials, **options)
        self._parts.append(cloud)
        return cloud

    def fleet(self, names, **options):
        """Scripted clouds by name, each a server of its own that knows nothing of the others. The names must be known to
        the agent: in the network lab they are, elsewhere only localhost and 127.0.0.1 serve."""
        return {name: self.scripted_cloud(name=name, **options) for name in names}

    def proxy(self, target, **options):
        proxy = Proxy(self.background, target, **options)
        self._parts.append(proxy)
        return proxy

    @property
    def faults(self):
        """What the device did against the protocol, as the scripted clouds saw it."""
        return [fault for part in self._parts for fault in getattr(part, "faults", [])]

    def run(self, arguments, *, place="", limit=30, expect=0, environment=None, text=""):
        """Runs a command to its end; `expect` None takes any exit code. `text`: what it reads from standard input. Returns
        the CompletedProcess with text."""
        arguments = [str(argument) for argument in [*self.prefix(place), *arguments]]
        done = subprocess.run(arguments, input=text, capture_output=True, text=True, env=environment,
                              timeout=limit * SLOWNESS)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"{' '.join(arguments)}\nended with {done.returncode}, not {expect}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def story(self):
        """All logs, the end of each, and what scripted clouds saw."""
        parts = []
        for program in self.programs:
            state = "running" if program.running() else f"ended with {program.exit_code}"
            parts.append(f"---- {program.name} (pid {program.pid}, {state})\n" + "\n".join(program.lines()[-150:]))
        for part in self._parts:
            if isinstance(part, ScriptedCloud):
                parts.append("---- what the scripted cloud saw\n" + part.record.story())
        return "\n".join(parts)

    def close(self):
        """Ends everything. Afterwards `left_running` names what outlived its parent, which is a fault."""
        for program in reversed(self.programs):
            if program.foreign:
                processes.end_all([program.pid, *processes.descendants(program.pid)] if program.running() else [])
            elif program.running():
                try:
                    program.stop()
                except AssertionError as slow:
                    self.left_running.append(f"{program.name}: {slow}")
        mine = {program.pid for program in self.programs}
        began = time.monotonic()

        def in_time(pid):
            """Ours end at once; the scripts of a DHCP client by themselves, on a busy machine later."""
            grace = 2 if str(BUILD) in processes.command_line(pid) else 20
            return time.monotonic() < began + grace * SLOWNESS
        while (orphans := [pid for pid in processes.children(os.getpid()) if pid not in mine]) \
                and any(in_time(pid) for pid in orphans):
            time.sleep(0.02)
        self.left_running += [f"{pid}: {processes.command_line(pid)}" for pid in orphans]
        processes.end_all(orphans)
        for part in self._parts:
            part.close()
        if self._background:
            self._background.close()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)
