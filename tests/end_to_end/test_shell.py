"""The guide's own command line: its procedures and its configuration example, as an operator would paste them."""

import re
import subprocess
from pathlib import Path

import basics
from basics import SERIAL

DATA = Path(__file__).resolve().parent / "data"

LABELS = """Cloud connection state
Device state
Cloud server address
Cloud server domain name
Cloud connection mode
Cloud server authentication port
Cloud server connection port
Connected at
Duration
Process state
Failure reason
Last down reason
Last down at
Last report failure reason
Last report failure at
Dropped packets after reaching buffer limit
Total dropped packets
Last report incomplete reason
Last report incomplete at
Buffer full count""".splitlines()


def shell(agent, text, *, expect=0):
    done = subprocess.run([basics.built("hawserctl"), "--socket", agent.socket, "--config", agent.config,
                           "--state-dir", agent.state_dir, "shell"],
                          input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def checked(agent):
    """The configuration as it stands has no fault."""
    agent.world.run([basics.built("hawserctl"), "--config", agent.config, "--state-dir", agent.state_dir, "config", "check"])


def displayed(text):
    """The 20 lines of the guide: {label: value}; their order and layout are checked."""
    lines = [line for line in text.splitlines() if re.match(r"[A-Z][a-z ]+ : ", line)]
    assert [line[:43].rstrip() for line in lines] == LABELS
    assert all(line[43:46] == " : " for line in lines)
    return {line[:43].rstrip(): line[46:] for line in lines}


def test_the_guides_example_moves_the_device_to_the_server_that_it_names(world):
    """[state-5] [state-1] The configuration example, word for word but for the cloud's name, connects the device, and
    the display has the guide's 20 lines with true values."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, domain="nosuch.invalid", authentication_port=cloud.auth_port,
                        plugins=[]).start()
    agent.wait_state(lambda state: True, what="an agent that answers")
    example = (DATA / "guide_example.txt").read_text()
    assert "oasis.h3c.com" in example
    shell(agent, example.replace("oasis.h3c.com", "localhost"))
    agent.wait_established()
    state = displayed(shell(agent, "<Device> display cloud-management state\n").stdout)
    assert state["Cloud connection state"] == "Established" and state["Device state"] == "Request_success"
    assert state["Cloud server domain name"] == "localhost" and state["Cloud server address"] in ("127.0.0.1", "::1")
    assert state["Cloud connection mode"] == "Https"
    assert state["Cloud server authentication port"] == str(cloud.auth_port)
    assert state["Cloud server connection port"] == str(cloud.port)
    assert re.fullmatch(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}", state["Connected at"])
    assert re.fullmatch(r"00d 00h 00m \d\ds", state["Duration"])
    assert state["Process state"] == "Message received" and state["Failure reason"] == "N/A"
    checked(agent)
    written = (agent.config / "conf.d" / "50-hawserctl.toml").read_text()
    assert "localhost" in written and "nosuch" not in written


def test_the_guides_procedures_run_word_for_word(world):
    """[state-5] Every procedure of the guide, with and without an agent; each value lands in the configuration."""
    agent = world.agent(1, "", plugins=[])
    done = shell(agent, (DATA / "guide_procedures.txt").read_text(), expect=1)
    assert done.stderr.count("hawserctl: line") == 1 and "no agent is running" in done.stderr, "only display needs an agent"
    written = (agent.config / "conf.d" / "50-hawserctl.toml").read_text()
    for part in ("oasis.h3c.com", "oasiscloud.h3c.com", "19443", "443", "127.0.0.1"):
        assert part in written, written
    assert "Hello-ADWAN-1" not in written, "the password stands in the clear"
    checked(agent)
    agent.start()
    agent.wait_state(lambda state: True, what="an agent that answers")
    running = shell(agent, (DATA / "guide_procedures.txt").read_text())
    displayed(running.stdout)
    assert "Hello-ADWAN-1" not in running.stdout + running.stderr


def test_the_guides_second_procedure_unbinds_the_device(world):
    """[state-5] [conn-16] "Unbinding the device from the cloud server", word for word but for the code: a wrong code is
    named with its line and changes nothing, that of the cloud lets the device go, so that another user can add it."""
    procedure = (DATA / "guide_unbinding.txt").read_text()
    assert procedure.endswith("cloud-management unbinding-code code\n")
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=[]).start()
    agent.wait_established()
    refused = shell(agent, procedure.replace(" code\n", " AAAA2222\n"), expect=1)
    assert refused.stderr.startswith("hawserctl: line 5: ") and "wrong" in refused.stderr, refused.stderr
    assert agent.wait_established()["last_down_reason"] is None
    code = cloud.command("unbinding-code", SERIAL).stdout.strip()
    shell(agent, procedure.replace(" code\n", f" {code}\n"))
    agent.wait_state(lambda state: state["last_down_reason"] == "unbound", what="unbound")
    assert SERIAL not in cloud.command("device", "list").stdout
    cloud.add(SERIAL)
    agent.ctl("reset")
    agent.wait_established()


def test_every_line_is_run_and_those_that_fail_are_named(world):
    """[state-5] A wrong line is a sentence with its number and the nearest command; the others are run, and the exit is
    1."""
    agent = world.agent(1, "", plugins=[])
    done = shell(agent, "cloud-management keepalive 60\nsystem-view\ncloud-management keepalife 60\n"
                        "cloud-management keepalive interval 61\ncloud-management ping 1000\n"
                        "cloud-management server domain a.example port 70000\nquit\nquit\nnever read\n", expect=1)
    lines = done.stderr.splitlines()
    assert len(lines) == 4, done.stderr
    assert lines[0] == "hawserctl: line 1: this command belongs to the system view: type system-view first"
    assert lines[1].startswith('hawserctl: line 3: "keepalife" is not understood here; the nearest command is: '
                               "cloud-management keepalive ")
    assert lines[2].startswith("hawserctl: line 5: ") and "1000" in lines[2] and "600" in lines[2]
    assert lines[3].startswith("hawserctl: line 6: ") and "70000" in lines[3] and "65535" in lines[3]
    written = (agent.config / "conf.d" / "50-hawserctl.toml").read_text()
    assert "61" in written and "1000" not in written and "a.example" not in written


def test_the_same_name_adds_a_port_and_another_replaces_the_primary(world):
    """[state-5] A repeated server command with the same name adds a port, with another name replaces the primary; undo
    takes back."""
    agent = world.agent(1, "", plugins=[])
    file = agent.config / "conf.d" / "50-hawserctl.toml"
    shell(agent, "system-view\ncloud-management server domain a.example port 1\n"
                 "cloud-management server domain A.example port 2\n"
                 "cloud-management backup-server domain b.example port 3\n")
    assert re.search(r"ports\s*=\s*\[\s*2,\s*1\s*\]", file.read_text()), file.read_text()
    shell(agent, "system-view\ncloud-management server domain c.example\nundo cloud-management backup-server domain b.example\n"
                 "cloud-management ping 30\nundo cloud-management ping\n")
    text = file.read_text()
    assert "c.example" in text and "a.example" not in text.lower().replace("c.example", "") and "b.example" not in text
    checked(agent)
