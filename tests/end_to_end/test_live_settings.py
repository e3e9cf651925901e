"""Servers, intervals and the place in the list, changed by hawserctl while everything runs."""

import pytest

from basics import SERVICES
from program import SLOWNESS


def moored(world, **options):
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, **options).start()
    agent.wait_ready()
    return cloud, agent


def test_another_interval_registers_anew(world):
    """[conn-25] A changed keepalive interval is registered at once, without a restart; no subconnection is touched."""
    cloud, agent = moored(world)
    agent.ctl("keepalive", "interval", "20")
    second = cloud.record.wait("register", 2)
    assert second.data["body"]["keepalive_s"] == 20
    assert cloud.record.wait("main:end").data["code"] == 1000
    agent.wait_ready()
    for service in SERVICES:
        assert cloud.record.count(f"dial:{service}") == 1, f"{service} was touched"
    assert "20" in (agent.config / "conf.d" / "50-hawserctl.toml").read_text()


def test_another_ping_interval_is_registered(world):
    """[conn-25] A changed ping interval is registered at once; no subconnection is touched."""
    cloud, agent = moored(world)
    agent.ctl("ping", "interval", "5")
    assert cloud.record.wait("register", 2).data["body"]["ping_s"] == 5
    agent.wait_ready()
    for service in SERVICES:
        assert cloud.record.count(f"dial:{service}") == 1


def test_the_server_moves(world):
    """[conn-25] [conn-10] Another primary server takes the place of the present one: the agent moves, subconnections
    too."""
    cloud, agent = moored(world)
    other = world.scripted_cloud(name="127.0.0.1")
    agent.ctl("server", "set", other.name, "--port", other.auth_port)
    other.record.wait("connect")
    agent.wait_ready()
    for service in SERVICES:
        other.record.wait(f"dial:{service}")


@pytest.mark.parametrize("interval", ["9", "601", "soon"])
def test_an_interval_out_of_range_changes_nothing(world, interval):
    """[conn-4] An interval that is out of range is refused with the range; nothing changes on disk or at the cloud."""
    cloud, agent = moored(world)
    done = agent.ctl("keepalive", "interval", interval, expect=1)
    assert interval in done.stdout + done.stderr
    assert not (agent.config / "conf.d" / "50-hawserctl.toml").exists() and cloud.record.count("register") == 1


def test_a_boot_in_1970(world):
    """[conn-23] The clock says 1970 at boot: the device moors all the same, and its state says that another time was
    used."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[])
    agent.start(environment={"LD_PRELOAD": "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
                             "FAKETIME": "@1970-01-02 00:00:00", "DONT_FAKE_MONOTONIC": "1", "TZ": "UTC",
                             "PATH": "/usr/bin:/bin"})
    state = agent.wait_state(lambda state: state["cloud_connection_state"] == "Established", limit=20 * SLOWNESS,
                             what="established with a clock in 1970")
    assert state.get("clock_floor_used") is True, {key: state[key] for key in state if "clock" in key}
