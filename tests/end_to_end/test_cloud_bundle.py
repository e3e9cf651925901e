"""hawser-cloud asks a real device for its bundle."""

import json
import os
import threading
from pathlib import Path

from basics import SERIAL, wait_for


def watch_processes(stop, seen):
    while not stop.is_set():
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    seen.add(Path(f"/proc/{entry}/cmdline").read_bytes())
                except OSError:
                    continue
        stop.wait(0.002)


def fetch(world, cloud, **options):
    """(the archive's path, the words of every process that ran meanwhile)."""
    seen, stop = set(), threading.Event()
    watcher = threading.Thread(target=watch_processes, args=(stop, seen))
    watcher.start()
    try:
        cloud.command("bundle", SERIAL, "--output", world.folder / "got.tar.zst", limit=90, **options)
    finally:
        stop.set()
        watcher.join()
    return world.folder / "got.tar.zst", seen


def test_the_cloud_gets_a_bundle(world):
    """[state-4] `hawser-cloud bundle SERIAL`: the device makes one archive with state, history, configuration, logs,
    versions and doctor's findings, and puts it to the cloud; the URL, a secret of the cloud's, stands in no process list,
    log or file; no secret is in the archive; the connection stays."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, log_level="trace")
    agent.ctl("server", "password", text="Cob-Nut-7\n")
    agent.start()
    before = agent.wait_ready()
    archive, seen = fetch(world, cloud)
    assert any(b"hawserctl" in words and b"bundle" in words for words in seen), "hawserctl was not seen at work"
    leaked = [words for words in seen if b"/hawser/v1/upload" in words]
    assert not leaked, leaked
    unpacked = world.folder / "unpacked"
    unpacked.mkdir()
    world.run(["tar", "--zstd", "-xf", archive, "-C", unpacked])
    files = {str(path.relative_to(unpacked)): path.read_bytes() for path in unpacked.rglob("*") if path.is_file()}
    for wanted in ("agent/state.json", "agent/history.json", "config/hawser.toml", "doctor.txt", "versions.txt"):
        assert any(name.endswith(wanted) for name in files), (wanted, sorted(files))
    [log] = [content for name, content in files.items() if name.endswith("log/agent_last_lines.txt")]
    assert SERIAL.encode() in log and b"-> Request_success" in log, log[:2000]
    [state] = [content for name, content in files.items() if name.endswith("agent/state.json")]
    assert SERIAL.encode() in b"".join(files.values()) and b"Established" in state
    key = [line for line in (agent.state_dir / "device.key").read_text().splitlines() if len(line) > 20 and "KEY" not in line]
    for name, content in files.items():
        for secret in (b"Cob-Nut-7", *(line.encode() for line in key)):
            assert secret not in content, f"{name} holds a secret"
    assert "/hawser/v1/upload/" not in agent.program.text()
    for path in [*agent.state_dir.rglob("*"), *agent.runtime_dir.rglob("*")]:
        assert not path.is_file() or b"/hawser/v1/upload" not in path.read_bytes(), f"{path} still has the URL"
    after = agent.wait_ready()
    assert after["connected_at"] == before["connected_at"]

    def told():
        events = json.loads(cloud.command("device", "history", SERIAL, "--json").stdout)["events"]
        return [event for event in events if event["detail"] == "a bundle was uploaded at the cloud's request"]
    [event] = wait_for(told, 10, "the upload in the cloud's history", 0.2)
    assert event["kind"] == "security" and event["side"] == "device", event


def test_what_cannot_be_had_is_said(world):
    """[state-4] A device that is unknown, and one that is away, are named; the command ends by itself."""
    cloud = world.cloud(serials=[SERIAL]).start()
    assert "NOBODY" in cloud.command("bundle", "NOBODY", expect=1).stderr
    assert "no bundle within 1 s" in cloud.command("bundle", SERIAL, "--wait", 1, expect=1).stderr
