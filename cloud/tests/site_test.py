"""Profiles of sites, plugins to install, and commands for plugins, sdk/protocol.md §4."""

import asyncio
import hashlib
import http.client
import json
import subprocess
import tarfile

import pytest

from device import Device, LIMIT, SERIAL, check, ends, hear, say


def site(cloud, *words, **options):
    return cloud.run("site", *words, **options)


def shown(cloud, name="branch-042"):
    return json.loads(site(cloud, "show", name, "--json").stdout)


def bundle(folder, version="1.0.0", plugin="com.acme.clock", filler=b"\x7fELF"):
    """What a vendor would upload, as far as the cloud looks into it."""
    home = folder / f"{plugin}-{version}"
    home.mkdir(exist_ok=True)
    (home / "plugin.so").write_bytes(filler)
    (home / "manifest.json").write_text(json.dumps({
        "id": plugin, "version": version, "abi": {"major": 1, "minor": 0},
        "services": [{"service": "clock", "protocols": ["acme.clock.v1"]}]}))
    archive, file = folder / "x.tar", folder / f"{plugin}-{version}.hawser"
    with tarfile.open(archive, "w") as tar:
        tar.add(home, arcname=".")
    subprocess.run(["zstd", "-q", "-f", archive, "-o", file], check=True)
    return file


async def connect(device):
    """A main connection from which nothing was read yet: the profile is the first that comes."""
    assert device.authenticate()[0] == 200 and device.register()[0] == 200
    return await device.dial(device.url, "hawser.main.v1", device.token)


async def answer(socket, profile, *plugins, **more):
    message = {"type": "site_profile_result", "id": profile["id"], "revision": profile["revision"],
               "plugins": list(plugins), **more}
    check("site_profile_result", message)
    await say(socket, message)
    await say(socket, {"type": "keepalive", "seq": 1})
    await hear(socket, "keepalive_ack")


def test_a_profile_is_sent_when_a_device_connects_and_at_once_when_it_changes(cloud):
    """[sdk-11] The revision rises by one with each change; a configuration, what enables and what disables go along; the
    device's answer stands in site show, and who did it in its history."""
    config = cloud.folder / "shell.json"
    config.write_text('{"greeting": "ahoy", "deep": {"n": 1}}')
    site(cloud, "set", "branch-042", "--enable", "acme.shell", "--config", f"acme.shell={config}")
    site(cloud, "set", "elsewhere", "--disable", "acme.shell")
    device = Device(cloud)

    async def go():
        main = await connect(device)
        first = await hear(main, "site_profile")
        assert (first["site"], first["revision"]) == ("branch-042", 1)
        assert first["plugins"] == [{"id": "acme.shell", "enabled": True,
                                     "config": {"greeting": "ahoy", "deep": {"n": 1}}}]
        site(cloud, "set", "elsewhere", "--enable", "acme.shell")  # another site's: this device hears nothing of it
        said = site(cloud, "set", "branch-042", "--disable", "acme.shell", "--enable", "acme.probe").stdout
        assert "revision 2; 1 device is told" in said
        second = await hear(main, "site_profile")
        assert second["revision"] == 2 and second["id"] != first["id"]
        assert [(each["id"], each["enabled"]) for each in second["plugins"]] == [("acme.probe", True), ("acme.shell", False)]
        await answer(main, second, {"id": "acme.probe", "state": "refused", "reason": "plugin_missing"},
                     {"id": "acme.shell", "state": "stopped", "reason": "disabled_by_site", "detail": "as asked"})
        await main.close()
    asyncio.run(go())
    entry, = shown(cloud)["devices"]
    assert (entry["serial"], entry["revision"], entry["current"]) == (SERIAL, 2, True)
    assert entry["plugins"][1] == {"id": "acme.shell", "state": "stopped", "reason": "disabled_by_site", "detail": "as asked"}
    text = site(cloud, "show", "branch-042").stdout
    assert "revision 2" in text and "disabled_by_site: as asked" in text and "acme.probe  enabled" in text
    assert "branch-042  revision 2  2 plugins  1 of 1 devices have taken it" in site(cloud, "list").stdout
    history = cloud.run("device", "history", SERIAL).stdout
    assert "site profile of branch-042, revision 2: enable acme.probe, disable acme.shell  by " in history


def test_a_cloud_that_was_put_back_goes_beyond_the_revisions_of_its_devices(cloud):
    """[sdk-11] Where a device answers revision_lower, the next change has a higher revision than the device knows."""
    site(cloud, "set", "branch-042", "--enable", "acme.shell")
    device = Device(cloud)

    async def go():
        main = await connect(device)
        profile = await hear(main, "site_profile")
        await answer(main, {**profile, "revision": 40}, {"id": "acme.shell", "state": "ready"}, reason="revision_lower")
        assert "revision 41" in site(cloud, "set", "branch-042", "--disable", "acme.shell").stdout
        assert (await hear(main, "site_profile"))["revision"] == 41
    asyncio.run(go())


@pytest.mark.parametrize("words, sentence", [
    (["--enable", "shell"], '"shell" is no plugin id, as in "acme.shell"'),
    ([], "say what to change: --enable ID"),
    (["--forget", "acme.shell"], "acme.shell is not in this profile"),
    (["--config", "acme.shell=/nowhere.json"], "/nowhere.json"),
    (["--config", "acme.shell={file}"], "duplicate"),
    (["--config", "acme.shell={large}"], "{large}")], ids=range(6))
def test_a_bad_change_of_a_profile_is_refused_and_nothing_is_changed(cloud, words, sentence):
    """[sdk-11] One sentence with what, where and what to do; the profile keeps its revision."""
    site(cloud, "set", "branch-042", "--enable", "acme.probe")
    file, large = cloud.folder / "twice.json", cloud.folder / "large.json"
    file.write_text('{"a": 1, "a": 2}')
    large.write_text(json.dumps({"a": "x" * 50_000}))
    done = site(cloud, "set", "branch-042", *(word.format(file=file, large=large) for word in words), expect=1)
    assert done.stderr.count("\n") == 1
    if sentence != "duplicate":
        assert sentence.format(large=large) in done.stderr, done.stderr
    assert shown(cloud)["revision"] == 1
    assert "has no profile" in site(cloud, "show", "nowhere", expect=1).stderr


def test_a_result_that_breaks_its_schema_ends_the_connection(cloud):
    """[cloud-1] As every other message."""
    site(cloud, "set", "branch-042", "--enable", "acme.shell")
    device = Device(cloud)

    async def go():
        main = await connect(device)
        profile = await hear(main, "site_profile")
        await say(main, {"type": "site_profile_result", "id": profile["id"], "revision": 1, "plugins": [{"id": "acme.shell"}]})
        assert await ends(main) == (1008, "policy")
    asyncio.run(go())


def fetch(cloud, url):
    connection = http.client.HTTPSConnection("localhost", cloud.port, context=cloud.tls, timeout=LIMIT)
    connection.request("GET", url[url.index("/hawser/"):])
    got = connection.getresponse()
    return got.status, got.read()


def test_a_bundle_is_uploaded_served_to_who_knows_its_path_and_removed(cloud, tmp_path):
    """[sdk-10] The command names URL and digest; the newest version is taken where none is named; nobody else finds it."""
    older, newer = bundle(tmp_path, "1.9.0"), bundle(tmp_path, "1.10.0", filler=b"x" * 300_000)
    for file in (newer, older):
        assert "uploaded" in cloud.run("plugin", "upload", file).stdout
    assert "is here already" in cloud.run("plugin", "upload", older).stdout
    listed = json.loads(cloud.run("plugin", "list", "--json").stdout)
    assert {each["version"] for each in listed} == {"1.9.0", "1.10.0"}
    device = Device(cloud)

    async def go():
        main, _ = await device.main()
        cloud.run("plugin", "install", SERIAL, "com.acme.clock", "--wait", "0")
        command = await hear(main, "command")
        args = command["args"]
        assert (command["name"], args["plugin"], args["version"]) == ("plugin_install", "com.acme.clock", "1.10.0")
        assert args["url"].startswith("https://") and args["sha256"] == hashlib.sha256(newer.read_bytes()).hexdigest()
        assert fetch(cloud, args["url"]) == (200, newer.read_bytes())
        assert fetch(cloud, args["url"][:-1] + "_")[0] == 404
        assert fetch(cloud, "/hawser/v1/plugin/")[0] == 404
        assert fetch(cloud, "/hawser/v1/plugin/../cloud.db")[0] == 404
        await say(main, {"type": "command_result", "id": command["id"], "ok": False,
                         "error": {"code": "local_policy", "message": "not here"}})
        cloud.run("plugin", "install", "--site", "branch-042", "com.acme.clock", "1.9.0", "--wait", "0")
        assert (await hear(main, "command"))["args"]["version"] == "1.9.0"
        cloud.run("plugin", "remove", "com.acme.clock", "1.10.0")
        assert fetch(cloud, args["url"])[0] == 404
    asyncio.run(go())
    assert not (cloud.folder / "plugins" / "com.acme.clock-1.10.0.hawser").exists()
    history = cloud.run("device", "history", SERIAL).stdout
    assert "install com.acme.clock 1.10.0  by " in history
    assert "answers plugin_install: refused: not here  by the device" in history


def test_what_is_no_bundle_or_another_build_is_not_uploaded(cloud, tmp_path):
    """[sdk-10] A version never changes; hostile archives are refused as on a device."""
    good = bundle(tmp_path)
    cloud.run("plugin", "upload", good)
    other = bundle(tmp_path, filler=b"another build")
    assert "a version never changes" in cloud.run("plugin", "upload", other, expect=1).stderr
    text = tmp_path / "text.hawser"
    text.write_text("no bundle")
    for file in (text, tmp_path / "nowhere.hawser"):
        done = cloud.run("plugin", "upload", file, expect=1)
        assert file.name in done.stderr and done.stderr.count("\n") == 1
    assert "is not uploaded" in cloud.run("plugin", "install", SERIAL, "acme.none", expect=1).stderr
    assert "is not uploaded" in cloud.run("plugin", "remove", "acme.none", "1.0.0", expect=1).stderr


def test_a_plugin_of_one_device_is_enabled_disabled_and_restarted_by_command(cloud):
    """[sdk-10] The three commands, their answers in words, and who gave them in the history."""
    device = Device(cloud)

    async def go():
        main, _ = await device.main()
        for verb in ("enable", "disable", "restart"):
            asked = asyncio.create_task(asyncio.to_thread(
                cloud.run, "device", "plugin", verb, SERIAL, "acme.shell", expect=None))
            command = await hear(main, "command")
            assert (command["name"], command["args"]) == (f"plugin_{verb}", {"plugin": "acme.shell"})
            refused = verb == "restart"
            outcome = {"ok": False, "error": {"code": "not_found", "message": "no such plugin"}} if refused else {
                "ok": True, "result": {"plugin": "acme.shell", "state": "ready"}}
            await say(main, {"type": "command_result", "id": command["id"], **outcome})
            done = await asked
            assert done.returncode == (1 if refused else 0)
            assert ("not done: no such plugin" in done.stderr) if refused else ("acme.shell is ready" in done.stdout)
    asyncio.run(go())
    assert "disable acme.shell  by " in cloud.run("device", "history", SERIAL).stdout
    assert "not connected" in cloud.run("device", "plugin", "enable", SERIAL, "acme.shell").stdout
