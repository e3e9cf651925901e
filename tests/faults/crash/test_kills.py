"""The spool is killed at every system call that changes something; what was accepted is there each time."""

import shutil
import signal

import pytest
from spool_lab import SpoolLab

CALLS = ("openat", "write", "fdatasync", "fsync", "rename", "unlink", "ftruncate", "mkdir")
RECORDS = 24
MOST = 400  # of one call in one run; more would be a run that never ends


def killed_at(lab, call, number):
    """True when that call was reached and the driver died there."""
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
              "-e", f"inject={call}:signal=SIGKILL:when={number}"]
    done = lab.write(RECORDS, before=strace, expect=None)
    assert done.returncode in (0, -signal.SIGKILL, 128 + signal.SIGKILL), done.stderr
    return done.returncode != 0


def with_history(folder, call):
    """A folder in which the driver goes on, so that it comes to that call."""
    folder.mkdir()
    if call == "mkdir":
        return folder  # the very first start
    SpoolLab(folder).write(40)
    if call == "ftruncate":  # of a torn tail
        newest = max((folder / "spool").glob("*"), key=lambda file: file.stat().st_mtime_ns)
        with newest.open("ab") as segment:
            segment.write(b"torn")
    return folder


@pytest.mark.parametrize("call", CALLS)
def test_the_spool_is_killed_at_every_system_call(tmp_path, call):
    """[F70] [data-1] SIGKILL at the n-th write, sync, rename and so on, for every n: what was accepted is read back with
    the same bytes, no ticket comes twice, and the spool goes on."""
    before = with_history(tmp_path / "before", call)
    for number in range(1, MOST):
        folder = tmp_path / str(number)
        shutil.copytree(before, folder)
        lab = SpoolLab(folder)
        killed = killed_at(lab, call, number)
        lab.judge()
        lab.write(5)
        assert lab.judge()["accepted"] > 0
        shutil.rmtree(folder)
        if not killed:
            assert number > 1, f"{call} was never reached"
            return
    raise AssertionError(f"after {MOST} runs {call} is still reached")
