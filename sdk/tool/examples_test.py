"""sdk/examples and sdk/README.md, followed as a vendor would who has the installed SDK and nothing else."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vendor import BUILD, PROGRAM, build, passes_check, sdk, succeed, tool  # noqa: F401, sdk is a fixture

SOURCE = Path(__file__).resolve().parents[1]
PLAIN = "manifest schema exports-entry starts outbox-full garbage no-thread-left".split()


@pytest.fixture
def example(tmp_path, sdk):  # noqa: F811
    """A copy of an installed example."""
    def copy(name):
        return Path(shutil.copytree(sdk / "share/hawser/sdk/examples" / name, tmp_path / name))

    os.umask(0o022)
    return copy


def make(folder, sdk):  # noqa: F811
    [found] = sdk.rglob("hawser-sdk.pc")
    succeed("make", folder=folder, environment={"PKG_CONFIG_PATH": str(found.parent)})
    [library] = folder.glob("com.*/1.0.0/plugin.so")
    return library.parent


def needed(library):
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", succeed("readelf", "-d", library)))


def exported(library):
    lines = succeed("nm", "-D", "--defined-only", library).splitlines()
    return {line.split()[-1].split("@")[0] for line in lines if line.split()[-2] in "TDBRW"}


def is_a_good_plugin(plugin):
    told = passes_check(plugin)
    assert all(re.search(rf"^ok +{check} ", told, re.M) for check in PLAIN), told
    assert exported(plugin / "plugin.so") == {"hawser_plugin_v1"}
    assert tool("sim", plugin).returncode == 0


def test_the_example_in_c_needs_the_c_library_alone(example, sdk):  # noqa: F811
    """[sdk-1] [sdk-4] [sdk-7] The C example is built by one call of the compiler, with pkg-config, and passes the kit."""
    plugin = make(example("c"), sdk)
    assert needed(plugin / "plugin.so") == {"libc.so.6"}
    is_a_good_plugin(plugin)


def test_a_plugin_in_c_plus_plus_has_less_than_forty_lines(example, sdk):  # noqa: F811
    """[sdk-3] The C++ example and the template are complete, pass the kit, and have less than 40 lines each."""
    folder = example("cpp")
    for source in (folder / "load.cpp", SOURCE / "template/heartbeat.cpp"):
        assert len(source.read_text().splitlines()) < 40, source
        assert max(map(len, source.read_text().splitlines())) <= 120
    is_a_good_plugin(build(folder, sdk))


def test_a_plugin_in_rust(example, sdk):  # noqa: F811
    """[sdk-1] The Rust example is a cdylib without a crate, and passes the kit."""
    if not shutil.which("cargo"):
        pytest.skip("cargo is not here")
    plugin = make(example("rust"), sdk)
    assert not [library for library in needed(plugin / "plugin.so") if "hawser" in library or "c++" in library]
    is_a_good_plugin(plugin)


def test_the_state_of_the_c_example_survives_a_kill(tmp_path, example, sdk):  # noqa: F811
    """[sdk-7] It counts its starts in its private state, and answers the cloud's durable message."""
    plugin = make(example("c"), sdk)
    script = tmp_path / "script.json"
    script.write_text('{"until_ms": 70000, "steps": [{"at_ms": 0, "do": "open"}, {"at_ms": 10, "do": "durable", "data": "now"},'
                      '{"at_ms": 20, "do": "durable", "data": "then"}, {"at_ms": 100, "do": "kill"}, {"at_ms": 110, "do": "open"}]}')
    told = tool("sim", plugin, script).stdout
    assert "uptime: durable 1 of 3 bytes, answered 0" in told
    assert "uptime: durable 2 of 4 bytes, answered -2: this plugin knows the word now, and no other" in told
    assert "figure device.uptime is " in told


# ---- the guide


def blocks_of_the_guide(guide):
    """The blocks that a reader types, in order."""
    return re.findall(r"^```sh\n(.*?)^```", guide.read_text(), re.M | re.S)


def without_the_source(script):
    """The words that run a script of bash where Hawser's tree is not to be seen, as far as we may hide it."""
    hidden = ["unshare", "--mount", "bash", "-c", f'mount -t tmpfs none "{SOURCE.parent}" && exec bash -c "$1"', "-"]
    may = subprocess.run([*hidden, f"test ! -e '{SOURCE}'"], cwd="/", capture_output=True).returncode == 0
    return [*(hidden if may else ["bash", "-c"]), script]


def test_the_guide_holds_word_for_word(tmp_path, sdk):  # noqa: F811
    """[sdk-4] [sdk-5] Every block of README.md that a reader types works, from an empty folder to a verified plugin."""
    blocks = blocks_of_the_guide(sdk / "share/hawser/sdk/README.md")
    assert len(blocks) >= 6
    environment = {**os.environ, "PATH": f"{sdk / 'bin'}:{os.environ['PATH']}", "CMAKE_PREFIX_PATH": str(sdk),
                   "HOME": str(tmp_path)}
    folder, told = tmp_path, []
    for block in blocks:
        script = f"set -e\numask 022\n{block}\npwd > {tmp_path}/where\n"
        done = subprocess.run(without_the_source(script), cwd=folder, env=environment, capture_output=True, text=True,
                              timeout=250, input="secret\nsecret\n")
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        folder = Path((tmp_path / "where").read_text().strip())
        told.append(done.stdout)
    everything = "".join(told)
    assert re.search(r"\d+ checks: \d+ passed, 0 failed", everything)
    assert "com.acme.clock 1.0.0 is verified: signed by key" in everything


def test_the_guide_s_numbers_and_names_are_true(sdk):  # noqa: F811
    """[sdk-5] What README.md quotes is what the programs and the template say."""
    guide = (sdk / "share/hawser/sdk/README.md").read_text()
    known = {line.split()[0] for line in tool("check", "--list").stdout.splitlines()}
    assert len(known) > 60 and "more than sixty" in guide
    for step in re.findall(r'"do": "(\w+)"', guide):
        assert re.search(rf"^{step} ", tool("sim", "--list").stdout, re.M), step
    for word in re.findall(r"hawser-plugin (\w+)", guide):
        assert tool(word, "--help").returncode == 0, word
