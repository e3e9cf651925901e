"""Disks that are full, read-only, lying or limited below a real spool: what it accepted is there, and it goes on by itself."""

import os
import subprocess

import pytest
from basics import wait_for
from spool_lab import SpoolLab

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")


@pytest.fixture
def small_disk(tmp_path):
    mounted = []

    def make(options):
        folder = tmp_path / "disk"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small", folder], check=True)
        mounted.append(folder)
        return folder
    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=False)


@needs_root
@pytest.mark.parametrize("options", ["size=300k", "size=1m,nr_inodes=5"], ids=["space", "inodes"])
def test_a_full_disk(tmp_path, small_disk, options):
    """[F90] [F91] [data-2] Neither space nor inodes are left: nothing more is accepted, nothing accepted is lost, and with
    room it goes on by itself."""
    disk = small_disk(options)
    ballast = [disk / f"ballast{number}" for number in range(2)]
    for each in ballast:
        each.write_bytes(b"\1" * 60_000)
    lab = SpoolLab(tmp_path, spool=disk / "spool")
    driver = lab.start(400, 20_000)
    try:
        wait_for(lambda: lab.lines() > 20 or driver.poll() is not None, 20, "some records")
        wait_for(lab.refusals, 20, "a refusal")
        assert "No space left" in lab.refusals()[0]
        for each in ballast:
            each.unlink()
        accepted = lab.accepted()
        wait_for(lambda: lab.accepted() > accepted, 20, "more is accepted once there is room")
    finally:
        driver.kill()
        driver.wait()
    lab.judge()


def test_a_disk_becomes_read_only_and_writable_again(tmp_path):
    """[F93] Read-only for a while nothing is accepted; writable again it goes on by itself. (No kernel takes the remount back
    that an error forced, and none allows another below an open file: so the calls fail as they would.)"""
    lab = SpoolLab(tmp_path)
    lab.write(200, before=["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=write,fdatasync,unlink,rename",
                           "-e", "inject=write,unlink,rename,fdatasync:error=EROFS:when=20..50"])
    assert sum("ead-only file system" in words for words in lab.refusals()) >= 10, lab.refusals()
    accepted = lab.judge()["accepted"]
    assert accepted == lab.accepted() and accepted > 100


@pytest.mark.parametrize("when", ["1", "2", "3", "5", "2+3", "3..5"])
def test_fsync_fails(tmp_path, when):
    """[F92] An fsync that fails with EIO accepts nothing; what was in that segment is written elsewhere, and accepted there."""
    lab = SpoolLab(tmp_path)
    lab.write(60, before=["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync",
                          "-e", f"inject=fdatasync:error=EIO:when={when}"])
    assert any("nput/output error" in words for words in lab.refusals())
    assert lab.accepted() > 0
    lab.judge()


def test_a_limit_on_the_size_of_files(tmp_path):
    """[F100] SIGXFSZ does not kill; a file at its limit is a full disk, and a new segment goes on."""
    lab = SpoolLab(tmp_path)
    done = lab.write(120, before=["prlimit", "--fsize=60000"])
    assert done.returncode == 0
    accepted = lab.accepted()
    lab.judge()
    lab.write(20)
    assert lab.accepted() > accepted
    lab.judge()
