"""A program under test: started, watched line by line, ended by its process id."""

import collections
import os
import re
import signal
import subprocess
import threading
import time

# How much slower than a release build the build under test is: 1, or more where sanitizers are in it.
SLOWNESS = float(os.environ.get("HAWSER_SLOWNESS", "1"))
_LINES_KEPT = 4000


class Program:
    """One child process. Its output goes to `log_file` and to waiting tests, line by line. `foreign`: of another
    project, so that how it ends is not under test, and it is killed with all it started."""

    def __init__(self, name, arguments, log_file, environment=None, cwd=None, foreign=False):
        self.name, self.foreign = name, foreign
        self.log_file = log_file
        self.arguments = [str(argument) for argument in arguments]
        self._lines = collections.deque(maxlen=_LINES_KEPT)
        self._count = 0
        self._changed = threading.Condition()
        self._process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, env=environment, cwd=cwd)
        self._reader = threading.Thread(target=self._read, name=f"log of {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self):
        return self._process.pid

    def running(self):
        return self._process.poll() is None

    @property
    def exit_code(self):
        return self._process.poll()

    def lines(self):
        with self._changed:
            return list(self._lines)

    def lines_since(self, mark):
        """Those that are kept."""
        with self._changed:
            first = self._count - len(self._lines)
            return list(self._lines)[max(0, mark - first):]

    def text(self):
        return "\n".join(self.lines())

    def mark(self):
        """Where the log stands now, for wait_line(since=...)."""
        with self._changed:
            return self._count

    def wait_line(self, pattern, limit=20, since=0):
        """The first line from `since` on in which the regular expression is found."""
        end = time.monotonic() + limit * SLOWNESS
        compiled = re.compile(pattern)
        with self._changed:
            while True:
                first = self._count - len(self._lines)
                for number, line in enumerate(self._lines, first):
                    if number >= since and compiled.search(line):
                        return line
                left = end - time.monotonic()
                if left <= 0 or (not self.running() and not self._reader.is_alive()):
                    raise AssertionError(f"{self.name} wrote no line like /{pattern}/ within {limit} s")
                self._changed.wait(min(left, 0.5))

    def count_lines(self, pattern, since=0):
        """In how many lines from `since` on the regular expression is found, of those that are kept."""
        compiled = re.compile(pattern)
        return sum(bool(compiled.search(line)) for line in self.lines_since(since))

    def wait_end(self, limit=10):
        """The exit code."""
        try:
            code = self._process.wait(limit * SLOWNESS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} (pid {self.pid}) did not end within {limit} s") from None
        self._reader.join(2)
        return code

    def signal(self, number):
        if self.running():
            os.kill(self.pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait_end()

    def stop(self, limit=10):
        """SIGTERM, and SIGKILL for one that does not listen. Returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait_end(limit)
        except AssertionError:
            self.kill()
            raise

    def _read(self):
        with open(self.log_file, "ab") as log, self._process.stdout as output:
            for raw in output:
                log.write(raw)
                log.flush()
                with self._changed:
                    self._lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                    self._count += 1
                    self._changed.notify_all()
