"""A cloud that asks for a password: the real one, and a scripted one that sees what crosses the wire."""

import json
import os
import re
import signal
import threading
from pathlib import Path

import proof
from basics import SERIAL, built, wait_for

PASSWORD, OTHER = "Cob-Nut 7 & Hazel", "Not-the-one-9"


def command_lines(stop, seen):
    """Gathers the words of every process of this machine until it is told to stop."""
    while not stop.is_set():
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    for name in ("cmdline", "environ"):
                        seen.add(Path(f"/proc/{entry}/{name}").read_bytes())
                except OSError:
                    continue
        stop.wait(0.002)


def set_password(agent, password=PASSWORD):
    return agent.ctl("server", "password", text=password + "\n")


def shown(agent, cloud=None):
    """(where, bytes) of everything that may be looked at: output of commands, logs, files, a bundle."""
    for words in (["state"], ["state", "--json"], ["config", "show"], ["config", "show", "--json"], ["config", "check"],
                  ["history"], ["history", "--json"], ["doctor", "--json"]):
        done = agent.ctl(*words, expect=None, limit=60)
        yield " ".join(words), (done.stdout + done.stderr).encode()
    archive = agent.world.folder / "bundle.tar.zst"
    agent.ctl("bundle", "--output", archive, limit=60)
    unpacked = agent.world.folder / "bundle"
    unpacked.mkdir()
    agent.world.run(["tar", "--zstd", "-xf", archive, "-C", unpacked])
    archive.unlink()
    folders = [unpacked, agent.config, agent.state_dir, agent.world.folder / "log"]
    if cloud:
        folders.append(cloud.folder)
        for words in (["device", "show", SERIAL], ["device", "show", SERIAL, "--json"], ["device", "list"],
                      ["device", "history", SERIAL, "--json"]):
            yield "hawser-cloud " + " ".join(words), cloud.command(*words).stdout.encode()
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                yield str(path), path.read_bytes()


def assert_hidden(secrets, looks):
    for where, content in looks:
        for secret in secrets:
            assert secret.encode() not in content, f"{where} shows the password"


def test_a_password_lets_the_device_in_and_shows_nowhere(world):
    """[conn-15] The cloud asks for a password: without one `password_required`, with a wrong one `password_wrong`, with the
    right one, set by hawserctl from standard input while the agent runs, the device is in at once, also after a restart; the
    password stands in no log (at level trace), process list, state, configuration, history, bundle, nor at the cloud."""
    cloud = world.cloud(serials=[SERIAL]).start()
    seen, stop = set(), threading.Event()
    watcher = threading.Thread(target=command_lines, args=(stop, seen))
    watcher.start()
    try:
        cloud.command("device", "password", SERIAL, text=PASSWORD + "\n")
        agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=[], log_level="trace").start()
        assert agent.wait_failure("password_required")["cloud_connection_state"] != "Established"
        set_password(agent, OTHER)
        state = agent.wait_failure("password_wrong")
        assert "password_wrong" in json.dumps(state["servers"]), state["servers"]
        said = set_password(agent)
        agent.wait_established()
    finally:
        stop.set()
        watcher.join()
    assert_hidden([PASSWORD, OTHER], [("hawserctl server password", (said.stdout + said.stderr).encode())])
    assert_hidden([PASSWORD, OTHER], [("the process list", each) for each in seen])
    assert_hidden([PASSWORD, OTHER], shown(agent, cloud))
    written = agent.config / "conf.d" / "50-hawserctl.toml"
    assert "password_cipher" in written.read_text() and written.stat().st_mode & 0o077 == 0
    assert agent.ctl("config", "check").stderr == ""
    agent.stop()
    agent.start()
    agent.wait_established()
    agent.ctl("server", "password", "--unset")
    agent.wait_failure("password_required")


def test_only_a_proof_of_the_password_crosses_the_wire(world):
    """[conn-15] What the cloud gets is `pwd`, an HMAC over its own nonce, another with every proof; the password, its
    bare hash and the sealed form stand nowhere in what it was sent."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, log_level="trace")
    set_password(agent)
    agent.start()
    agent.wait_ready()
    cloud.forget_tokens()
    cloud.drop_all()
    agent.wait_ready(limit=40)
    proofs = [seen.data["body"]["proof"] for seen in cloud.record.all("auth") if seen.data["body"].get("proof")]
    given = []
    for each in proofs:
        payload = json.loads(proof.unb64(each.split(".")[1]))
        assert payload["pwd"] == proof.password_proof(PASSWORD, payload["nonce"], SERIAL, payload["jwk"], payload["aud"])
        given.append(payload["pwd"])
    assert len(set(given)) == len(given) >= 2
    written = (agent.config / "conf.d" / "50-hawserctl.toml").read_text()
    cipher = re.search(r"password_cipher = ['\"]([^'\"]+)", written)[1]
    everything = json.dumps([seen.data for seen in cloud.record.all()], default=str)
    assert PASSWORD not in everything and cipher not in everything
    assert_hidden([PASSWORD], shown(agent))


def test_the_sealed_password_opens_on_this_device_only(world):
    """[conn-15] The configuration of another device, copied with its sealed password, opens nothing: a fault that names
    the key and what to do, and no start."""
    first, second = world.agent(1, "", plugins=[], name="first"), world.agent(1, "", plugins=[], name="second")
    for agent in (first, second):
        set_password(agent)
    name = "conf.d/50-hawserctl.toml"
    second.write_config(name, (first.config / name).read_text())
    (second.config / name).chmod(0o600)
    done = world.run([*second.arguments(), "--check"], expect=78)
    said = done.stdout + done.stderr
    assert "cloud.password_cipher" in said and "hawserctl server password" in said, said
    assert PASSWORD not in said
    world.run([*first.arguments(), "--check"])


def test_a_plain_password_counts_in_a_private_file_only(world):
    """[conn-15] A plain `password` works with a warning from a file of mode 0600; readable by others it is a fault, of
    which no word shows the password; SIGHUP after chmod keeps the old configuration."""
    cloud = world.cloud(serials=[SERIAL]).start()
    cloud.command("device", "password", SERIAL, text=PASSWORD + "\n")
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=[])
    agent.write_config("conf.d/20-password.toml", f'[cloud]\npassword = "{PASSWORD}"\n')
    file = agent.config / "conf.d" / "20-password.toml"
    file.chmod(0o644)
    done = world.run([*agent.arguments(), "--check"], expect=78)
    assert "20-password.toml" in done.stdout + done.stderr and PASSWORD not in done.stdout + done.stderr
    file.chmod(0o600)
    agent.start()
    agent.wait_established()
    warning = agent.program.wait_line(r"20-password\.toml:2:\d+: cloud\.password")
    assert "warn" in warning and PASSWORD not in agent.program.text()
    connected = agent.state()["connected_at"]
    file.chmod(0o644)
    mark = agent.program.mark()
    agent.program.signal(signal.SIGHUP)
    agent.program.wait_line(r"20-password\.toml", since=mark)
    assert agent.wait_established()["connected_at"] == connected
    assert PASSWORD not in agent.program.text()


def test_another_password_touches_the_main_connection_only(world):
    """[conn-25] [conn-15] A password set while everything runs authenticates anew at once; no subconnection is touched."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    before = agent.wait_ready()
    set_password(agent)
    wait_for(lambda: cloud.record.count("connect") == 2, what="a second main connection")
    after = agent.wait_ready()
    assert json.loads(proof.unb64(cloud.record.all("auth")[-1].data["body"]["proof"].split(".")[1]))["pwd"]
    for row in before["subconnections"]:
        assert agent.subconnection(row["service"], after)["since"] == row["since"], row["service"]
        assert cloud.record.count(f"dial:{row['service']}") == 1


def test_the_password_needs_no_running_agent_and_takes_only_good_ones(world):
    """[conn-15] Without an agent it is stored for the next start; an empty one, one of 129 bytes and one with a control
    character are refused without being printed, and the command line takes none."""
    agent = world.agent(1, "", plugins=[])
    set_password(agent)
    before = (agent.config / "conf.d" / "50-hawserctl.toml").read_bytes()
    for bad in ("", "x" * 129, "bell\a"):
        said = agent.ctl("server", "password", text=bad + "\n", expect=1)
        assert said.stderr.count("\n") == 1 and (not bad or bad not in said.stdout + said.stderr)
    assert world.run([built("hawserctl"), "--config", agent.config, "server", "password", "secret"], expect=2)
    assert (agent.config / "conf.d" / "50-hawserctl.toml").read_bytes() == before
