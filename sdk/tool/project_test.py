"""hawser-plugin new, lint and sign: from an id to a signed plugin, with the installed SDK alone."""

import json
import os
import re
import shutil
import subprocess

import pytest

from vendor import BUILD, SOURCE, build, passes_check, sdk, succeed, tool  # noqa: F401, sdk is a fixture

LANGUAGES = ("c", "cpp")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_new_project_becomes_a_signed_plugin(tmp_path, sdk, language):  # noqa: F811
    """[sdk-4] [sdk-5] new, lint, build with the installed SDK, check, sign and verify, word for word as new says."""
    os.umask(0o022)
    done = tool("new", "com.acme.wall_clock", "--language", language, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    project = tmp_path / "wall_clock"
    assert f"Write in wall_clock.{language}. Build and check it:\n  cd wall_clock\n  cmake -B build" in done.stdout
    for file in project.iterdir():
        assert "heartbeat" not in file.read_text().lower() and "example" not in file.read_text(), file
    assert tool("lint", project).stdout == ""
    plugin = build(project, sdk)
    assert plugin == project / "build/plugins/com.acme.wall_clock/1.0.0"
    assert {file.name for file in plugin.iterdir()} == {"plugin.so", "manifest.json", "config.schema.json"}
    passes_check(plugin)
    trust = tmp_path / "trust.d"
    trust.mkdir()
    succeed("minisign", "-G", "-W", "-p", trust / "acme.pub", "-s", tmp_path / "acme.key")
    (trust / "acme.toml").write_text('ids = ["com.acme.*"]\n')
    done = tool("sign", plugin, "--key", tmp_path / "acme.key", "--no-password", "--comment", "for the lab",
                folder=tmp_path)
    assert done.returncode == 0 and "manifest.json.minisig is the signature" in done.stdout, done.stderr
    bundle = tmp_path / "com.acme.wall_clock-1.0.0.hawser"
    assert f"{bundle.name} is the bundle: hawserctl plugin install {bundle.name}" in done.stdout
    assert "for the lab" in (plugin / "manifest.json.minisig").read_text()
    for form in (plugin, bundle):
        done = tool("verify", form, "--trust", trust)
        assert done.stdout.startswith("com.acme.wall_clock 1.0.0 is verified: signed by key "), done.stderr
    assert f"({trust}/acme.pub), every file as it was signed" in done.stdout


def test_a_c_project_needs_no_runtime_of_c_plus_plus(tmp_path, sdk):  # noqa: F811
    """[sdk-1] A plugin in C is built without a C++ compiler, and is linked to the C library alone."""
    tool("new", "com.acme.clock", "--language", "c", folder=tmp_path)
    project = tmp_path / "clock"
    succeed("cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={sdk}", folder=project,
            environment={"CXX": "/nowhere/no-compiler"})
    succeed("cmake", "--build", "build", folder=project)
    library = project / "build/plugins/com.acme.clock/1.0.0/plugin.so"
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", succeed("readelf", "-d", library))
    assert needed == ["libc.so.6"], needed


@pytest.mark.parametrize("words", [("com.acme.double",), ("com.acme.test", "--language", "c"), ("acme.9p",),
                                   ("acme.my_long_name", "--language", "c")],
                         ids=["keyword", "reserved-target", "digit", "two-words"])
def test_any_id_makes_a_project_that_builds(tmp_path, sdk, words):  # noqa: F811
    """[sdk-5] A word that is a keyword, begins with a digit or is a target of CMake's is no trouble."""
    assert tool("new", *words, "--folder", tmp_path / "it").returncode == 0
    plugin = build(tmp_path / "it", sdk)
    manifest = json.loads((plugin / "manifest.json").read_text())
    [service] = manifest["services"]
    assert manifest["id"] == words[0] and service["service"] == words[0].split(".")[-1]
    assert service["protocols"] == [f"{words[0].split('.')[-2]}.{service['service']}.v1"]


@pytest.mark.parametrize("words, sentence", [
    (("Clock",), "Clock is no plugin id: two or more words of a-z, 0-9 and _"),
    (("acme." + "x" * 65,), "becomes the service's name, which has at most 64 characters"),
    (("com.acme.clock", "--folder", "full"), "full is there already and not empty; name another folder with --folder"),
    (("com.acme.clock", "--folder", "file/x"), "making the folder file/x"),
])
def test_new_refuses_in_a_sentence_and_writes_nothing(tmp_path, words, sentence):
    """[sdk-5] An id that no device would take and a folder with something in it are refused."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("")
    (tmp_path / "file").write_text("")
    done = tool("new", *words, folder=tmp_path)
    assert done.returncode == 1 and sentence in done.stderr, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"full",
                                                          "file"} and len(list((tmp_path / "full").iterdir())) == 1


class Project:
    def __init__(self, folder):
        tool("new", "com.acme.clock", folder=folder)
        self.folder = folder / "clock"

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def replace(self, name, old, new):
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def lint(self):
        done = tool("lint", ".", folder=self.folder)
        assert done.returncode == (1 if done.stdout or done.stderr else 0), done.stdout + done.stderr
        return done.stdout.splitlines()


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.mark.parametrize("call, instead", [
    ("sleep(1)", "use a timer"), ("  std::this_thread::sleep_for(1s)", "use a timer"), ("exit(1)",
                                                                                "report HWS_FAULTED"),
    ("std::abort()", "report HWS_FAULTED"), ("return system(\"reboot\")", "run it by name"), ("fork ()",
                                                                                "ask for `exec`"),
    ("std::printf(\"x\")", "use log() of the host"), ("std::signal(SIGPIPE, SIG_IGN)", "watch a descriptor"),
    ("longjmp(where, 1)", "return a status"), ("std::process::exit(1)", "report HWS_FAULTED")])
def test_lint_names_a_call_that_a_plugin_must_not_make(project, call, instead):
    """[sdk-5] One sentence with file, line, reason and what to do instead."""
    project.write("more.cpp", f"// more\n\nvoid f() {{\n  {call};\n}}\n")
    [fault] = project.lint()
    assert fault.startswith("./more.cpp:4: ") and instead in fault, fault


@pytest.mark.parametrize("line", ["// sleep(1)", "/* exit(1)\n   exit(2) */", 'log("sleep(1)")', "host.exit(1)",
                                  "timer->sleep(1)", "void exit(int code)",
                                  "my_sleep(1)", "exit_code = 1", "sleep(1);  // hawser-lint: allow", "char c = '\"'; f(\"exit(1)\")", r'f("\"exit(1)")'])
def test_lint_leaves_other_lines_alone(project, line):
    """[sdk-5] Comments, texts, members and declarations of the same name are no calls; a line may be excepted."""
    project.write("more.cpp", line + "\n")
    assert project.lint() == []


def test_lint_leaves_tests_builds_and_who_may_start_processes_alone(project):
    """[sdk-5] Tests and build folders are not the plugin; the permission exec allows fork()."""
    project.write("clock_test.cpp", "int main() { exit(1); }\n")
    (project.folder / "build").mkdir()
    project.write("build/CMakeCache.txt", "")
    project.write("build/made.cpp", "void f() { exit(1); }\n")
    project.write("more.cpp", "void f() { fork(); }\n")
    assert len(project.lint()) == 1
    project.replace("manifest.json", '"permissions": []', '"permissions": ["exec"]')
    assert project.lint() == []


@pytest.mark.parametrize("name, old, new, sentence", [
    ("manifest.json", '"version": "1.0.0"', '"version": "1.1.0"',
     "./CMakeLists.txt: VERSION is 1.0.0, manifest.json says 1.1.0; write the same in both"),
    ("CMakeLists.txt", "ID com.acme.clock", "ID com.acme.watch",
     "./CMakeLists.txt: ID is com.acme.watch, manifest.json says com.acme.clock"),
    ("manifest.json", "acme.clock.v1", "clock",
     "the protocol clock of clock names no owner and version; call it <owner>.clock.v1"),
    ("manifest.json", '"permissions": []', '"permissions": ["root"]',
     './manifest.json: permissions holds one that is "root"'),
    ("manifest.json", '"id": "com.acme', '"id": "com.example',
     "is the one of an example; take one that begins with a domain of yours"),
    ("config.schema.json", '"integer"', '"int"', "./config.schema.json: "),
])
def test_lint_compares_what_stands_beside_the_source(project, name, old, new, sentence):
    """[sdk-5] [sdk-8] Manifest, schema and build file are held against the rules and each other, before a build."""
    project.replace(name, old, new)
    assert any(sentence in fault for fault in project.lint()), project.lint()


def test_lint_of_our_own_plugins_is_silent():
    """[sdk-5] The three plugins of Hawser keep to what the lint asks of others."""
    for plugin in ("config_push", "log_upload", "monitoring"):
        done = tool("lint", SOURCE / "plugins" / plugin)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---- sign


@pytest.fixture
def plugin(tmp_path):
    os.umask(0o022)
    folder = tmp_path / "com.example.heartbeat" / "1.0.0"
    shutil.copytree(BUILD / "plugins/com.example.heartbeat/1.0.0", folder)
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


def test_sign_without_minisign_says_what_to_install(tmp_path, plugin):
    """[sdk-5] Where minisign is missing, one sentence says so, and how to sign elsewhere."""
    (tmp_path / "acme.key").write_text("")
    done = tool("sign", plugin, "--key", tmp_path / "acme.key", folder=tmp_path, env={**os.environ, "PATH": "/nowhere"})
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"apt-get install minisign, or sign where the key is, with `minisign -S -s {tmp_path}/acme.key -m " in done.stderr


def test_sign_without_a_key_or_with_what_is_none(tmp_path, plugin):
    """[sdk-5] A key that is not there, and a file that is no key, are refused; minisign's own words are shown."""
    done = tool("sign", plugin, "--key", tmp_path / "acme.key", folder=tmp_path)
    assert done.returncode == 1 and "No such file or directory; a pair of keys is made with `minisign -G" in done.stderr
    (tmp_path / "acme.key").write_text("no key\n")
    done = tool("sign", plugin, "--key", tmp_path / "acme.key", "--no-password", folder=tmp_path)
    assert done.returncode == 1 and "minisign did not sign; what it said stands above" in done.stderr
    assert not (plugin / "manifest.json.minisig").exists()


def test_a_key_with_a_password_asks_for_it(tmp_path, plugin):
    """[sdk-5] minisign asks for the password itself; a wrong one leaves no signature."""
    key = tmp_path / "acme.key"
    made = subprocess.run(["minisign", "-G", "-p", tmp_path / "acme.pub", "-s", key], input="secret\nsecret\n",
                          text=True,
                          capture_output=True, timeout=60)
    assert made.returncode == 0, made.stderr
    done = tool("sign", plugin, "--key", key, folder=tmp_path, input="wrong\n")
    assert done.returncode == 1 and not (plugin / "manifest.json.minisig").exists()
    done = tool("sign", plugin, "--key", key, folder=tmp_path, input="secret\n")
    assert done.returncode == 0 and (plugin / "manifest.json.minisig").exists(), done.stderr


def test_sign_packs_first(tmp_path, plugin):
    """[sdk-9] What is signed is the manifest with the digests of the files as they are now."""
    succeed("minisign", "-G", "-W", "-p", tmp_path / "acme.pub", "-s", tmp_path / "acme.key")
    for content in (b"one", b"two"):
        (plugin / "data").write_bytes(content)
        assert tool("sign", plugin, "--key", tmp_path / "acme.key", "--no-password", folder=tmp_path).returncode == 0
    manifest = json.loads((plugin / "manifest.json").read_text())
    assert manifest["files"]["data"] == succeed("sha256sum", plugin / "data").split()[0]
    (plugin / "link").symlink_to("/etc/passwd")
    done = tool("sign", plugin, "--key", tmp_path / "acme.key", "--no-password", folder=tmp_path)
    assert done.returncode == 1 and "is a symbolic link; put the file itself there" in done.stderr


# ---- the bundle


@pytest.fixture
def signed(tmp_path, plugin):
    succeed("minisign", "-G", "-W", "-p", tmp_path / "example.pub", "-s", tmp_path / "key")
    trust = tmp_path / "trust.d"
    trust.mkdir()
    shutil.copy(tmp_path / "example.pub", trust)
    (trust / "example.toml").write_text('ids = ["com.example.*"]\n')
    deep = plugin / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    (deep / "c.txt").write_text("far below\n")
    (plugin / "empty").write_text("")

    def sign(name):
        done = tool("sign", plugin, "--key", tmp_path / "key", "--no-password", "--bundle", name, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        return tmp_path / name

    sign.trust = trust
    return sign


def test_a_bundle_holds_the_folder(tmp_path, plugin, signed):
    """[sdk-5] Stock tar and zstd read it: every file, byte for byte, whatever the length of its path; no owner and no time."""
    bundle = signed("x.hawser")
    succeed("zstd", "-q", "-d", bundle, "-o", tmp_path / "x.tar")
    (tmp_path / "out").mkdir()
    succeed("tar", "-xf", "x.tar", "-C", "out", folder=tmp_path)
    succeed("diff", "-r", plugin, tmp_path / "out")
    listed = [line.split() for line in succeed("tar", "-tvf", tmp_path / "x.tar", environment={"TZ": "UTC"}).splitlines()]
    assert {(owner, day) for _, owner, _, day, *_ in listed} == {("0/0", "1970-01-01")}
    assert tool("verify", bundle, "--trust", signed.trust).returncode == 0


def test_the_same_files_make_the_same_bundle(tmp_path, plugin, signed):
    """[sdk-5] A bundle depends on the bytes of its files alone."""
    tool("sign", plugin, "--key", tmp_path / "key", "--no-password", folder=tmp_path)
    done = [tool("pack", plugin, "--bundle", name, folder=tmp_path) for name in ("one.hawser", "two.hawser")]
    os.utime(plugin / "empty", (1, 1))
    done.append(tool("pack", plugin, "--bundle", "three.hawser", folder=tmp_path))
    assert all(one.returncode == 0 for one in done), done
    contents = {(tmp_path / f"{name}.hawser").read_bytes() for name in ("one", "two", "three",
                                                                        "com.example.heartbeat-1.0.0")}
    assert len(contents) == 1


def test_a_bundle_that_was_changed_is_refused_with_the_device_s_sentence(tmp_path, signed):
    """[sdk-9] verify says of a bundle what hawserctl says: it is the same code."""
    bundle = signed("x.hawser")
    content = bundle.read_bytes()
    bundle.write_bytes(content[: len(content) // 2])
    done = tool("verify", bundle, "--trust", signed.trust)
    assert done.returncode == 1 and str(bundle) in done.stderr and done.stderr.count("\n") == 1
    program = BUILD / "core/control/hawserctl"
    if program.exists():
        (tmp_path / "hawser.toml").write_text("")
        theirs = subprocess.run([program, "--config", tmp_path, "plugin", "verify", bundle], capture_output=True,
                                text=True, timeout=60)
        assert done.stderr.split(": ", 1)[1] == theirs.stderr.split(": ", 1)[1], theirs.stderr
    done = tool("verify", signed("y.hawser"), "--trust", tmp_path / "nobody")
    assert done.returncode == 1 and "is not trusted" in done.stderr
