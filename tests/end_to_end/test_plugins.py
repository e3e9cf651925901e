"""Plugins that cannot run are refused by themselves, and the rest runs."""

import json
import shutil

import basics
from basics import SERVICES

GOOD = ("hawser.monitoring", "hawser.config_push", "hawser.log_upload")


def plugin_folder(world, **broken):
    """The three good plugins and some broken ones: name -> (manifest or None, library: path, bytes or None)."""
    folder = world.folder / "plugins"
    for plugin in GOOD:
        shutil.copytree(basics.built_plugins() / plugin, folder / plugin)
    for name, (manifest, library) in broken.items():
        home = folder / f"acme.{name}" / "1.0.0"
        home.mkdir(parents=True)
        if manifest is not None:
            (home / "manifest.json").write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
        if isinstance(library, bytes):
            (home / "plugin.so").write_bytes(library)
        elif library is not None:
            shutil.copy(library, home / "plugin.so")
    return folder


def manifest(name, major=1):
    return {"id": f"acme.{name}", "version": "1.0.0", "abi": {"major": major, "minor": 0},
            "services": [{"service": f"acme_{name}", "protocols": [f"acme.{name}.v1"]}], "permissions": []}


def good_library(world):
    return next((basics.built_plugins() / "hawser.monitoring").glob("*/plugin.so"))


def listed(agent, plugin):
    """The line of `hawserctl plugin list` about a plugin."""
    lines = [line for line in agent.ctl("plugin", "list").stdout.splitlines() if plugin in line]
    assert lines, f"{plugin} is not listed"
    return " ".join(lines)


def test_broken_plugins_are_refused_and_the_rest_runs(world):
    """[B51] [B53] A missing file or manifest, a .so without the symbol, another ABI: each refused with a sentence; the
    rest runs."""
    no_symbol = basics.built("no_symbol.so")
    folder = plugin_folder(
        world,
        nofile=(manifest("nofile"), None),
        nomanifest=(None, good_library(world)),
        nosymbol=(manifest("nosymbol"), no_symbol),
        otherabi=(manifest("otherabi", major=2), good_library(world)),
        notelf=(manifest("notelf"), b"#!/bin/sh\necho no library\n"),
        nojson=("{", good_library(world)),
        otherid=(manifest("somebody"), good_library(world)),
        stranger=(manifest("stranger"), good_library(world)))
    enabled = [*GOOD, "acme.missing", *(f"acme.{name}" for name in
                                        ("nofile", "nomanifest", "nosymbol", "otherabi", "notelf", "nojson", "otherid",
                                         "stranger"))]
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=enabled, plugin_dir=folder).start()
    agent.wait_ready()
    words = {"missing": "not installed", "nofile": "plugin.so", "nomanifest": "manifest", "nosymbol": "hawser_plugin_v1",
             "otherabi": "abi", "notelf": "", "nojson": "manifest.json", "otherid": "id is", "stranger": "calls itself"}
    for name, word in words.items():
        basics.wait_for(lambda: "refused" in listed(agent, f"acme.{name}"), 10, f"acme.{name} refused")
        line = listed(agent, f"acme.{name}")
        assert word.lower() in line.lower() and len(line.split()) > 6, line
    for plugin in GOOD:
        assert "ready" in listed(agent, plugin)
    agent.wait_ready()
    names = {row["service"] for row in cloud.record.all("register")[0].data["body"]["services"]}
    assert set(SERVICES) <= names and "acme_otherabi" not in names and "acme_nofile" not in names


def test_plugin_list_shows_what_runs(world):
    """`hawserctl plugin list` names each plugin with version and state; --json is an object a script can read."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    agent.wait_ready()
    for plugin in GOOD:
        assert "ready" in listed(agent, plugin)
    json.loads(agent.ctl("plugin", "list", "--json").stdout)


def test_a_restart_touches_only_its_plugin(world):
    """`hawserctl plugin restart` gives one plugin a new host; the others keep theirs."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    before = agent.wait_ready()
    agent.ctl("plugin", "restart", "hawser.monitoring")
    old = agent.subconnection("monitoring", before)["host_pid"]
    after = agent.wait_state(lambda state: agent.subconnection("monitoring", state).get("state") == "ready" and
                             agent.subconnection("monitoring", state)["host_pid"] != old, what="a new host")
    for service in ("config_push", "log_upload"):
        assert agent.subconnection(service, before)["host_pid"] == agent.subconnection(service, after)["host_pid"]
    assert cloud.record.count("main:end") == 0


def test_a_refused_plugin_configuration_is_said(world):
    """A plugin that refuses its configuration is shown with its own sentence; the rest runs."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file,
                        plugin_files={"hawser.monitoring": '[config]\ninterval = "often"\n'}).start()
    agent.wait_ready(("config_push", "log_upload"))
    basics.wait_for(lambda: "refused" in listed(agent, "hawser.monitoring"), 10, "hawser.monitoring refused")
    assert "interval" in listed(agent, "hawser.monitoring")
