"""Where the build under test is, free ports, and bounded waiting."""

import functools
import os
import random
import socket
import time
from pathlib import Path

from program import SLOWNESS

BUILD = Path(os.environ.get("HAWSER_BUILD", Path(__file__).resolve().parents[2] / "build" / "release"))
SERIAL = "HW-TEST-0001"
SERVICES = ("monitoring", "config_push", "log_upload")


@functools.lru_cache(maxsize=None)
def built(name):
    """The path of a program of the build under test."""
    for path in sorted(BUILD.rglob(name)):
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise AssertionError(f"{name} is not built in {BUILD}; type: cmake --build {BUILD}")


@functools.lru_cache(maxsize=None)
def built_plugins():
    """The folder <id>/<version>/plugin.so of the build under test, for --plugin-dir."""
    for path in sorted(BUILD.rglob("hawser.monitoring/*/plugin.so")):
        return path.parents[2]
    raise AssertionError(f"no plugins are built in {BUILD}; type: cmake --build {BUILD}")


def free_port():
    """A port that nothing listens on, below the range from which the kernel itself gives out ports."""
    for _ in range(200):
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port between 20000 and 32000")


def wait_for(predicate, limit=20, what="", pause=0.05):
    """Asks until the predicate gives something true, and returns that."""
    end = time.monotonic() + limit * SLOWNESS
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"not within {limit} s: {what or predicate}")
        time.sleep(pause)
