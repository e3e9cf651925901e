"""Operators at the cloud drive the plugins of real devices: profiles of sites, installation, commands."""

import contextlib
import hashlib
import json
import socket
import sqlite3
import ssl
import threading

import basics
import pytest
from basics import SERIAL
from clocks import CLOCK, Vendor

SITE = "branch-042"
MONITORING = "hawser.monitoring"


class Bench:
    """A real cloud and a device of it: with the plugins that were built, or with a folder for a vendor's."""

    def __init__(self, world, from_cloud=True, plugins=(MONITORING,), folder=None, **options):
        self.world = world
        self.cloud = world.cloud(serials=[SERIAL]).start()
        self.agent = world.agent(self.cloud.auth_port, self.cloud.ca_file, plugins=list(plugins), plugin_dir=folder,
                                 plugin_files={MONITORING: "[config]\n"}, **options)
        self.allow(from_cloud)

    def allow(self, from_cloud, **keys):
        lines = [f"from_cloud = {json.dumps(from_cloud)}", *(f"{key} = {json.dumps(keys[key])}" for key in keys)]
        self.agent.write_config("conf.d/20-cloud.toml", "[plugins]\n" + "\n".join(lines) + "\n")

    def start(self):
        self.agent.start()
        self.agent.wait_established()
        return self

    def site(self, *words):
        return self.cloud.command("site", "set", SITE, *words)

    def config(self, plugin, value):
        file = self.world.folder / f"{plugin}.json"
        file.write_text(json.dumps(value))
        return f"{plugin}={file}"

    def shown(self):
        return json.loads(self.cloud.command("site", "show", SITE, "--json").stdout)

    def taken(self):
        """What the device answered to the present revision, by plugin."""
        def look():
            self.agent.must_run()
            device, = self.shown()["devices"]
            return {each["id"]: each for each in device["plugins"]} if device["current"] else None
        return basics.wait_for(look, 25, "the device's answer to the present profile")

    def plugins(self):
        done = self.agent.ctl("plugin", "list", "--json", expect=None)
        return {each["id"]: each for each in json.loads(done.stdout)["plugins"]} if done.returncode == 0 else {}

    def wait_plugin(self, plugin, state):
        def look():
            self.agent.must_run()
            found = self.plugins().get(plugin, {})
            return found if found.get("state") == state else None
        return basics.wait_for(look, 25, f"{plugin} {state}")

    def own_config(self, plugin):
        return json.loads(self.agent.ctl("config", "show", "--json").stdout)["plugins.d"][plugin]["config"]

    def history(self):
        return self.agent.ctl("history").stdout


def test_a_profile_stops_a_plugin_at_once_and_lets_it_run_again(world):
    """[sdk-11] Whatever the device's own list says: the stricter wins. Both ends say what was done and why."""
    bench = Bench(world, from_cloud=False).start()
    bench.wait_plugin(MONITORING, "ready")
    bench.site("--disable", MONITORING)
    answer = bench.taken()[MONITORING]
    assert (answer["state"], answer["reason"]) == ("stopped", "disabled_by_site") and "revision 1" in answer["detail"]
    assert not bench.agent.hosts()
    stopped = bench.plugins()[MONITORING]
    assert (stopped["state"], stopped["reason"]) == ("stopped", "disabled_by_site")
    assert "disabled by the site profile" in bench.agent.ctl("plugin", "list").stdout
    assert "site profile, revision 1: disabled" in bench.agent.ctl("plugin", "show", MONITORING).stdout
    assert f"revision 1; {MONITORING} is stopped (disabled by the site profile)" in bench.agent.ctl("state").stdout
    bench.site("--enable", MONITORING)
    assert bench.taken()[MONITORING]["state"] == "ready"
    bench.agent.wait_ready(["monitoring"])
    assert f'profile of site "{SITE}", revision 1: {MONITORING} disabled' in bench.history()
    there = bench.cloud.command("device", "history", SERIAL).stdout
    assert f"site profile of {SITE}, revision 1: disable {MONITORING}  by " in there
    assert f'the cloud\'s profile of site "{SITE}", revision 1: {MONITORING} disabled' in there


def test_the_profile_serves_while_the_cloud_is_away_and_after_a_restart(world):
    """[sdk-11] What was kept is applied before any plugin runs; a damaged file is said, set aside, and mended by the
    cloud's next word."""
    bench = Bench(world, from_cloud=False).start()
    bench.site("--disable", MONITORING)
    bench.taken()
    bench.cloud.stop()
    bench.agent.stop()
    bench.agent.start()
    assert bench.wait_plugin(MONITORING, "stopped")["reason"] == "disabled_by_site"
    assert not bench.agent.hosts() and bench.agent.state()["site_profile"]["revision"] == 1
    bench.agent.stop()
    kept = bench.agent.state_dir / "site_profile"
    kept.write_bytes(kept.read_bytes().replace(b"monitoring", b"monitorinG", 1))
    bench.agent.start()
    bench.wait_plugin(MONITORING, "ready")
    assert (bench.agent.state_dir / "site_profile.broken").exists()
    assert any("site_profile is broken (its digest is wrong)" in line for line in bench.agent.program.lines())
    bench.cloud.start()
    bench.wait_plugin(MONITORING, "stopped")


def test_only_with_from_cloud_the_profile_enables_and_configures(world):
    """[sdk-11] Without it the cloud can stop, and nothing more; with it local keys win over the profile's, and
    plugins.disabled over everything; each is told with the reason."""
    bench = Bench(world, from_cloud=False, plugins=[MONITORING]).start()
    bench.agent.write_config(f"plugins.d/{MONITORING}.toml", '[config]\ninterval = "2s"\n')
    bench.agent.ctl("config", "reload")
    bench.site("--config", bench.config(MONITORING, {"interval": "9s", "interfaces": ["lo"]}),
               "--enable", "hawser.log_upload")
    answer = bench.taken()
    assert (answer[MONITORING]["state"], answer[MONITORING]["reason"]) == ("ready", "local_policy")
    assert (answer["hawser.log_upload"]["state"], answer["hawser.log_upload"]["reason"]) == ("stopped", "local_policy")
    assert bench.own_config(MONITORING) == {"interval": "2s"}
    bench.allow(True)
    bench.agent.ctl("config", "reload")
    bench.wait_plugin("hawser.log_upload", "ready")
    assert bench.own_config(MONITORING) == {"interval": "2s", "interfaces": ["lo"]}
    bench.allow(True, disabled=["hawser.log_upload"])
    bench.agent.ctl("config", "reload")
    assert "plugins.disabled of the device names it" in bench.wait_plugin("hawser.log_upload", "stopped")["detail"]


def test_a_configuration_that_a_plugin_refuses_is_left_out_and_told(world):
    """[sdk-11] It goes on with its own, also after a restart; the cloud reads config_refused."""
    bench = Bench(world).start()
    bench.wait_plugin(MONITORING, "ready")
    bench.site("--config", bench.config(MONITORING, {"interval": "never"}))
    answer = bench.taken()[MONITORING]
    assert (answer["state"], answer["reason"]) == ("ready", "config_refused")
    assert "interval" not in bench.own_config(MONITORING)
    bench.agent.stop()
    bench.agent.start()
    bench.wait_plugin(MONITORING, "ready")
    bench.site("--config", bench.config(MONITORING, {"interval": "3s"}))
    assert bench.taken()[MONITORING]["reason"] == ""
    assert bench.own_config(MONITORING) == {"interval": "3s"}


def test_a_profile_does_not_let_half_edited_files_of_the_device_take_effect(world):
    """[sdk-11] It lies over the configuration in force; a fault on the disk does not keep the cloud from stopping."""
    bench = Bench(world, from_cloud=False).start()
    bench.wait_plugin(MONITORING, "ready")
    bench.agent.write_config("conf.d/30-half.toml", "[plugins]\nenabled = [\n")
    bench.site("--disable", MONITORING)
    assert bench.taken()[MONITORING]["reason"] == "disabled_by_site"
    bench.site("--enable", MONITORING)
    assert bench.taken()[MONITORING]["state"] == "ready"


def test_unbinding_discards_the_profile_and_the_commands(world):
    """[sdk-11] [conn-15] Another owner's cloud begins with nothing of the first one's."""
    bench = Bench(world, from_cloud=False).start()
    bench.site("--disable", MONITORING)
    bench.taken()
    code = bench.cloud.command("unbinding-code", SERIAL).stdout.strip()
    bench.agent.ctl("unbind", code)
    bench.wait_plugin(MONITORING, "ready")
    assert bench.agent.state()["site_profile"] is None
    assert "wanted of the plugins counts no more" in bench.history()


def test_commands_disable_enable_and_restart_a_plugin_of_one_device(world):
    """[sdk-10] Kept over a restart; what the device or its site forbids stays forbidden, with the reason."""
    bench = Bench(world, from_cloud=False).start()
    before = bench.wait_plugin(MONITORING, "ready")["pid"]

    def command(verb, plugin=MONITORING, expect=0):
        return bench.cloud.command("device", "plugin", verb, SERIAL, plugin, expect=expect)
    assert "stopped, disabled_by_cloud" in command("disable").stdout
    assert not bench.agent.hosts()
    bench.agent.stop()
    bench.agent.start()
    bench.agent.wait_established()
    assert bench.wait_plugin(MONITORING, "stopped")["reason"] == "disabled_by_cloud"
    assert f"{MONITORING} is ready" in command("enable").stdout
    pid = bench.plugins()[MONITORING]["pid"]
    command("restart")
    basics.wait_for(lambda: bench.plugins()[MONITORING]["pid"] not in (None, pid, before), 20, "another host")
    refused = command("enable", "hawser.log_upload", expect=1)
    assert "plugins.from_cloud is false" in refused.stderr and "(local_policy)" in refused.stderr
    bench.site("--disable", MONITORING)
    assert "(disabled_by_site)" in command("enable", expect=1).stderr
    assert "(not_found)" in command("restart", "acme.none", expect=1).stderr
    assert f"{MONITORING} is disabled by the cloud (plugin_disable)" in bench.history()
    there = bench.cloud.command("device", "history", SERIAL).stdout
    assert f"disable {MONITORING}  by " in there and "answers plugin_disable: done  by the device" in there


@pytest.fixture
def shop(world):
    """A device that trusts a vendor, and has none of its plugins."""
    folder = world.folder / "plugins"
    folder.mkdir(mode=0o755)
    vendor = Vendor(world)
    bench = Bench(world, plugins=[], folder=folder, development_mode=False)
    vendor.be_trusted(bench.agent)
    bench.vendor, bench.folder = vendor, folder
    return bench.start()


def install(shop, *words, expect=0):
    return shop.cloud.command("plugin", "install", *words, expect=expect, limit=60)


def test_a_plugin_goes_from_the_cloud_to_a_running_device_and_is_upgraded_there(shop):
    """[sdk-10] Uploaded, installed, enabled by the profile, upgraded on probation, and the same once more is no harm."""
    shop.cloud.command("plugin", "upload", shop.vendor.bundle("1.0.0"))
    said = install(shop, SERIAL, CLOCK).stdout
    assert f"{CLOCK} 1.0.0 is installed; the agent says not_enabled" in said
    assert (shop.folder / CLOCK / "1.0.0" / "plugin.so").exists() and not (shop.agent.state_dir / "downloads").exists()
    shop.site("--enable", CLOCK)
    assert shop.taken()[CLOCK]["state"] == "ready"
    shop.cloud.command("plugin", "upload", shop.vendor.bundle("1.1.0"))
    assert "the agent says upgrading" in install(shop, "--site", SITE, CLOCK).stdout
    basics.wait_for(lambda: shop.wait_plugin(CLOCK, "ready")["version"] == "1.1.0", 20, "1.1.0")
    assert "1.1.0 is installed" in install(shop, SERIAL, CLOCK, "1.1.0").stdout
    assert f"{CLOCK} 1.1.0 was installed at the cloud's request" in shop.history()
    older = install(shop, SERIAL, CLOCK, "1.0.0", expect=1)
    assert "is older than the 1.1.0 that is installed" in older.stderr


def test_the_cloud_cannot_widen_what_the_device_trusts(shop):
    """[sdk-9] [sdk-10] Unsigned, also in development mode; by another key; without from_cloud: nothing is installed."""
    shop.cloud.command("plugin", "upload", shop.vendor.bundle("1.0.0", signed=False))
    shop.agent.write_config("conf.d/30-development.toml", "[plugins]\ndevelopment_mode = true\n")
    shop.agent.ctl("config", "reload")
    assert "manifest.json.minisig" in install(shop, SERIAL, CLOCK, expect=1).stderr
    shop.cloud.command("plugin", "remove", CLOCK, "1.0.0")
    shop.cloud.command("plugin", "upload", shop.vendor.bundle("1.0.0"))
    (shop.agent.config / "trust.d" / "vendor.pub").unlink()
    assert "(signature_refused)" in install(shop, SERIAL, CLOCK, expect=1).stderr
    shop.allow(False)
    shop.agent.ctl("config", "reload")
    assert "plugins.from_cloud of the device is false" in install(shop, SERIAL, CLOCK, expect=1).stderr
    assert list(shop.folder.iterdir()) == []


def raw_install(shop, expect=1, **changes):
    """The command as a cloud with other ideas would send it."""
    args = {"plugin": CLOCK, "version": "1.0.0", "sha256": "0" * 64, "url": f"https://localhost:{shop.cloud.port}/x",
            **changes}
    done = shop.cloud.command("device", "command", SERIAL, "plugin_install", "--args", json.dumps(args), "--wait", 20,
                              expect=expect, limit=40)
    return json.loads(done.stdout)


def test_what_the_cloud_names_badly_is_refused_with_a_sentence(shop):
    """[sdk-10] http, no digest, another digest, another version, nothing there: nothing is installed, nothing stays."""
    bundle = shop.vendor.bundle("1.0.0")
    shop.cloud.command("plugin", "upload", bundle)
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    install(shop, SERIAL, CLOCK)
    shop.agent.ctl("plugin", "remove", CLOCK)
    for changes, sentence in ({"url": "http://localhost/x"}, "must begin with https://"), \
            ({"sha256": "abc"}, "64 hexadecimal digits"), ({"plugin": "clock"}, "id of a plugin"), \
            ({"version": "one"}, "must be a version"), ({}, "answers HTTP 404"), \
            ({"url": "https://localhost:1/x"}, "Connection refused"):
        answer = raw_install(shop, **changes)
        assert sentence in answer["message"], answer
    url = f"https://localhost:{shop.cloud.port}/hawser/v1/plugin/" + token_of(shop)
    assert "was asked for" in raw_install(shop, url=url)["message"]
    answer = raw_install(shop, url=url, sha256=digest, version="2.0.0")
    assert f"the bundle holds {CLOCK} 1.0.0, and {CLOCK} 2.0.0 was asked for" in answer["message"]
    assert not (shop.folder / CLOCK).exists() and not (shop.agent.state_dir / "downloads").exists()


def token_of(shop):
    with sqlite3.connect(shop.cloud.folder / "cloud.db") as database:
        return database.execute("SELECT token FROM plugin_bundle").fetchone()[0]


def test_an_operator_on_the_device_has_the_last_word_when_something_is_to_stop(world):
    """[sdk-11] hawserctl plugin disable stops also what the cloud enables, and enable takes that back."""
    bench = Bench(world).start()
    bench.site("--enable", MONITORING)
    assert bench.taken()[MONITORING]["state"] == "ready"
    bench.agent.ctl("plugin", "disable", MONITORING)
    assert bench.wait_plugin(MONITORING, "stopped")["reason"] == "local_policy"
    refused = bench.cloud.command("device", "plugin", "enable", SERIAL, MONITORING, expect=1)
    assert "plugins.disabled of the device names it" in refused.stderr
    bench.agent.ctl("plugin", "enable", MONITORING)
    bench.wait_plugin(MONITORING, "ready")


class Depot:
    """A server of files with the cloud's own certificate, which answers as it is told."""

    def __init__(self, folder):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "server.crt", folder / "server.key")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answer = b""
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                raw, _ = self.listener.accept()
                with contextlib.suppress(OSError), self.context.wrap_socket(raw, server_side=True) as stream:
                    stream.recv(65536)
                    stream.sendall(self.answer)


@pytest.mark.parametrize("answer, sentence", [
    (b"HTTP/1.1 302 Found\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n", "answers HTTP 302"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n", "a body over 65536 KiB"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "ended without close_notify"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nELF!", "was asked for")], ids=["redirect", "large", "cut", "other"])
def test_a_download_that_is_not_what_was_promised_leaves_nothing(shop, answer, sentence):
    """[sdk-10] A redirect is not followed, a body has its limit, half a file and another file are no plugin."""
    depot = Depot(shop.cloud.folder)
    depot.answer = answer
    refused = raw_install(shop, url=f"https://localhost:{depot.port}/x")
    depot.listener.close()
    assert sentence in refused["message"], refused
    assert list(shop.folder.iterdir()) == [] and not (shop.agent.state_dir / "downloads").exists()
