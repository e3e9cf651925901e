"""The lab itself: what it says about the network must be right."""

import os
import socket
import subprocess
import sys

import namespaces
import pytest
from namespaces import AGENT_ADDRESS, CLOUD_ADDRESS, CLOUD_ROUTER


def test_the_way_between_can_be_broken_and_healed(lab):
    """The agent reaches the cloud through the NAT, and only as long as no rule forbids it; the system's files stay."""
    before = os.stat("/etc/hosts").st_mtime_ns if os.path.exists("/etc/hosts") else None
    server = lab.in_place("cloud", lambda: socket.create_server((CLOUD_ADDRESS, 443)))

    def dial():
        return socket.create_connection((CLOUD_ADDRESS, 443), 0.5)
    client = lab.in_place("device", dial)
    accepted, peer = server.accept()
    assert peer[0] == CLOUD_ROUTER, "the cloud sees the NAT's address, not the agent's"
    lab.fault("counter drop")
    with pytest.raises(OSError):
        lab.in_place("device", dial)
    assert lab.dropped() >= 1
    lab.heal()
    lab.in_place("device", dial).close()
    for each in (client, accepted, server):
        each.close()
    looked_up = lab.run(["getent", "hosts", "cloud.test"], place="device").stdout
    assert CLOUD_ADDRESS in looked_up
    assert before == (os.stat("/etc/hosts").st_mtime_ns if before else None)
    assert AGENT_ADDRESS not in subprocess.run(["ip", "-o", "address"], capture_output=True, text=True).stdout


def test_what_a_crashed_run_left_is_removed(lab):
    """Namespaces of a run that died are removed at the next start, and their processes ended; those of this run
    stay."""
    crashed = subprocess.run([sys.executable, "-c", """
import os, subprocess, sys
sys.path[:0] = sys.argv[1:]
import namespaces
net = namespaces.Namespaces()
sleeper = subprocess.Popen([*net.words("ha"), "sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(sleeper.pid, *net.names.values(), flush=True)
os._exit(9)
""", os.path.dirname(namespaces.__file__)], capture_output=True, text=True, check=False)
    pid, *names = crashed.stdout.split()
    assert os.path.exists(f"/run/netns/{names[0]}"), crashed.stderr
    namespaces.remove_leftovers()
    assert not any(os.path.exists(f"/run/netns/{name}") for name in names)
    os.waitpid(int(pid), 0)  # it became ours, and has ended
    assert all(os.path.exists(f"/run/netns/{name}") for name in lab.net.names.values())
