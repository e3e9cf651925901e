"""hawserctl plugin install, enable, disable, remove and verify, with real bundles, beside a running agent and without."""

import io
import json
import os
import subprocess
import tarfile

import basics
import pytest
from clocks import CLOCK, LOCK, Bench


NO_LEAK_CHECK = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}  # it cannot run in a process that is traced
STEPS_MAX = 300  # of one system call in one installation; more would be one that never ends


@pytest.fixture
def bench(world):
    return Bench(world)


def test_a_bundle_is_installed_enabled_disabled_and_removed_while_the_agent_runs(bench):
    """[sdk-10] [sdk-11] From a file to a running plugin and back, no word of it needs a restart of the agent; an
    operator's own files stay as they are."""
    bench.start()
    before = (bench.agent.config / "hawser.toml").read_bytes()
    done = bench.install("1.0.0")
    assert f"{CLOCK} 1.0.0 is installed in {bench.plugins}/{CLOCK}/1.0.0, signed by key" in done.stdout
    assert f"hawserctl plugin enable {CLOCK} lets it run" in done.stdout
    bench.ctl("enable", CLOCK)
    assert bench.runs("1.0.0")["upgrade"] is None
    for path in (bench.plugins / CLOCK).rglob("*"):
        assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (os.geteuid(), 0o755 if path.is_dir() else 0o644)
    refused = bench.ctl("remove", CLOCK, expect=1)
    assert f"it is enabled; disable it first: hawserctl plugin disable {CLOCK}" in refused.stderr
    bench.ctl("disable", CLOCK)
    basics.wait_for(lambda: not bench.agent.hosts(), 10, "its host ended")
    bench.ctl("remove", CLOCK)
    assert bench.installed() == [] and not (bench.plugins / CLOCK).exists() and bench.leftovers() == []
    assert (bench.agent.config / "hawser.toml").read_bytes() == before


def test_a_plugin_is_installed_and_enabled_without_an_agent(bench):
    """[sdk-10] Without an agent it counts from its next start on."""
    assert "No agent is running" in bench.install("1.0.0").stdout
    bench.ctl("enable", CLOCK)
    bench.start()
    bench.runs("1.0.0")


def test_the_same_bundle_twice_changes_nothing_and_a_damaged_plugin_is_mended(bench):
    """[sdk-10] Installing again is the remedy that the refusals name."""
    bench.begin()
    host = bench.show()["pid"]
    assert "is installed already" in bench.install("1.0.0").stdout
    library = bench.plugins / CLOCK / "1.0.0" / "plugin.so"
    good = library.read_bytes()
    library.rename(library.with_suffix(".old"))
    assert "plugin.so" in bench.ctl("verify", library.parent, expect=1).stderr
    assert "is installed in" in bench.install("1.0.0").stdout
    assert library.read_bytes() == good and bench.leftovers() == []
    assert bench.show()["pid"] == host


def test_another_build_of_a_version_and_an_older_version_are_refused(bench):
    """[sdk-10] [B54] A version never changes, and an older one comes only by --allow-older."""
    bench.install("1.1.0")
    assert "holds another build of this version" in bench.install("1.1.0", permissions=["exec"], expect=1).stderr
    older = bench.install("1.0.0", expect=1)
    assert f"{CLOCK} 1.0.0 is older than the 1.1.0 that is installed" in older.stderr
    assert "--allow-older" in older.stderr and bench.installed() == ["1.1.0"]
    bench.install("1.0.0", "--allow-older")
    bench.ctl("enable", CLOCK)
    bench.start()
    bench.runs("1.0.0")
    assert bench.installed() == ["1.0.0", "1.1.0"]


def test_force_removes_what_is_enabled_and_what_runs_goes_on_until_it_ends(bench):
    """[sdk-10] --force is the operator's word; a host keeps the bytes that it began with, and installing again mends it."""
    host = bench.begin()["pid"]
    done = bench.ctl("remove", CLOCK, "--force")
    assert f"{CLOCK} is removed." in done.stdout and "what runs goes on running" in done.stdout
    assert bench.installed() == [] and bench.show()["pid"] == host
    bench.install("1.1.0")
    assert bench.runs("1.1.0")["pid"] != host


def test_two_installations_at_once_do_not_meet(bench):
    """[sdk-10] One at a time: the other is told to try again, and both versions are whole in the end."""
    bundles = [bench.vendor.bundle(version) for version in ("1.0.0", "1.1.0", "2.0.0")]
    words = [str(word) for word in (basics.built("hawserctl"), "--socket", bench.agent.socket, "--config",
                                    bench.agent.config, "--state-dir", bench.agent.state_dir, "--plugin-dir",
                                    bench.plugins, "plugin", "install", "--allow-older")]
    programs = [subprocess.Popen([*words, str(bundle)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                for bundle in bundles * 3]
    for program in programs:
        _, err = program.communicate(timeout=60)
        assert program.returncode == 0 or "another installation or removal" in err, err
    for bundle in bundles:
        bench.ctl("install", bundle, "--allow-older")
    assert bench.installed() == ["1.0.0", "1.1.0", "2.0.0"] and bench.leftovers() == []
    for version in bench.installed():
        bench.ctl("verify", bench.plugins / CLOCK / version)


def tar_of(entries):
    """An archive in memory: (name, content or None for what `change` makes of it, change)."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as tar:
        for name, content, change in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content or b"")
            change(info)
            tar.addfile(info, io.BytesIO(content or b""))
    return memory.getvalue()


def kind(type_, target=""):
    def change(info):
        info.type, info.linkname = type_, target
    return change


def plain(info):
    pass


HOSTILE = {
    "absolute": ([("/etc/cron.d/evil", b"x", plain)], "an absolute path"),
    "dots": ([("data/../../../evil", b"x", plain)], "a path that leaves the plugin's folder"),
    "symlink": ([("plugin.so", None, kind(tarfile.SYMTYPE, "/etc/shadow"))], "a symbolic link; put the file itself there"),
    "link-then-file": ([("data", None, kind(tarfile.SYMTYPE, "/tmp")), ("data/evil", b"x", plain)], "a symbolic link"),
    "hardlink": ([("plugin.so", None, kind(tarfile.LNKTYPE, "/etc/shadow"))], "a hard link"),
    "device": ([("null", None, kind(tarfile.CHRTYPE))], "a device or a pipe"),
    "fifo": ([("pipe", None, kind(tarfile.FIFOTYPE))], "a device or a pipe"),
    "twice": ([("plugin.so", b"1", plain), ("./plugin.so", b"2", plain)], "which stands there twice"),
    "many": ([(f"d{i}", None, kind(tarfile.DIRTYPE)) for i in range(3000)], "more than the 1024 entries allowed"),
    "no-manifest": ([("plugin.so", b"1", plain)], "manifest.json is not there: the plugin has no manifest"),
    "bad-manifest": ([("manifest.json", b"{", plain)], "manifest.json: not valid JSON"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_strangers_bundle_is_refused_and_nothing_is_left(bench, name):
    """[sdk-9] [sdk-10] [B62] [S22] [S23] One sentence with the rule; nothing half installed, nothing outside."""
    entries, sentence = HOSTILE[name]
    archive = bench.vendor.folder / "x.tar"
    archive.write_bytes(tar_of(entries))
    for word in ("install", "verify"):
        done = bench.ctl(word, bench.vendor.compressed(archive, "x.hawser"), expect=1)
        assert sentence in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert bench.is_empty()


@pytest.mark.parametrize("content, sentence", [
    (b"", "is cut short"), (b"PK\x03\x04", "is no plugin bundle: it is not compressed with zstd"),
    (b"x" * 100, "is no plugin bundle"), (None, "is cut short; fetch it again")], ids=["empty", "zip", "text", "half"])
def test_what_is_no_bundle_is_refused(bench, content, sentence):
    """[sdk-10] Empty, another format, half of one."""
    bundle = bench.vendor.bundle("1.0.0")
    bundle.write_bytes(bundle.read_bytes()[:1500] if content is None else content)
    assert sentence in bench.ctl("install", bundle, expect=1).stderr
    assert bench.is_empty()


def test_a_bomb_is_refused_before_it_fills_the_disk(bench):
    """[sdk-10] [S23] 2 GiB of zeros in a small file: refused by its header, with nothing written."""
    info = tarfile.TarInfo("plugin.so")
    info.size = 2 * 1024 ** 3
    archive = bench.vendor.folder / "bomb.tar"
    with open(archive, "wb") as file:
        file.write(info.tobuf())
        file.truncate(info.size + 2048)
    done = bench.ctl("install", bench.vendor.compressed(archive, "bomb.hawser"), expect=1)
    assert "unpacks to more than the 512 MiB allowed; make the plugin smaller" in done.stderr
    assert bench.is_empty()


def test_a_full_disk_is_said_and_nothing_is_left(bench):
    """[sdk-10] Where the plugins' folder has no room, the sentence is the system's, and the room is free again."""
    bundle = bench.vendor.bundle("1.0.0")
    words = [basics.built("hawserctl"), "--socket", bench.agent.socket, "--config", bench.agent.config,
             "--state-dir", bench.agent.state_dir, "--plugin-dir", bench.plugins, "plugin", "install", bundle]
    script = f'mount -t tmpfs -o size=8k,mode=755 none "{bench.plugins}" && "$@"; echo "exit $?"; ls -A -I {LOCK} "{bench.plugins}"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *map(str, words)], capture_output=True, text=True,
                          timeout=30)
    assert done.stdout == "exit 1\n", done.stdout + done.stderr
    assert "No space left on device" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert bundle.name not in done.stderr, "the bundle is not to blame"


def test_what_nobody_trusted_signed_is_not_installed(bench):
    """[sdk-9] Unsigned, by a key that may not, changed after it was signed, an older signature; the sentence names the
    bundle, not where it was unpacked."""
    unsigned = bench.install("1.0.0", signed=False, expect=1)
    assert f"{CLOCK}-1.0.0.hawser: " in unsigned.stderr and "the plugin is not signed" in unsigned.stderr
    assert ".hawser-" not in unsigned.stderr.replace(f"{CLOCK}-1.0.0.hawser", "")
    home = bench.vendor.build("1.0.0")
    (home / "data" / "zones.txt").write_text("UTC+1\n")
    changed = bench.ctl("install", bench.vendor.bundle_of(home, "x.hawser"), expect=1)
    assert "data/zones.txt is not the file that was signed" in changed.stderr
    bench.vendor.be_trusted(bench.agent, ids='["com.other.*"]')
    other = bench.install("1.0.0", expect=1)
    assert f"is of {CLOCK}, which key" in other.stderr and "may not sign" in other.stderr
    assert bench.is_empty()


def test_development_mode_installs_what_nobody_signed_and_says_so(bench):
    """[sdk-9] Only with the operator's word, and visible where it is installed."""
    bench.agent.write_config("conf.d/60-bench.toml", "[plugins]\ndevelopment_mode = true\n")
    done = bench.install("1.0.0", signed=False)
    assert "signed by nobody who is trusted (development mode)" in done.stdout
    bench.ctl("enable", CLOCK)
    bench.start()
    assert bench.runs("1.0.0")["signed_by"] is None


def test_who_may_not_write_there_is_told_to_be_root(bench):
    """[sdk-10] Another user changes nothing."""
    bundle = bench.vendor.bundle("1.0.0")
    program = bench.world.folder / "hawserctl"
    program.write_bytes(basics.built("hawserctl").read_bytes())
    for path, mode in ((program, 0o755), (bench.vendor.folder, 0o755), (bundle, 0o644), (bench.agent.folder, 0o755)):
        path.chmod(mode)
    words = [program, "--socket", bench.agent.socket, "--config", bench.agent.config, "--plugin-dir", bench.plugins,
             "plugin", "install", bundle]
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *map(str, words)],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and done.stderr.rstrip().endswith("run it as root"), done.stdout + done.stderr
    assert bench.is_empty()


def test_verify_says_what_is_wrong_and_changes_nothing(bench):
    """[sdk-9] A bundle or a folder: exit 0 with the key, or 1 with the rule."""
    home = bench.vendor.build("1.0.0")
    bundle = bench.vendor.bundle_of(home, "good.hawser")
    for path in (home, bundle):
        assert f"{CLOCK} 1.0.0 is verified: signed by key" in bench.ctl("verify", path).stdout
    assert json.loads(bench.ctl("verify", bundle, "--json").stdout)["version"] == "1.0.0"
    (home / "plugin.so").write_bytes(b"another")
    assert "plugin.so is not the file that was signed" in bench.ctl("verify", home, expect=1).stderr
    assert "No such file" in bench.ctl("verify", "/nowhere", expect=1).stderr
    assert bench.is_empty()


def test_wrong_words_are_told(bench):
    """[sdk-10] What is not there is neither enabled nor removed nor disabled, and the way to mend it is named."""
    assert "is not installed; run first: hawserctl plugin install FILE" in bench.ctl("enable", CLOCK, expect=1).stderr
    assert "is no plugin id" in bench.ctl("enable", "../x", expect=1).stderr
    assert "is not enabled, so there is nothing to disable" in bench.ctl("disable", CLOCK, expect=1).stderr
    assert "so there is nothing to remove" in bench.ctl("remove", CLOCK, expect=1).stderr
    assert "is no plugin id" in bench.ctl("remove", "../../etc", expect=1).stderr
    bench.install("1.0.0")
    assert "is no version" in bench.ctl("remove", CLOCK, "../1.0.0", expect=1).stderr
    assert bench.ctl("install", expect=2).returncode == 2
    assert bench.ctl("consent", CLOCK, expect=3).returncode == 3, "only a running agent knows"


@pytest.mark.parametrize("call", ["mkdir", "openat", "write", "fsync", "rename", "fchmod,chmod"])
def test_a_kill_at_any_step_leaves_the_old_or_the_new_one(bench, call):
    """[sdk-10] SIGKILL at the n-th call of each kind, for every n: what stands there is whole, and the next installation
    cleans up."""
    old, new = bench.vendor.bundle("1.0.0"), bench.vendor.bundle("1.1.0")
    bench.ctl("install", old)
    words = [basics.built("hawserctl"), "--socket", bench.agent.socket, "--config", bench.agent.config,
             "--state-dir", bench.agent.state_dir, "--plugin-dir", bench.plugins, "plugin", "install", new]
    for number in range(1, STEPS_MAX):
        done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                               "-e", f"inject={call}:signal=SIGKILL:when={number}", *map(str, words)],
                              capture_output=True, text=True, timeout=30, env=NO_LEAK_CHECK)
        there = bench.installed()
        assert there in (["1.0.0"], ["1.0.0", "1.1.0"])
        for version in there:
            bench.ctl("verify", bench.plugins / CLOCK / version)
        if done.returncode == 0:
            assert number > 1 and there == ["1.0.0", "1.1.0"] and bench.leftovers() == []
            return
        if len(there) == 2:
            bench.ctl("remove", CLOCK, "1.1.0")
    raise AssertionError(f"after {STEPS_MAX} runs {call} is still reached")


def test_leftovers_are_cleaned_when_the_agent_starts(bench):
    """[sdk-10] What an interrupted installation left goes with the next start."""
    (bench.plugins / ".hawser-abc123" / "content").mkdir(parents=True)
    bench.start()
    assert bench.leftovers() == []
