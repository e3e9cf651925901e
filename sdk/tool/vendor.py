"""What a vendor has: the installed SDK and nothing of the agent's source. For the tests of hawser-plugin."""

import os
import subprocess
from pathlib import Path

import pytest

PROGRAM = os.environ["HAWSER_PLUGIN"]
BUILD = Path(os.environ["HAWSER_BUILD"])
SOURCE = Path(__file__).resolve().parents[2]  # Hawser's, for what is about its own plugins


def tool(*words, folder=None, **options):
    return subprocess.run([PROGRAM, *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=200, **options)


def succeed(*words, folder=None, environment=None):
    done = subprocess.run(list(map(str, words)), cwd=folder, capture_output=True, text=True, timeout=280,
                          env={**os.environ, **(environment or {})})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def sdk(tmp_path_factory):
    """The prefix below which the component sdk, and no other, is installed."""
    root = tmp_path_factory.mktemp("sdk")
    succeed("cmake", "--install", BUILD, "--component", "sdk", "--prefix", "/usr", environment={"DESTDIR": str(root)})
    return root / "usr"


def build(project, sdk):
    """Builds a project as its vendor would; the folder of its one plugin."""
    succeed("cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={sdk}", folder=project)
    succeed("cmake", "--build", "build", "-j", "1", folder=project)
    [library] = (project / "build/plugins").rglob("plugin.so")
    return library.parent


def passes_check(plugin, *words):
    done = tool("check", plugin, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
