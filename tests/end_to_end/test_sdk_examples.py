"""The SDK's examples on a real agent, built, signed and installed as their readers would: from the installed SDK alone."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import basics
import pytest
from clocks import Bench

EXAMPLES = {"c": "uptime", "cpp": "load", "rust": "counter"}


def run(*words, folder, **environment):
    done = subprocess.run([str(word) for word in words], cwd=folder, capture_output=True, text=True, timeout=120,
                          umask=0o022, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr


def build(folder, sdk):
    """Builds an example in its folder by what lies there; the plugin's folder."""
    if (folder / "Makefile").exists():
        [found] = sdk.rglob("hawser-sdk.pc")
        run("make", folder=folder, PKG_CONFIG_PATH=str(found.parent))
    else:
        run("cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={sdk}", folder=folder)
        run("cmake", "--build", "build", folder=folder)
    return next(path for path in folder.rglob("plugin.so") if path.parent.name == "1.0.0").parent


@pytest.mark.parametrize("language", EXAMPLES)
def test_an_example_goes_from_its_source_to_a_ready_plugin(world, language):
    """[sdk-1] [sdk-4] [sdk-9] Built with the installed SDK, signed, installed and enabled, an example is ready, opens its
    service, and ends when it is told to."""
    if language == "rust" and not shutil.which("cargo"):
        pytest.skip("cargo is not here")
    sdk = world.folder / "sdk" / "usr"
    run("cmake", "--install", basics.BUILD, "--component", "sdk", "--prefix", "/usr", folder=world.folder,
        DESTDIR=str(sdk.parent))
    folder = Path(shutil.copytree(sdk / "share/hawser/sdk/examples" / language, world.folder / language))
    plugin = build(folder, sdk)
    service = EXAMPLES[language]
    bench, bundle = Bench(world), world.folder / f"{service}.hawser"
    bench.vendor.be_trusted(bench.agent, '["com.example.*"]')
    run(sdk / "bin/hawser-plugin", "sign", plugin, "--key", bench.vendor.secret, "--no-password", "--bundle", bundle,
        folder=folder)
    bench.start()
    bench.ctl("install", bundle)
    bench.ctl("enable", f"com.example.{service}")

    def ready():
        shown = json.loads(bench.agent.ctl("plugin", "show", f"com.example.{service}", "--json").stdout)
        return shown if shown.get("state") == "ready" else None
    basics.wait_for(ready, 20, f"{service} is ready")
    assert bench.agent.subconnection(service)["plugin"] == f"com.example.{service}"
    bench.ctl("disable", f"com.example.{service}")
    basics.wait_for(lambda: not bench.agent.hosts(), 10, "its host ended")
