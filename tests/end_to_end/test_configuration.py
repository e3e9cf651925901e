"""What a person gets for a wrong configuration, a wrong command, and a second start."""

import re

from basics import built

BROKEN = """\
[device]
serial = "has a space"
[cloud]
authentication_port = 0
[[cloud.server]]
role = "primary"
domain = "https://oasis.example.com/path"
ports = [1, 2, 3, 4]
[cloud.keepalive]
interval = "9s"
count = 0
[cloud.ping]
intervall = "60s"
[cloud.tls]
ca_file = "/nowhere/ca.pem"
"""


def checked(world, text, expect=78):
    agent = world.agent(1, "", plugins=[])
    agent.write_config("hawser.toml", text)
    done = world.run([*agent.arguments(), "--check"], expect=expect)
    return agent, (done.stdout + done.stderr).splitlines()


def test_every_fault_is_named_in_one_go(world):
    """[B6] [B8] [B12] [B13] A wrong configuration: every fault as file:line:column: key: what is wrong, exit 78,
    nothing started."""
    agent, lines = checked(world, BROKEN)
    for line_number, key in ((2, "device.serial"), (4, "cloud.authentication_port"), (7, "domain"), (8, "ports"),
                             (10, "cloud.keepalive.interval"), (11, "cloud.keepalive.count"), (13, "intervall"),
                             (15, "cloud.tls.ca_file")):
        pattern = rf"hawser\.toml:{line_number}:\d+: [^:]*{re.escape(key)}[^:]*: .+"
        assert any(re.search(pattern, line) for line in lines), (pattern, lines)
    started = world.start("broken", agent.arguments())
    assert started.wait_end() == 78
    assert "cloud.keepalive.count" in started.text()
    assert not (agent.state_dir / "device.key").exists() and not agent.socket.exists()


def test_a_syntax_error_is_placed(world):
    """[B5] A syntax error names file, line and column, exit 78."""
    _, lines = checked(world, '[device]\nserial = "A\n')
    assert any(re.search(r"hawser\.toml:2:\d+: ", line) for line in lines), lines


def test_a_missing_configuration_is_named(world):
    """[B1] A folder without hawser.toml is named, exit 78."""
    done = world.run([built("hawserd"), "--check", "--config", world.folder / "nowhere"], expect=78)
    assert "hawser.toml" in done.stdout + done.stderr


def test_a_good_configuration_passes_the_check(world):
    """--check exits 0 for a good configuration and starts nothing."""
    agent = world.agent(1, world.authority.file, plugins=[])
    world.run([*agent.arguments(), "--check"], expect=0)
    assert not agent.state_dir.exists() or not list(agent.state_dir.iterdir())


def test_a_usage_error_is_64(world):
    """[B22] An unknown option is a usage error: 64 for the daemons, 2 for hawserctl."""
    world.run([built("hawserd"), "--no-such-option"], expect=64)
    world.run([built("hawser-cloud"), "no-such-command"], expect=64)
    world.run([built("hawserctl"), "no-such-command"], expect=2)


def test_help_and_version(world):
    """Every program explains itself with --help and says its version."""
    for program in ("hawserd", "hawserctl", "hawser-cloud"):
        assert "--help" in world.run([built(program), "--help"]).stdout
    assert re.search(r"\d+\.\d+\.\d+", world.run([built("hawserd"), "--version"]).stdout)
    assert re.search(r"\d+\.\d+\.\d+", world.run([built("hawserctl"), "version"]).stdout)


def test_a_second_instance_is_turned_away(world):
    """[F89] A second hawserd with the same folders exits 75 and names the first; the first goes on."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    second = world.start("second", agent.arguments())
    assert second.wait_end() == 75
    assert str(agent.program.pid) in second.text() or "another" in second.text()
    assert agent.wait_established()["cloud_connection_state"] == "Established"
    assert cloud.record.count("connect") == 1


def test_no_agent_is_exit_3(world):
    """[state-1] hawserctl without a running agent exits 3 and names the socket."""
    agent = world.agent(1, "", plugins=[])
    done = agent.ctl("state", expect=3)
    assert "control.sock" in done.stderr + done.stdout


def test_the_cloud_names_its_faults_too(world):
    """[cloud-1] hawser-cloud --check exits 78 with file and line for a wrong cloud.toml, and 0 for the one of init."""
    cloud = world.cloud()
    world.run([built("hawser-cloud"), "serve", "--config", cloud.config, "--check"], expect=0)
    cloud.config.write_text(cloud.config.read_text() + "\n[nonsense]\nx = 1\n")
    done = world.run([built("hawser-cloud"), "serve", "--config", cloud.config, "--check"], expect=78)
    assert re.search(r"cloud\.toml:\d+:\d+: ", done.stdout + done.stderr)


def test_a_state_folder_that_others_can_change_is_refused(world):
    """B18: hawserd starts neither with a relative --state-dir (exit 64) nor with one below a folder that everybody may
    write to (exit 78), says which folder and what to do, and makes nothing there; a sticky one serves."""
    agent = world.agent(1, "", plugins=[])
    plain = agent.arguments()

    def refused(state_dir, code):
        words = [state_dir if word == agent.state_dir else word for word in plain]
        done = world.run(words, expect=code)
        assert len(done.stderr.splitlines()) == 1, done.stderr
        return done.stderr
    assert 'is "state", must be an absolute path' in refused("state", 64)
    shared = world.folder / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    told = refused(shared / "state", 78)
    assert f"{shared} has mode 0777" in told and "chmod go-w it" in told, told
    assert not (shared / "state").exists()
    shared.chmod(0o1777)
    agent.state_dir = shared / "state"
    agent.start()
    agent.wait_state(lambda state: True, what="an agent that answers")


def test_a_file_that_is_emptied_stops_no_agent(world):
    """B2: hawser.toml is cut to nothing below a running agent, as a full disk does it: the reload is refused with a
    sentence, and the agent stays with its cloud and its old settings."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    before = agent.wait_established()
    agent.write_config("hawser.toml", "")
    agent.write_config("conf.d/10-serial.toml", '[device]\nserial = ""\n')  # also where the hardware names one
    refused = agent.ctl("config", "reload", expect=1)
    assert "device.serial" in refused.stderr, refused.stderr
    after = agent.state()
    assert after["connected_at"] == before["connected_at"] and after["serial"] == before["serial"]
    assert "device.serial" in after["refused_config_detail"], after["refused_config_detail"]
    assert cloud.record.count("main:end") == 0
