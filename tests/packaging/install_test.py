"""`cmake --install` with each component: the exact files and modes, and that they work from where they lie."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "end_to_end"))

import basics  # noqa: E402
import fixtures  # noqa: E402
import loopback  # noqa: E402, F401, for its effect
from agent import Agent  # noqa: E402
from cloud import Cloud  # noqa: E402
from fixtures import pytest_runtest_makereport  # noqa: E402, F401, a hook
from harness import World  # noqa: E402

PLUGINS = ("hawser.config_push", "hawser.log_upload", "hawser.monitoring")
UNITS = "/usr/lib/systemd/system"
LISTS = {
    "agent": {
        "/etc/dhcp/dhclient-exit-hooks.d/hawser", "/etc/dhcp/dhclient-hawser.conf", "/etc/hawser/hawser.toml.example",
        "/etc/hawser/sites/branch-042.toml.example", "/usr/bin/hawserctl!",
        "/usr/lib/NetworkManager/dispatcher.d/70-hawser!", "/usr/lib/dhcpcd/dhcpcd-hooks/70-hawser",
        f"{UNITS}/hawser-dhcp-networkd.path", f"{UNITS}/hawser-dhcp-networkd.service", f"{UNITS}/hawserd.service",
        "/usr/lib/sysusers.d/hawser-agent.conf", "/usr/lib/tmpfiles.d/hawser-agent.conf",
        "/usr/libexec/hawser/hawser-dhcp-lease!", "/usr/libexec/hawser/hawser-dhcp-networkd!",
        "/usr/libexec/hawser/hawser-host!", "/usr/libexec/hawser/udhcpc-script!", "/usr/sbin/hawserd!",
        "/usr/share/hawser/dhcp/dhcpcd.conf", "/usr/share/hawser/dhcp/networkd.conf",
        "/usr/share/hawser/hardware-compatibility.toml", "/usr/share/man/man1/hawserctl.1",
        "/usr/share/man/man5/hawser.toml.5", "/usr/share/man/man8/hawserd.8"},
    "plugins": {f"/etc/hawser/plugins.d/{plugin}.toml" for plugin in PLUGINS}
    | {f"/usr/lib/hawser/plugins/{plugin}/0.1.0/{name}" for plugin in PLUGINS
       for name in ("manifest.json", "plugin.so")},
    "cloud": {
        "/etc/hawser/cloud.toml.example", "/usr/bin/hawser-cloud!", f"{UNITS}/hawser-cloud.service",
        f"{UNITS}/hawser-cloud.socket", "/usr/lib/sysusers.d/hawser-cloud.conf", "/usr/share/man/man8/hawser-cloud.8"},
}


def install(component, destdir, prefix="/usr"):
    done = subprocess.run(["cmake", "--install", basics.BUILD, "--component", component, "--prefix", prefix],
                          env={**os.environ, "DESTDIR": str(destdir)}, umask=0o022, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(destdir):
    """Every file as /path, with ! behind it when it can be run."""
    files = set()
    for path in destdir.rglob("*"):
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert not path.is_symlink() and mode in ((0o755,) if path.is_dir() else (0o755, 0o644)), f"{path}: {mode:o}"
        if path.is_file():
            files.add(f"/{path.relative_to(destdir)}" + ("!" if mode == 0o755 else ""))
    return files


@pytest.fixture
def world(request):
    yield from fixtures.serve(World(), request)


@pytest.mark.parametrize("component", sorted(LISTS))
def test_a_component_is_these_files(tmp_path, component):
    """[ops-1] Each component installs exactly these files, with these modes."""
    os.chmod(tmp_path, 0o755)
    install(component, tmp_path)
    assert installed(tmp_path) == LISTS[component]


def test_the_units_name_what_is_there(tmp_path):
    """[ops-2] Units and hooks name programs that are installed, at any prefix, and systemd finds no fault in them."""
    for prefix in ("/usr", "/opt/hawser"):
        destdir = tmp_path / prefix.replace("/", "_")
        for component in LISTS:
            install(component, destdir, prefix)
        for file in destdir.rglob("*"):
            text = file.read_text() if file.is_file() and file.stat().st_size < 20000 and file.suffix != ".so" else ""
            assert not re.search(r"@(prefix|helper|bindir|sbindir|options)@", text), file
            for word in re.findall(rf"{prefix}(?:/s?bin|/libexec/hawser)/(?:hawser|udhcpc)[a-z-]*", text):
                assert Path(f"{destdir}{word}").exists(), f"{file} names {word}"
        unit = (destdir / UNITS[1:] / "hawserd.service").read_text()
        for option in ("plugin-dir {}/lib/hawser/plugins", "ctl-program {}/bin/hawserctl"):
            assert (f"--{option.format(prefix)}" in unit) == (prefix != "/usr"), option
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    usr = tmp_path / "_usr"
    for unit in sorted((usr / UNITS[1:]).iterdir()):
        done = subprocess.run(["systemd-analyze", "verify", "--root", usr, "--man=no", unit.name], capture_output=True,
                              text=True, timeout=60)
        faults = [line for line in done.stderr.splitlines()
                  if "hawser" in line and "not found" not in line and "Command /bin/" not in line]
        assert not faults, faults


def test_the_units_are_hardened(tmp_path):
    """[ops-2] S28 systemd-analyze security: at most 2.0 for the cloud and 3.0 for the agent."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    for component, unit, most in (("agent", "hawserd.service", 30), ("cloud", "hawser-cloud.service", 20)):
        install(component, tmp_path)
        done = subprocess.run(["systemd-analyze", "security", "--offline=yes", f"--threshold={most}",
                               tmp_path / UNITS[1:] / unit], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout[-300:]


def test_an_operator_s_file_is_never_overwritten(tmp_path):
    """[ops-1] What an operator changed stays; the new text stands beside it."""
    install("plugins", tmp_path)
    mine = tmp_path / "etc/hawser/plugins.d/hawser.config_push.toml"
    mine.write_text('[config]\nallowed = ["/etc/app/**"]\n')
    main = tmp_path / "etc/hawser/hawser.toml"
    main.write_text("# mine\n")
    assert "Kept:" in install("plugins", tmp_path)
    install("agent", tmp_path)
    assert mine.read_text() == '[config]\nallowed = ["/etc/app/**"]\n' and main.read_text() == "# mine\n"
    assert (mine.parent / "hawser.config_push.toml.new").read_text() == \
        (ROOT / "conf/plugins.d/hawser.config_push.toml").read_text()
    assert not (mine.parent / "hawser.monitoring.toml.new").exists()


def test_the_installed_programs_work_together(world, monkeypatch):
    """[ops-1] The installed hawserd, with the installed host and plugins, is moored to the installed cloud."""
    destdir = world.folder / "root"
    for component in LISTS:
        install(component, destdir)
    places = {"hawserd": "usr/sbin/hawserd", "hawserctl": "usr/bin/hawserctl", "hawser-cloud": "usr/bin/hawser-cloud",
              "hawser-host": "usr/libexec/hawser/hawser-host"}
    monkeypatch.setattr(basics, "built", lambda name: destdir / places[name])
    cloud = Cloud(world, serials=[basics.SERIAL]).start()
    agent = Agent(world, cloud.auth_port, cloud.ca_file, plugin_dir=destdir / "usr/lib/hawser/plugins")
    agent.start().wait_ready(limit=30)
    assert agent.stop() == 0 and cloud.stop() == 0


def test_a_vendor_builds_with_the_installed_sdk_alone(tmp_path):
    """[sdk-4] [ops-1] The template and a test with the fake host build from the component sdk; pkg-config knows it."""
    root, work = tmp_path / "sdk", tmp_path / "work"
    install("sdk", root)
    sdk = root / "usr/share/hawser/sdk"
    assert {path.name for path in sdk.iterdir()} == {"ABI.md", "README.md", "examples", "protocol.md", "protocol",
                                                    "template", "testing"}
    shutil.copytree(sdk / "template", work)
    with open(work / "CMakeLists.txt", "a") as file:
        file.write("add_executable(try try.cpp)\ntarget_link_libraries(try PRIVATE HawserSDK::fake_host)\n")
    (work / "try.cpp").write_text('#include "fake_host.hpp"\nint main() { return 0; }\n')
    for arguments in (["-B", "build", f"-DCMAKE_PREFIX_PATH={root}/usr"], ["--build", "build"]):
        done = subprocess.run(["cmake", *arguments], cwd=work, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stdout + done.stderr
    library = work / "build/plugins/com.example.heartbeat/1.0.0/plugin.so"
    symbols = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True).stdout
    assert [line.split()[-1].split("@")[0] for line in symbols.splitlines() if " T " in line] == ["hawser_plugin_v1"]
    assert (library.parent / "manifest.json").exists()
    found = list(root.rglob("hawser-sdk.pc"))
    done = subprocess.run(["pkg-config", "--cflags", found[0]], capture_output=True, text=True)
    include = done.stdout.strip().removeprefix("-I")
    assert done.returncode == 0 and (Path(include) / "hawser/plugin.h").exists(), done.stdout + done.stderr


@pytest.mark.parametrize("page", sorted((ROOT / "packaging" / "man").iterdir()), ids=lambda page: page.name)
def test_manual_pages_are_well_formed(page):
    """[ops-3] groff and mandoc have nothing to complain about in a manual page."""
    if shutil.which("man"):
        done = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
        assert done.returncode == 0 and not done.stderr, done.stderr
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", page], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout


def test_every_key_of_the_configuration_is_in_its_page():
    """[ops-3] hawser.toml(5) names every key that conf/hawser.toml explains."""
    page = (ROOT / "packaging/man/hawser.toml.5").read_text()
    keys = set(re.findall(r"^#?([a-z_0-9]+) = ", (ROOT / "conf/hawser.toml").read_text(), re.M))
    assert len(keys) > 10 and not {key for key in keys if not re.search(rf"\.It Sy .*\b{key}\b", page)}
