"""The power goes while the spool writes: images of a live ext4, copied at random moments, are mounted and judged."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from spool_lab import SpoolLab

IMAGE_MIB = 16
MOMENTS, LONG_MOMENTS = 50, 400
LIMIT_S, LONG_LIMIT_S = 60, 900


def run(*arguments):
    return subprocess.run([str(each) for each in arguments], check=True, capture_output=True, text=True).stdout.strip()


class Image:
    """A loop device with ext4 on it. A copy is a power cut only if nothing was written to the device meanwhile."""

    def __init__(self, folder):
        self.file, self.mounted = folder / "disk.img", folder / "disk"
        self.mounted.mkdir()
        with open(self.file, "wb") as file:
            file.truncate(IMAGE_MIB << 20)
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-J", "size=1", self.file)
        self.device = run("losetup", "--find", "--show", self.file)
        run("mount", self.device, self.mounted)

    def written(self):
        words = Path(f"/sys/block/{Path(self.device).name}/stat").read_text().split()
        return words[4], words[6], words[8]  # writes done, sectors, in flight

    def copy(self, to):
        before = self.written()
        if before[2] != "0":
            return False
        run("cp", "--sparse=never", self.file, to)  # holes are the file system's word, bytes are what it stored
        return self.written() == before

    def close(self):
        subprocess.run(["umount", "-l", self.mounted], check=False)
        subprocess.run(["losetup", "-d", self.device], check=False)


def cut_power(folder, moments, limit_s):
    chance = random.Random()
    image = Image(folder)
    lab = SpoolLab(folder, spool=image.mounted / "spool")
    mounted = folder / "copy"
    mounted.mkdir()
    driver, torn, tried = lab.start(10_000_000, 3000), 0, 0
    try:
        end = time.monotonic() + limit_s
        done = 0
        while done < moments:
            assert time.monotonic() < end, f"only {done} moments of {tried} tries in {limit_s} s"
            assert driver.poll() is None, "the driver has ended"
            time.sleep(chance.uniform(0, 0.05))
            tried += 1
            # Stopped, not flushed: what it wrote and did not sync is in memory only, and is lost in the copy.
            driver.send_signal(signal.SIGSTOP)
            claimed = lab.lines()
            # Another file each time: mount takes the loop device of the last copy while that is not gone yet, and with it
            # what the kernel remembers of the other disk.
            copy = folder / f"copy{tried}.img"
            whole = image.copy(copy)
            released = lab.lines() + 1
            driver.send_signal(signal.SIGCONT)
            if whole:
                run("mount", "-o", "loop", copy, mounted)
                try:
                    torn += lab.judge(claimed, released, spool=mounted / "spool")["torn_bytes"] > 0
                finally:
                    run("umount", mounted)
            copy.unlink(missing_ok=True)
            if not whole:
                continue
            done += 1
        assert lab.accepted() > moments, "the driver did something meanwhile"
        print(f"{done} power cuts of {tried} copies, {torn} with a torn tail, {lab.accepted()} records accepted")
    finally:
        driver.kill()
        driver.wait()
        image.close()
        shutil.rmtree(folder, ignore_errors=True)


needs_root = pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/loop-control").exists(),
                                reason="needs root and loop devices")


@needs_root
def test_power_loss_at_random_moments(tmp_path):
    """[F94] [data-1] What was accepted before the power went is there after the journal's replay, with the same bytes."""
    cut_power(tmp_path, MOMENTS, LIMIT_S)


@needs_root
@pytest.mark.long
def test_power_loss_at_many_moments(tmp_path):
    """[F94] [data-1] The same, longer."""
    cut_power(tmp_path, LONG_MOMENTS, LONG_LIMIT_S)
