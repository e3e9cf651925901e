"""hawser-plugin beside the stock tool that vendors sign with, minisign."""

import json
import os
import subprocess
from pathlib import Path

import jsonschema
import pytest

PROGRAM = os.environ["HAWSER_PLUGIN"]
SCHEMA = json.loads((Path(__file__).parents[1] / "protocol" / "manifest.schema.json").read_text())
MANIFEST = {"version": "1.0.0", "id": "com.acme.clock", "abi": {"major": 1, "minor": 0},
            "services": [{"service": "clock", "protocols": ["acme.clock.v1"]}], "later": 1}


def run(*words):
    return subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=30)


class Vendor:
    """com.acme.clock 1.0.0, not packed yet, the vendor's key, and a device's trust store that has it."""

    def __init__(self, folder):
        os.umask(0o022)
        self.plugin = folder / "plugins" / "com.acme.clock" / "1.0.0"
        self.trust = folder / "trust.d"
        self.secret = folder / "acme.key"
        (self.plugin / "data").mkdir(parents=True)
        self.trust.mkdir()
        (self.plugin / "plugin.so").write_bytes(b"a library")
        (self.plugin / "data" / "zones.txt").write_text("UTC\n")
        self.manifest.write_text(json.dumps(MANIFEST))
        self.minisign("-G", "-W", "-p", self.trust / "acme.pub", "-s", self.secret)
        (self.trust / "acme.toml").write_text('ids = ["com.acme.*"]\n')

    @property
    def manifest(self):
        return self.plugin / "manifest.json"

    def minisign(self, *words):
        subprocess.run(["minisign", *map(str, words)], check=True, capture_output=True, timeout=30)

    def pack(self):
        return run("pack", self.plugin)

    def sign(self, *words):
        self.minisign("-S", "-W", "-s", self.secret, "-m", self.manifest, *words)

    def verify(self):
        return run("verify", self.plugin, "--trust", self.trust)


@pytest.fixture
def vendor(tmp_path):
    return Vendor(tmp_path)


@pytest.mark.parametrize("words", [(), ("-l",), ("-t", "version 1.0.0 of the clock"), ("-t", "")],
                         ids=["hashed", "legacy", "comment", "no-comment"])
def test_a_plugin_that_minisign_signed_is_verified(vendor, words):
    """[sdk-9] A plugin that was packed and signed by the stock tool is verified, and says by which key."""
    assert vendor.pack().returncode == 0
    vendor.sign(*words)
    done = vendor.verify()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("com.acme.clock 1.0.0 is verified: signed by key ")
    number = (vendor.trust / "acme.pub").read_text().split()[5]
    assert number.rjust(16, "0") in done.stdout


def test_minisign_itself_agrees(vendor):
    """[sdk-9] Of a manifest with one byte more minisign says what hawser-plugin says."""
    vendor.pack()
    vendor.sign()
    check = ["minisign", "-V", "-p", vendor.trust / "acme.pub", "-m", vendor.manifest]
    assert subprocess.run(check, capture_output=True, timeout=30).returncode == 0
    with open(vendor.manifest, "a") as file:
        file.write("\n")
    assert subprocess.run(check, capture_output=True, timeout=30).returncode == 1
    done = vendor.verify()
    assert done.returncode == 1 and "is not for these bytes" in done.stderr


def test_a_trusted_comment_cannot_be_changed(vendor):
    """[sdk-9] The trusted comment is signed too."""
    vendor.pack()
    vendor.sign("-t", "for the lab")
    signature = Path(f"{vendor.manifest}.minisig")
    signature.write_text(signature.read_text().replace("for the lab", "for the world"))
    done = vendor.verify()
    assert done.returncode == 1 and "has a trusted comment that key" in done.stderr


def test_packing_pins_every_file_and_keeps_the_rest(vendor):
    """[sdk-5] pack writes the digests that sha256sum prints, leaves the rest of the manifest in its order, and is done once."""
    done = vendor.pack()
    assert done.returncode == 0, done.stderr
    manifest = json.loads(vendor.manifest.read_text())
    assert list(manifest) == [*MANIFEST, "files"]
    assert {name: manifest[name] for name in MANIFEST} == MANIFEST
    for name in ("plugin.so", "data/zones.txt"):
        printed = subprocess.run(["sha256sum", vendor.plugin / name], capture_output=True, text=True).stdout
        assert manifest["files"].pop(name) == printed.split()[0]
    assert manifest["files"] == {}
    jsonschema.validate(json.loads(vendor.manifest.read_text()), SCHEMA)
    before = vendor.manifest.stat()
    vendor.sign()
    assert vendor.pack().returncode == 0
    assert vendor.manifest.stat().st_ino == before.st_ino, "nothing changed, so nothing is written"
    assert vendor.verify().returncode == 0


def test_packing_again_takes_the_old_signature_away(vendor):
    """[sdk-9] A signature that no longer fits does not stay beside a manifest."""
    vendor.pack()
    vendor.sign()
    (vendor.plugin / "plugin.so").write_bytes(b"a better library")
    done = vendor.pack()
    assert "The signature of the manifest as it was before is removed." in done.stdout
    assert not Path(f"{vendor.manifest}.minisig").exists()
    assert "the plugin is not signed" in vendor.verify().stderr


def link(vendor):
    (vendor.plugin / "link").symlink_to("/etc/passwd")


def schema(vendor):
    (vendor.plugin / "config.schema.json").write_text('{"type": "int"}')


@pytest.mark.parametrize("spoil, sentence", [
    (link, "link is a symbolic link; put the file itself there"),
    (schema, "config.schema.json: is no JSON Schema: /type must be a type's name"),
    (lambda vendor: vendor.manifest.write_text("[]"), "manifest.json: not one JSON object"),
    (lambda vendor: vendor.manifest.write_text(json.dumps({**MANIFEST, "permissions": ["root"]})),
     'permissions holds one that is "root"'),
    (lambda vendor: vendor.manifest.write_bytes(b" " * 10485760), "manifest.json is larger than the 65536 bytes allowed"),
    (lambda vendor: (vendor.plugin / "plugin.so").unlink(), "plugin.so is not there; build it first"),
    (lambda vendor: (vendor.plugin / "data").chmod(0o777), "data has mode 0777"),
], ids=["link", "schema", "no-object", "permission", "10-MiB", "no-library", "mode"])
def test_what_no_device_would_load_is_not_packed(vendor, spoil, sentence):
    """[sdk-5] pack refuses, with the sentence that a device would say, and changes nothing."""
    spoil(vendor)
    before = vendor.manifest.read_bytes()
    done = vendor.pack()
    assert done.returncode == 1 and sentence in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1
    assert vendor.manifest.read_bytes() == before


def test_the_faults_of_a_trust_store_are_named_with_their_place(vendor):
    """[sdk-9] verify says why a key is not trusted before it says that it is not."""
    vendor.pack()
    vendor.sign()
    (vendor.trust / "acme.toml").write_text('ids = ["com.acme.*"]\nuntil = "tomorrow"\n')
    done = vendor.verify()
    assert done.returncode == 1
    assert f'{vendor.trust}/acme.toml:2:9: until: is "tomorrow", must be the last day of the key' in done.stderr
    assert "which is not trusted" in done.stderr


def test_the_schema_of_the_manifest_knows_the_paths_that_the_agent_refuses(vendor):
    """[sdk-8] What manifest.schema.json refuses among `files`, the program refuses, and the other way round."""
    good, bad = ("plugin.so", "a/b c/ü.txt", "..x", "a/.b"), ("../x", "/x", "a/../b", "a//b", ".", "a/", "a\\b", "a*", "")
    for path in (*good, *bad):
        manifest = {**MANIFEST, "files": {path: "0" * 64}}
        valid = jsonschema.Draft202012Validator(SCHEMA).is_valid(manifest)
        assert valid == (path in good), path
        vendor.manifest.write_text(json.dumps(manifest))
        assert ("is no path within" in vendor.pack().stderr) == (path in bad), path


@pytest.mark.parametrize("words, code", [((), 2), (("pack",), 2), (("verify",), 2), (("sing", "x"), 2),
                                         (("verify", "x", "--key", "y"), 2), (("verify", "/nowhere"), 1),
                                         (("--help",), 0), (("--version",), 0)])
def test_exit_codes_are_those_of_hawserctl(words, code):
    """[sdk-5] 0 done, 1 refused, 2 wrong usage; a refusal goes to standard error."""
    done = run(*words)
    assert done.returncode == code
    assert bool(done.stdout) == (code == 0)
