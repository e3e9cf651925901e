"""Only plugins that a trusted key signed are loaded, by their real programs and the vendors' stock tool."""

import json
import os
import shutil
import subprocess

import basics
import pytest
from test_history import history
from test_plugins import listed

PLUGIN = "hawser.monitoring"


class Vendor:
    """Plugins in a folder of their own, a key, and what an operator writes down about it."""

    def __init__(self, world):
        self.folder, self.secret = world.folder / "signed", world.folder / "vendor.key"
        self.public = world.folder / "vendor.pub"
        self.run("minisign", "-G", "-W", "-p", self.public, "-s", self.secret)

    @property
    def key_id(self):
        """As minisign prints it: without leading zeros."""
        return self.public.read_text().splitlines()[0].split()[-1]

    def run(self, *words):
        subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=30, umask=0o022)

    def ship(self, plugin, signed=True):
        shutil.copytree(basics.built_plugins() / plugin, self.folder / plugin)
        home = next((self.folder / plugin).iterdir())
        if signed:
            self.run(basics.built("hawser-plugin"), "pack", home)
            self.run("minisign", "-S", "-W", "-s", self.secret, "-m", home / "manifest.json")
        return home

    def be_trusted(self, agent, ids='["hawser.*"]'):
        (agent.config / "trust.d").mkdir(mode=0o755, exist_ok=True)
        shutil.copy(self.public, agent.config / "trust.d")
        agent.write_config("trust.d/vendor.toml", f"ids = {ids}\n")
        for path in (agent.config, *(agent.config / "trust.d").iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.fixture
def vendor(world):
    return Vendor(world)


def make_agent(world, vendor, plugins, **options):
    world.cloud = world.scripted_cloud()
    return world.agent(world.cloud.auth_port, world.authority.file, plugins=plugins, plugin_dir=vendor.folder, **options)


def entry(agent, plugin=PLUGIN):
    return json.loads(agent.ctl("plugin", "show", plugin, "--json").stdout)


def test_what_a_trusted_key_signed_runs_and_the_rest_is_refused(world, vendor):
    """[sdk-9] [B54] Signed runs, unsigned does not; list and show name the rule and the remedy."""
    vendor.ship(PLUGIN)
    home = vendor.ship("hawser.config_push", signed=False)
    agent = make_agent(world, vendor, [PLUGIN, "hawser.config_push"], development_mode=False)
    vendor.be_trusted(agent)
    agent.start()
    state = agent.wait_ready(("monitoring",))
    assert state["development_mode"] is False and "DEVELOPMENT" not in agent.ctl("state").stdout
    assert int(entry(agent)["signed_by"], 16) == int(vendor.key_id, 16)
    refused = entry(agent, "hawser.config_push")
    assert (refused["state"], refused["reason"], refused["signed_by"]) == ("refused", "signature_refused", None)
    assert f"{home}/manifest.json.minisig is not there: the plugin is not signed; have its vendor sign it" in refused["detail"]
    assert "the plugin is not signed; have its vendor sign it" in listed(agent, "hawser.config_push")
    names = {row["service"] for row in world.cloud.record.all("register")[0].data["body"]["services"]}
    assert names == {"monitoring"}


def test_a_library_that_is_swapped_after_the_check_is_never_loaded(world, vendor):
    """[sdk-9] [S18] Every host gets the bytes that were checked, also one that is started after the file was swapped; an asked
    restart looks at the file again, and refuses it."""
    home = vendor.ship(PLUGIN)
    agent = make_agent(world, vendor, [PLUGIN], development_mode=False)
    vendor.be_trusted(agent)
    agent.start()
    agent.wait_ready(("monitoring",))
    swapped = home / "plugin.so.new"
    swapped.write_bytes(b"another library")
    os.rename(swapped, home / "plugin.so")
    old = agent.kill_host("monitoring")
    agent.wait_state(lambda state: agent.subconnection("monitoring", state)["host_pid"] not in (None, old) and
                     agent.subconnection("monitoring", state)["state"] == "ready", what="the checked bytes in a new host")
    done = agent.ctl("plugin", "restart", PLUGIN, expect=1)
    assert "plugin.so is not the file that was signed: its sha256 is " in done.stderr, done.stderr
    assert entry(agent)["state"] == "ready", "what runs goes on running"


@pytest.mark.parametrize("name, text, sentence", [
    ("vendor.toml", 'ids = ["com.example.*"]\n', f"is of {PLUGIN}, which key "),
    ("vendor.toml", 'ids = ["hawser.*"]\nuntil = "2020-12-31"\n', "which was good until 2020-12-31"),
    ("revoked.toml", 'keys = ["KEY"]\n', "revoked.toml revokes"),
    ("vendor.pub", "untrusted comment: none\nRWQ=\n", "which is not trusted: put the vendor's public key"),
], ids=["ids", "expired", "revoked", "damaged"])
def test_what_the_operator_says_of_a_key_counts(world, vendor, name, text, sentence):
    """[sdk-9] A key for other ids, one that has ended, one that is revoked, one that cannot be read."""
    vendor.ship(PLUGIN)
    agent = make_agent(world, vendor, [PLUGIN], development_mode=False)
    vendor.be_trusted(agent)
    agent.write_config(f"trust.d/{name}", text.replace("KEY", vendor.key_id))
    agent.start()
    basics.wait_for(lambda: agent.state(), 10, "an answer")
    shown = entry(agent)
    assert (shown["state"], shown["reason"]) == ("refused", "signature_refused")
    assert sentence in shown["detail"], shown["detail"]


def test_development_mode_is_seen_and_comes_and_goes_live(world, vendor):
    """[sdk-9] [conn-25] [state-2] Development mode loads what nobody signed, state says so, history each time that it
    begins, and a reload ends it; a signed plugin does not notice."""
    vendor.ship(PLUGIN, signed=False)
    vendor.ship("hawser.config_push")
    agent = make_agent(world, vendor, [PLUGIN, "hawser.config_push"])
    vendor.be_trusted(agent)
    agent.start()
    before = agent.wait_ready(("monitoring", "config_push"))
    assert before["development_mode"] is True
    assert "DEVELOPMENT MODE" in agent.ctl("state").stdout
    signed_host = agent.host_of("config_push")
    agent.write_config("conf.d/60-trust.toml", "[plugins]\ndevelopment_mode = false\n")
    agent.ctl("config", "reload")
    basics.wait_for(lambda: entry(agent)["reason"] == "signature_refused", 15, "the unsigned one refused")
    assert agent.state()["development_mode"] is False
    agent.write_config("conf.d/60-trust.toml", "[plugins]\ndevelopment_mode = true\n")
    agent.ctl("config", "reload")
    agent.wait_ready(("monitoring", "config_push"))
    assert agent.host_of("config_push") == signed_host
    told = [event["detail"] for event in history(agent) if event["kind"] == "security"]
    assert len(told) == 2 and all("plugins that nobody signed are loaded" in each for each in told), told
