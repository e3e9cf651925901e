"""Key and tokens stay where they belong."""

import os
import stat
from pathlib import Path

import processes
from basics import SERVICES, built


def looks(agent):
    """(where, bytes) of everything that a person or another program can see of the agent."""
    for path in agent.world.folder.joinpath("log").glob("*.log"):
        yield str(path), path.read_bytes()
    for arguments in (["state"], ["state", "--json"], ["plugin", "list"]):
        yield " ".join(arguments), agent.ctl(*arguments).stdout.encode()
    for pid in [agent.program.pid, *agent.hosts()]:
        for name in ("cmdline", "environ"):
            yield f"/proc/{pid}/{name}", Path(f"/proc/{pid}/{name}").read_bytes()
    for path in agent.state_dir.rglob("*"):
        if path.is_file() and path.name != "device.key":
            yield str(path), path.read_bytes()


def test_no_secret_shows_anywhere(world):
    """[sec-2] Tokens, proofs and the key stand in no log (at level trace), state, process list or file. [S10] [S11]"""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, log_level="trace").start()
    agent.wait_ready()
    cloud.record.wait("data:monitoring", 2)
    cloud.drop_all()
    agent.wait_ready(limit=40)
    assert len(cloud.secrets) >= 6, "the cloud handed out a token, three grants and got proofs"
    key_lines = [line for line in (agent.state_dir / "device.key").read_text().splitlines() if len(line) > 20]
    assert key_lines, "the device key is PEM"
    for where, content in looks(agent):
        for secret in [*cloud.secrets, *key_lines]:
            assert secret.encode() not in content, f"{where} shows {secret[:12]}..."


def test_the_device_key_is_the_owners_alone(world):
    """[sec-2] The device key is made at the first start, mode 0600 in a folder of mode 0700, and kept. [S7] [S12]"""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    key = agent.state_dir / "device.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(agent.state_dir.stat().st_mode) == 0o711  # plugins of their own users pass it, and list nothing
    content = key.read_bytes()
    for path in agent.state_dir.rglob("*"):
        open_to_others = 0o066 if path == agent.state_dir / "plugins" else 0o077
        assert stat.S_IMODE(path.stat().st_mode) & open_to_others == 0, f"{path} can be read by others"
    agent.stop()
    agent.start()
    agent.wait_established()
    assert key.read_bytes() == content
    first, last = (cloud.record.all("auth")[index].data["body"].get("proof") for index in (1, -1))
    assert first and last and first != last


def test_a_broken_device_key_is_never_replaced_in_silence(world):
    """[sec-2] A device key that cannot be read stops the start with its name; it is not replaced."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    agent.stop()
    key = agent.state_dir / "device.key"
    key.write_text("-----BEGIN PRIVATE KEY-----\nbroken\n-----END PRIVATE KEY-----\n")
    agent.start()
    assert agent.program.wait_end() != 0
    assert "device.key" in agent.program.text()
    assert "broken" in key.read_text()


def test_hosts_hold_nothing_of_the_core(world):
    """[sec-2] A host has no descriptor of the core's files, and its environment is nearly empty."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    state = agent.wait_ready()
    for service in SERVICES:
        pid = agent.subconnection(service, state)["host_pid"]
        targets = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
        assert not [target for target in targets if "device.key" in target or target.endswith(("control.sock", ".lock"))]
        names = {entry.split(b"=")[0].decode() for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if entry}
        assert names <= {"PATH", "LANG", "LC_ALL", "TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}, names
    assert processes.descendants(agent.program.pid)


def test_the_control_socket_is_not_for_everyone(world):
    """[sec-2] Others may connect to the control socket, for the refusal in words; who does not belong gets no
    answer."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    for folder in (agent.folder, agent.folder.parent):
        folder.chmod(0o755)
    refused = world.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", built("hawserctl"), "--socket",
                         agent.socket, "state"], expect=None)
    assert refused.returncode != 0 and agent.serial not in refused.stdout + refused.stderr, refused
    assert "permission" in refused.stderr.lower() or "group" in refused.stderr.lower(), refused.stderr
