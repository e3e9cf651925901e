"""hawser-plugin check: good plugins pass, and each rogue fails the check that is meant for it and no other."""

import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree
from pathlib import Path

import pytest

PROGRAM = os.environ["HAWSER_PLUGIN"]
BUILD = Path(os.environ["HAWSER_BUILD"])
ROGUES = Path(os.environ["HAWSER_ROGUES"])
MANIFEST = {"id": "acme.rogue", "version": "1.0.0", "abi": {"major": 1, "minor": 0},
            "services": [{"service": "rogue", "protocols": ["acme.rogue.v1"]}],
            "limits": {"memory_bytes": 33554432, "threads": 8}}
SCHEMA = {"type": "object", "properties": {"period_ms": {"type": "integer"}}}
SLOW = int(os.environ.get("HAWSER_SLOWNESS", "1"))


def check(*words):
    environment = {**os.environ, "LD_LIBRARY_PATH": str(ROGUES)}  # where the one that is linked to something finds it
    return subprocess.run([PROGRAM, "check", *map(str, words)], capture_output=True, text=True, timeout=200 * SLOW,
                          env=environment)


def names(done, mark):
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith(mark)]


def catalogue():
    return {line.split()[0] for line in check("--list").stdout.splitlines()}


class Rogue:
    """A plugin's folder, as a vendor would have it."""

    def __init__(self, folder, vice, manifest=MANIFEST, schema=SCHEMA):
        self.folder = folder / "acme.rogue" / "1.0.0"
        self.folder.mkdir(parents=True)
        shutil.copy(ROGUES / f"{vice}.so", self.folder / "plugin.so")
        (self.folder / "manifest.json").write_text(json.dumps(manifest))
        (self.folder / "config.schema.json").write_text(json.dumps(schema))
        self.config = folder / "config.json"
        self.config.write_text('{"period_ms": 100}')

    def check(self, *words):
        return check(self.folder, "--config", self.config, *words)


VICES = sorted(file.stem for file in ROGUES.glob("*.so") if not file.stem.startswith("lib") and file.stem != "none")


def test_there_is_a_rogue_for_nearly_every_check():
    """[sdk-5] The kit has at least 25 checks, and each is held by a plugin that it catches."""
    caught = {vice.replace("_", "-") for vice in VICES}
    assert len(catalogue()) >= 25
    assert caught | {"manifest", "schema"} == catalogue()


@pytest.mark.parametrize("vice", VICES)
def test_a_rogue_fails_the_check_that_is_meant_for_it(tmp_path, vice):
    """[sdk-5] [sdk-6] Each rogue fails its own check, with a sentence, the rule and the remedy, and no other one."""
    done = Rogue(tmp_path, vice).check()
    assert names(done, "FAIL") == [vice.replace("_", "-")], done.stdout
    assert done.returncode == 1
    after = done.stdout.split("FAIL", 1)[1].splitlines()
    assert after[0].endswith(".") and after[1].startswith("  Rule: ") and after[2].startswith("  Remedy: "), after


@pytest.mark.parametrize("name, broken", [("manifest", {"manifest": {**MANIFEST, "permissions": ["root"]}}),
                                          ("schema", {"schema": {"type": "int"}})])
def test_what_lies_beside_the_library_is_checked(tmp_path, name, broken):
    """[sdk-8] A manifest and a schema that no device would take fail their check, with the device's sentence."""
    done = Rogue(tmp_path, "none", **broken).check()
    assert names(done, "FAIL") == [name], done.stdout
    assert "permissions holds one that is" in done.stdout or "/type must be a type's name" in done.stdout


def test_a_plugin_that_uses_everything_passes_every_check_that_applies(tmp_path):
    """[sdk-5] The rogue without a vice passes all, and nothing is left out but what it does not do."""
    done = Rogue(tmp_path, "none").check()
    assert done.returncode == 0, done.stdout
    assert names(done, "-") == ["settles"]


@pytest.mark.parametrize("plugin", ["com.example.heartbeat/1.0.0", "hawser.config_push/0.1.0",
                                    "hawser.log_upload/0.1.0", "hawser.monitoring/0.1.0"])
def test_our_own_plugins_pass(plugin):
    """[sdk-5] The three plugins of Hawser and the template pass the kit."""
    done = check(BUILD / "plugins" / plugin)
    assert done.returncode == 0, done.stdout
    assert len(names(done, "ok")) >= 50


def test_a_plugin_is_checked_with_the_operator_s_file(tmp_path):
    """[sdk-5] A file for plugins.d serves as the configuration: log_upload then sends, and its source() is checked."""
    (tmp_path / "app.log").write_text("a line\n" * 500)
    config = tmp_path / "hawser.log_upload.toml"
    config.write_text(f'[[config.sources]]\nname = "app"\npaths = ["{tmp_path}/*.log"]\nfrom = "beginning"\n')
    done = check(BUILD / "plugins/hawser.log_upload/0.1.0", "--config", config)
    assert done.returncode == 0 and "source" in names(done, "ok"), done.stdout
    config.write_text("[config\n")
    done = check(BUILD / "plugins/hawser.log_upload/0.1.0", "--config", config)
    assert done.returncode == 1 and f"{config}:1:8: " in done.stderr, done.stderr


def test_a_crash_names_the_callback_and_what_was_printed(tmp_path):
    """[sdk-5] A check whose process dies says by which signal, and in which callback; the others go on."""
    done = Rogue(tmp_path, "empty_messages").check("--only", "empty-messages", "--only", "garbage")
    assert "the process was ended by SIGABRT in message()." in done.stdout
    assert names(done, "ok")[-1] == "garbage"


def test_a_hang_ends_at_the_time_limit(tmp_path):
    """[sdk-5] A plugin that never returns fails its check at the limit, and what it started is gone."""
    source = tmp_path / "hang.c"
    source.write_text("#include <unistd.h>\n__attribute__((constructor)) static void hang(void) { if (!fork()) pause(); for (;;) pause(); }\n"
                      '__attribute__((visibility("default"))) void *hawser_plugin_v1(void *host) { return host; }\n')
    library = tmp_path / "hang.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    done = check(library, "--only", "loads", "--limit", "2")
    assert "it did not end within 2 s" in done.stdout, done.stdout
    left = subprocess.run(["pgrep", "-f", str(library)], capture_output=True, text=True).stdout
    assert left == "", left


def test_junit_is_what_build_servers_read(tmp_path):
    """[sdk-5] --junit writes one testcase for each check, with failures, skipped ones and times."""
    file = tmp_path / "junit.xml"
    done = Rogue(tmp_path, "log_form").check("--junit", file)
    suite = xml.etree.ElementTree.parse(file).getroot()
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert suite.tag == "testsuite" and set(cases) == catalogue()
    assert suite.get("failures") == "1" and int(suite.get("tests")) == len(cases)
    failure = cases["log-form"].find("failure")
    assert "no UTF-8" in failure.get("message") and "Remedy: " in failure.text
    assert cases["settles"].find("skipped") is not None
    assert all(float(case.get("time")) >= 0 and case.get("classname") == "acme.rogue" for case in cases.values())
    assert re.search(rf"{len(cases)} checks: \d+ passed, 1 failed, 1 not run", done.stdout)


def test_a_wrong_configuration_has_to_be_refused(tmp_path):
    """[sdk-5] --wrong-config names one that the plugin has to refuse; where it does not, that is a failure."""
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"period_ms": 0}')
    done = check(BUILD / "plugins/com.example.heartbeat/1.0.0", "--wrong-config", wrong, "--only", "config-words")
    assert done.returncode == 0, done.stdout
    done = Rogue(tmp_path, "none").check("--wrong-config", wrong, "--only", "config-words")
    assert names(done, "FAIL") == ["config-words"], done.stdout


@pytest.mark.parametrize("words, code, sentence", [
    (("/nowhere",), 1, "/nowhere is not there; build it first"),
    (("/nowhere", "--only", "nonsense"), 1, "/nowhere is not there"),
    ((PROGRAM, "--only", "nonsense"), 1, "there is no check nonsense; `hawser-plugin check --list` names them"),
    ((), 2, "PLUGIN"), (("--list",), 0, ""), ((PROGRAM, "--only", "loads"), 1, "")])
def test_what_cannot_be_checked_is_said(words, code, sentence):
    """[sdk-5] 0 passed, 1 failed or refused with a sentence, 2 wrong usage."""
    done = check(*words)
    assert done.returncode == code and sentence in done.stderr, done.stdout + done.stderr


def test_nothing_is_left_in_the_temporary_folder(tmp_path):
    """[sdk-5] What the checked instances wrote is taken away."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([PROGRAM, "check", BUILD / "plugins/hawser.config_push/0.1.0"], env=environment, timeout=200,
                          capture_output=True, text=True)
    assert done.returncode == 0 and list(tmp_path.iterdir()) == [], done.stdout


def test_a_library_alone_can_be_checked():
    """[sdk-5] Without a manifest beside it only what the manifest says is left out."""
    done = check(ROGUES / "none.so")
    assert done.returncode == 0, done.stdout
    assert names(done, "-") == ["manifest", "schema", "identity", "services", "settles"]
