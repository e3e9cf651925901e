"""com.acme.clock in several versions, each packed, signed and bundled as a vendor would, and an operator's agent."""

import json
import shutil
import subprocess
import tarfile

import basics

CLOCK = "com.acme.clock"
LOCK = ".hawser-lock"  # stays in the plugins' folder


class Vendor:
    """A key, and bundles that it signed. Everything below <world>/vendor."""

    def __init__(self, world):
        self.folder = world.folder / "vendor"
        self.folder.mkdir()
        self.secret, self.public = self.folder / "vendor.key", self.folder / "vendor.pub"
        self.run("minisign", "-G", "-W", "-p", self.public, "-s", self.secret)

    def run(self, *words):
        subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=30, umask=0o022)

    def build(self, version, permissions=(), signed=True, library=None):
        """The folder <id>/<version> of a clock."""
        home = self.folder / CLOCK / version
        shutil.rmtree(home, ignore_errors=True)
        (home / "data").mkdir(parents=True)
        shutil.copy(library or basics.built(f"clock_{version}.so"), home / "plugin.so")
        (home / "plugin.so").chmod(0o644)
        (home / "data" / "zones.txt").write_text("UTC\n")
        (home / "manifest.json").write_text(json.dumps({
            "id": CLOCK, "version": version, "abi": {"major": 1, "minor": 0}, "permissions": list(permissions),
            "services": [{"service": "clock", "protocols": ["acme.clock.v1"]}]}))
        self.run(basics.built("hawser-plugin"), "pack", home)
        if signed:
            self.run("minisign", "-S", "-W", "-s", self.secret, "-m", home / "manifest.json")
        return home

    def bundle(self, version, **options):
        """As the kit makes it."""
        bundle = self.folder / f"{CLOCK}-{version}.hawser"
        self.run(basics.built("hawser-plugin"), "pack", self.build(version, **options), "--bundle", bundle)
        return bundle

    def bundle_of(self, home, name):
        """As GNU tar and zstd make it."""
        archive = self.folder / f"{name}.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(home, arcname=".")
        return self.compressed(archive, name)

    def compressed(self, archive, name):
        bundle = self.folder / name
        self.run("zstd", "-q", "-f", archive, "-o", bundle)
        return bundle

    def be_trusted(self, agent, ids='["com.acme.*"]'):
        (agent.config / "trust.d").mkdir(mode=0o755, exist_ok=True)
        shutil.copy(self.public, agent.config / "trust.d")
        agent.write_config("trust.d/vendor.toml", f"ids = {ids}\n")
        for path in (agent.config, *(agent.config / "trust.d").iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)


class Bench:
    """A vendor, an agent that trusts it and has no plugin, and its plugin folder."""

    def __init__(self, world, probation="10m"):
        self.world, self.vendor = world, Vendor(world)
        self.cloud = world.scripted_cloud()
        self.plugins = world.folder / "plugins"
        self.plugins.mkdir(mode=0o755)
        self.agent = world.agent(self.cloud.auth_port, world.authority.file, plugins=[], plugin_dir=self.plugins,
                                 development_mode=False)
        self.agent.write_config("conf.d/10-probation.toml", f'[plugins]\nprobation = "{probation}"\n')
        self.vendor.be_trusted(self.agent)

    def ctl(self, *words, expect=0):
        return self.agent.ctl("plugin", *words, "--plugin-dir", self.plugins, expect=expect)

    def install(self, version, *flags, expect=0, **options):
        return self.ctl("install", self.vendor.bundle(version, **options), *flags, expect=expect)

    def show(self):
        """The JSON of plugin show, or {} while there is none."""
        done = self.agent.ctl("plugin", "show", CLOCK, "--json", expect=None)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def runs(self, version, limit=20):
        """Waits until this version is ready; what plugin show says of it then."""
        def look():
            self.agent.must_run()
            shown = self.show()
            return shown if (shown.get("version"), shown.get("state")) == (version, "ready") else None
        return basics.wait_for(look, limit, f"the clock {version} ready")

    def start(self):
        self.agent.start()
        basics.wait_for(self.agent.state, 10, "an answer")

    def begin(self, version="1.0.0"):
        """The agent runs, with this version of the clock ready."""
        self.start()
        self.install(version)
        self.ctl("enable", CLOCK)
        return self.runs(version)

    def installed(self):
        home = self.plugins / CLOCK
        return sorted(path.name for path in home.iterdir() if path.is_dir()) if home.exists() else []

    def leftovers(self):
        return [path.name for path in self.plugins.iterdir() if path.name.startswith(".") and path.name != LOCK]

    def is_empty(self):
        return [path.name for path in self.plugins.iterdir() if path.name != LOCK] == []

    def events(self):
        """What history tells of plugins: (reason, detail)."""
        history = json.loads(self.agent.ctl("history", "--json").stdout)
        rows = history if isinstance(history, list) else history.get("events", history.get("history", []))
        return [(row.get("reason"), row.get("detail")) for row in rows if row.get("kind") == "plugin_state"]

    def log(self, words):
        return [line for line in self.agent.program.lines() if words in line]
