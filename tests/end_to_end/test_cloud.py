"""hawser-cloud by itself: from nothing to a working cloud."""

import re
import stat
import time

from basics import SERIAL, SERVICES, built


def test_a_working_cloud_in_under_a_minute(world):
    """[cloud-1] `init` and `serve` give a cloud to which a device moors, in well under a minute from nothing."""
    began = time.monotonic()
    cloud = world.cloud()
    cloud.add(SERIAL)
    cloud.start()
    agent = world.agent(cloud.auth_port, cloud.ca_file).start()
    agent.wait_ready()
    assert time.monotonic() - began < 60
    shown = cloud.wait_subconnections()
    assert {each["service"] for each in shown["subconnections"]} == set(SERVICES)
    assert SERIAL in cloud.command("device", "list").stdout
    cloud.wait_metrics({"system.uptime"})


def test_the_keys_of_a_new_cloud_are_its_owners(world):
    """[cloud-1] What init makes keeps its private keys to the owner, and a second init does not overwrite it."""
    cloud = world.cloud()
    keys = [path for path in cloud.folder.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert keys
    for path in keys:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path} can be read by others"
    before = {path: path.read_bytes() for path in keys}
    done = cloud.run("init", cloud.folder, expect=None)
    assert done.returncode not in (0, None) and done.stderr.strip()
    assert before == {path: path.read_bytes() for path in keys}


def test_a_device_is_known_by_its_serial_alone(world):
    """[cloud-1] Adding a serial twice, a broken one, and showing an unknown one are answered with a sentence."""
    cloud = world.cloud(serials=[SERIAL])
    for arguments in (("device", "add", "has a space"), ("device", "show", "HW-NEVER"), ("device", "add", "x" * 65)):
        done = cloud.command(*arguments, expect=None)
        assert done.returncode != 0 and len(done.stderr.split()) > 3, (arguments, done)


def test_what_arrived_survives_a_kill(world):
    """[cloud-1] Devices, bindings and data survive SIGKILL of the cloud; the device's key is still the bound one."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file).start()
    agent.wait_ready()
    cloud.wait_metrics({"system.uptime"})
    cloud.kill()
    assert SERIAL in cloud.command("device", "list").stdout
    assert "system.uptime" in cloud.command("metrics", SERIAL).stdout
    cloud.start()
    agent.wait_ready(limit=40)
    agent.stop()
    twin = world.agent(cloud.auth_port, cloud.ca_file, plugins=[], name="twin").start()
    twin.wait_failure("key_mismatch")


def test_the_newest_main_connection_wins(world):
    """[cloud-1] A second connection of the same device replaces the first with 4009, which then waits."""
    import shutil
    cloud = world.cloud(serials=[SERIAL]).start()
    first = world.agent(cloud.auth_port, cloud.ca_file, plugins=[], name="first").start()
    first.wait_established()
    second = world.agent(cloud.auth_port, cloud.ca_file, plugins=[], name="second")
    second.state_dir.mkdir(mode=0o700)
    shutil.copy2(first.state_dir / "device.key", second.state_dir / "device.key")
    second.start()
    second.wait_established()
    state = first.wait_state(lambda state: state["cloud_connection_state"] != "Established", what="replaced")
    assert state["last_down_reason"] == "replaced"
    assert 50 <= state["next_attempt_in_s"] <= 64


def test_a_stop_says_goodbye(world):
    """[cloud-1] SIGTERM ends hawser-cloud with 0 within 10 s; its devices see a Close, not a broken connection."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file).start()
    agent.wait_ready()
    assert cloud.stop() == 0
    state = agent.wait_state(lambda state: state["last_down_reason"], what="the loss")
    assert state["last_down_reason"] in ("restarting", "going_away", "drained", "normal"), state["last_down_reason"]


def test_a_port_that_is_taken_is_named(world):
    """[cloud-1] A second server on the same ports ends with a sentence that names the port."""
    cloud = world.cloud().start()
    second = world.start("second", [built("hawser-cloud"), "serve", "--config", cloud.config])
    assert second.wait_end() != 0
    assert re.search(rf"\b({cloud.auth_port}|{cloud.port})\b", second.text()) or "another" in second.text()
    assert cloud.program.running()


def test_tokens_are_not_logged(world):
    """[sec-2] The cloud's log at its usual level holds no token and no proof of a device."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=[]).start()
    agent.wait_established()
    assert not re.search(r"[Bb]earer |eyJ[A-Za-z0-9_-]{20,}", cloud.program.text())
    assert "token=" not in cloud.program.text()
