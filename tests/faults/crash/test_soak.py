"""The short form of tests/faults/soak."""

import os
import subprocess
from pathlib import Path

import pytest


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_half_a_minute_of_everything():
    """[data-1] [data-2] Plugin, host, agent and cloud are killed at random, the network is cut and the disk filled: at the
    cloud is what was accepted, once and in order."""
    done = subprocess.run([Path(__file__).resolve().parents[1] / "soak", "--minutes", "0.4"], capture_output=True, text=True,
                          timeout=400)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    print(done.stdout)
