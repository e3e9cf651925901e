"""A plugin that needs what the operator does not grant it."""

import json
import os

import pytest
from test_config_push import Site, file

PLUGIN = "hawser.config_push"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files for root can be given by root only")


def narrowed(world, permissions):
    """A site whose config_push has no more than these permissions."""
    cloud = world.scripted_cloud()
    site = Site(world, cloud, cloud.auth_port, world.authority.file)
    path = site.agent.config / "plugins.d" / f"{PLUGIN}.toml"
    before = site.agent.subconnection("config_push")["host_pid"]
    path.write_text(f"permissions = {json.dumps(permissions)}\n" + path.read_text())
    site.agent.ctl("config", "reload")
    site.agent.wait_state(lambda state: site.agent.subconnection("config_push", state).get("host_pid") not in (None, before)
                          and site.agent.subconnection("config_push", state)["state"] == "ready", 20, "another host")
    return site


def test_without_its_action(world):
    """[B57] [state-6] Without its action a revision that wants it is refused or put back whole, the cloud reads which
    permission is missing and in which file, and one that needs no action passes."""
    site = narrowed(world, ["file.write:config:/allowed"])
    site.push("r1", [file(site.a, "new\n"), file(site.b, "new\n")])
    status = site.wait_status("r1", "rolled_back", "failed", "rejected")
    assert "has no permission action:seen" in status["detail"] and f"{PLUGIN}.toml" in status["detail"], status
    assert site.a.read_text() == "one\ntwo\n" and not site.b.exists() and not site.reloads()
    site.push("r2", [file(site.a, "new\n")], reload=[])
    site.wait_status("r2", "confirmed")


def test_without_its_files(world):
    """[B57] [iso-7] [state-6] Without the permission to write, nothing is written and the rest goes on; `plugin show` says
    what is not granted, and by which file."""
    site = narrowed(world, ["action:*"])
    host = site.agent.host_of("config_push")
    shown = site.agent.ctl("plugin", "show", PLUGIN).stdout
    assert "not granted: it is not in permissions of" in shown and f"{PLUGIN}.toml" in shown, shown
    site.push("r1", [file(site.a, "new\n")])
    status = site.wait_status("r1", "failed", "rejected", "rolled_back")
    assert status["reason"] and status["detail"], status
    assert site.a.read_text() == "one\ntwo\n" and not site.reloads()
    site.agent.wait_ready()
    assert site.agent.host_of("config_push") == host
