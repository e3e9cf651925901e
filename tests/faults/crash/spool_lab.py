"""The spool's driver (spool_driver.cpp) in a test: starts it, breaks what is below it, and lets it judge."""

import subprocess

import basics


class SpoolLab:
    def __init__(self, folder, spool=None):
        self.folder = folder
        self.spool, self.journal = spool or folder / "spool", folder / "journal"
        self.program = str(basics.built("spool_driver"))

    def arguments(self, count, pause_us=0):
        return [self.program, "write", str(self.spool), str(self.journal), str(count), str(pause_us)]

    def write(self, count, before=(), pause_us=0, expect=0):
        done = subprocess.run([*before, *self.arguments(count, pause_us)], capture_output=True, text=True, timeout=120)
        if expect is not None:
            assert done.returncode == expect, f"{done.args}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done

    def start(self, count, pause_us):
        return subprocess.Popen(self.arguments(count, pause_us), stdout=subprocess.PIPE, text=True)

    def judge(self, *lines, spool=None):
        """What it says of the folder: all that the journal claims is there, or the test fails with its words."""
        arguments = [self.program, "judge", str(spool or self.spool), str(self.journal), *map(str, lines)]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{done.args}\n{done.stdout}{done.stderr}"
        words = done.stdout.split()
        return dict(zip(words[::2], map(int, words[1::2])))

    def lines(self):
        return self.journal.read_bytes().count(b"\n") if self.journal.exists() else 0

    def accepted(self):
        return max((int(line.split()[1]) for line in self.journal.read_text().splitlines() if line.startswith("A ")),
                   default=0)

    def refusals(self):
        """What append() and sync() said when they took nothing."""
        return [line[2:] for line in self.journal.read_text().splitlines() if line.startswith("E ")]
