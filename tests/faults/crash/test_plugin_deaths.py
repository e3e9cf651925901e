"""A plugin's process ends in the middle of something: of a request, of a message, of an exchange of its configuration."""

import os
import signal

import basics
import pytest
from basics import SERIAL, wait_for
from delivery import PLUGIN, Delivery
from gallery import ROGUE, SERVICES, Gallery
from test_config_push import Site, file

DEATHS = 3  # five failures would be quarantine
SLICE = 4096
WHOLE = 50_000


@pytest.mark.skipif(os.geteuid() != 0, reason="files for root can be given by root only")
def test_in_the_middle_of_a_request(world):
    """[F71] kill -9 of a host while its plugin works on what the cloud asked for: the cloud is told that it was cut short,
    nothing is half done, the host starts again after its wait, and no other service is touched."""
    cloud = world.scripted_cloud()
    site = Site(world, cloud, cloud.auth_port, world.authority.file)
    hold, began = world.folder / "hold", world.folder / "began"
    hold.touch()
    (world.folder / "reload").write_text(f'#!/bin/sh\necho >>"{began}"\nwhile [ -e "{hold}" ]; do sleep 0.05; done\n')
    before = site.agent.state()
    site.push("r1", [file(site.a, "half\n"), file(site.b, "new\n")])
    wait_for(began.exists, 20, "the reload runs")
    killed = site.agent.kill_host("config_push")
    hold.unlink()
    status = site.wait_status("r1", "rolled_back", "failed", limit=30)
    assert status["state"] == "rolled_back" and status["reason"] == "agent_restarted", status
    assert site.a.read_text() == "one\ntwo\n" and not site.b.exists()
    state = site.agent.wait_ready()
    assert site.agent.subconnection("config_push", state)["restarts"] == 1
    assert site.agent.subconnection("config_push", state)["host_pid"] != killed
    assert "SIGKILL" in "".join(line for line in site.agent.program.lines() if "process " + str(killed) in line)
    for service in ("monitoring", "log_upload"):
        was, now = site.agent.subconnection(service, before), site.agent.subconnection(service, state)
        assert [was[key] for key in ("host_pid", "since")] == [now[key] for key in ("host_pid", "since")], service
    site.push("r2", [file(site.a, "whole\n")])
    site.wait_status("r2", "confirmed")


def test_in_the_middle_of_being_configured(world):
    """[F71] kill -9 of a host that has not answered to its new configuration yet: the reload waits for nobody, and the
    next host starts with the new one."""
    if not (basics.BUILD / "plugins" / ROGUE).is_dir():
        pytest.skip("the gallery's plugins are not built")
    house = Gallery(world).open()
    house.loose("nothing")
    pid = house.wait_plugin(lambda row: row["state"] == "ready", "ready")["pid"]
    os.kill(pid, signal.SIGSTOP)  # so that the question lies in its channel, unread
    house.agent.write_config(f"plugins.d/{ROGUE}.toml", '[config]\ndo = "nothing"\nnew = true\n')
    house.agent.ctl("config", "reload", limit=5)
    os.kill(pid, signal.SIGKILL)
    row = house.wait_plugin(lambda row: row["state"] == "ready" and row["pid"] != pid, "started again")
    assert row["restarts"] == 1
    assert "SIGKILL" in house.wait_told("killed")
    assert house.agent.ctl("config", "reload").returncode == 0
    house.judge()


def test_in_the_middle_of_a_message(world):
    """[F76] The way to the cloud stands still inside a message, and the host is killed: what the cloud stores is whole, and
    the message that was cut comes once."""
    cloud = world.cloud(serials=[SERIAL])
    proxy = world.proxy(cloud.port)
    cloud.advertise(proxy.port)
    delivery = Delivery(world, period_ms=20, burst=1, bytes_max=800_000)  # nearly always it is inside one of these
    cloud.start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=[PLUGIN], plugin_dir=delivery.plugins(),
                        plugin_files=delivery.files(), log_level="info").start()
    for death in range(1, DEATHS + 1):
        agent.wait_ready(["log_upload"])
        stored = sum(delivery.claims("K").values())
        wait_for(lambda: sum(delivery.claims("K").values()) > stored, 20, "messages are acknowledged")
        proxy.slice_bytes = SLICE
        passed = proxy.to_target
        wait_for(lambda: proxy.to_target > passed + SLICE, 20, "a message is under way")
        proxy.stall()
        agent.wait_state(lambda state: agent.subconnection("log_upload", state)["queued_messages"] > 3, 20,
                         "messages wait behind the one that stands still")
        agent.kill_host("log_upload")
        proxy.resume()
        proxy.slice_bytes = 0
        agent.wait_state(lambda state: agent.subconnection("log_upload", state).get("restarts") == death, 20, "another host")
    delivery.pause()
    wait_for(delivery.drained, 60, "everything is acknowledged")
    verdict = delivery.judge(cloud)
    assert verdict.good() and verdict.runs == DEATHS + 1, (verdict.rows(), verdict.complaints[:20])


def test_exit_in_the_middle_of_a_message(world):
    """[F76] A plugin calls exit(0) while its host sends and the cloud does not read: the end is told as an exit, and of the
    frame that was cut the cloud takes nothing."""
    if not (basics.BUILD / "plugins" / ROGUE).is_dir():
        pytest.skip("the gallery's plugins are not built")
    house = Gallery(world).open()
    house.loose("exit_mid_message", messages=400, bytes=WHOLE)
    house.cloud.record.wait("resume:rogue")
    house.cloud.stop_reading("rogue")
    house.cloud.send_text("rogue", {"type": "now"})
    assert "code 0" in house.wait_told("exited")
    house.cloud.read_on("rogue")
    house.cloud.record.wait("end:rogue")
    sizes = [seen.data["size"] for seen in house.cloud.record.all("data:rogue")]
    assert set(sizes) == {WHOLE} and len(sizes) < 400, sizes
    house.wait_plugin(lambda row: row["restarts"] >= 1, "started again")
    house.judge()
