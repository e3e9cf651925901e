"""The delivery plugin (delivery.cpp) in a test: its files, its journal, and the judge at the cloud's database."""

import collections
import re
import shutil
import sqlite3

import basics
from basics import BUILD

PLUGIN = "test.delivery"
_MASK = (1 << 64) - 1


class Verdict:
    def __init__(self):
        self.runs = self.accepted = self.acknowledged = self.stored = 0
        self.lost = self.repeated = self.disordered = self.damaged = self.refused = 0
        self.complaints = []

    def complain(self, what, words):
        setattr(self, what, getattr(self, what) + 1)
        self.complaints.append(f"{what}: {words}")

    def good(self):
        return self.accepted > 0 and not self.complaints

    def rows(self):
        return [(name, getattr(self, name)) for name in
                ("runs", "accepted", "acknowledged", "stored", "lost", "repeated", "disordered", "damaged", "refused")]


class Delivery:
    """`folder`: where the plugin has its journal; open to every user, for a host has one of its own."""

    def __init__(self, world, period_ms=20, burst=4, bytes_max=2000):
        self.folder = world.folder / "delivery"
        self.folder.mkdir()
        self.folder.chmod(0o777)
        world.folder.chmod(0o755)
        self._home = world.folder / "plugins"
        self._config = {"period_ms": period_ms, "burst": burst, "bytes_max": bytes_max}

    def plugins(self):
        """A plugin folder with the delivery plugin in the place of log_upload."""
        for plugin in ("hawser.monitoring", "hawser.config_push"):
            shutil.copytree(basics.built_plugins() / plugin, self._home / plugin)
        for path in sorted(BUILD.rglob(f"{PLUGIN}/*/plugin.so")):
            shutil.copytree(path.parent, self._home / PLUGIN / path.parent.name)
            return self._home
        raise AssertionError(f"{PLUGIN} is not built in {BUILD}")

    def files(self):
        lines = [f'folder = "{self.folder}"', f'folder_glob = "{self.folder}/**"',
                 *(f"{name} = {value}" for name, value in self._config.items())]
        return {PLUGIN: "[config]\n" + "\n".join(lines) + "\n"}

    def pause(self):
        """It hands over one message more, and then nothing."""
        (self.folder / "pause").touch()

    def journal(self):
        """(what, numbers and words) of each whole line."""
        path = self.folder / "journal"
        text = path.read_text() if path.exists() else ""
        for line in text[:text.rfind("\n") + 1].splitlines():
            what, *words = line.split()
            yield what, words

    def claims(self, what):
        """run -> the highest count that was claimed."""
        most = collections.Counter()
        for kind, words in self.journal():
            if kind == what:
                most[int(words[0])] = max(most[int(words[0])], int(words[1]))
        return most

    def drained(self):
        """After pause(): the last message of all is acknowledged, and in the order with it all before."""
        return (self.folder / "idle").exists()

    def judge(self, cloud):
        verdict = Verdict()
        accepted, acknowledged = self.claims("A"), self.claims("K")
        verdict.runs = sum(kind == "S" for kind, _ in self.journal())
        verdict.accepted, verdict.acknowledged = sum(accepted.values()), sum(acknowledged.values())
        for kind, words in self.journal():
            if kind == "N":
                verdict.complain("refused", " ".join(words))
        last, seen = (0, 0), collections.defaultdict(set)
        for body in stored_bodies(cloud):
            match = re.match(rb"(\d+) (\d+) ", body)
            if not match:
                verdict.complain("damaged", repr(body[:60]))
                continue
            run, count = int(match[1]), int(match[2])
            verdict.stored += 1
            if body != expected_body(run, count, self._config["bytes_max"]):
                verdict.complain("damaged", f"message {count} of run {run}")
            if count in seen[run]:
                verdict.complain("repeated", f"message {count} of run {run}")
            elif (run, count) < last:
                verdict.complain("disordered", f"message {count} of run {run} after {last[1]} of run {last[0]}")
            seen[run].add(count)
            last = max(last, (run, count))
        for run in sorted(set(accepted) | set(acknowledged) | set(seen)):
            most = max(accepted[run], acknowledged[run], max(seen[run], default=0))  # nothing is missing before what came
            for count in range(1, most + 1):
                if count not in seen[run]:
                    verdict.complain("lost", f"message {count} of run {run}, accepted up to {accepted[run]}, acknowledged "
                                             f"up to {acknowledged[run]}, stored up to {max(seen[run], default=0)}")
        return verdict


def stored_bodies(cloud):
    database = next(path for path in sorted(cloud.folder.rglob("*")) if path.is_file() and
                    path.open("rb").read(16) == b"SQLite format 3\0")
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        for (body,) in connection.execute("SELECT body FROM log WHERE source='delivery' ORDER BY number"):
            yield body


def letters(seed):
    """As delivery.cpp makes them (splitmix64)."""
    while True:
        seed = (seed + 0x9e3779b97f4a7c15) & _MASK
        mixed = ((seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94d049bb133111eb) & _MASK
        yield mixed ^ (mixed >> 31)


def expected_body(run, count, bytes_max):
    numbers = letters(run * 1000003 + count)
    size = next(numbers) % bytes_max
    unit = bytes(97 + next(numbers) % 26 for _ in range(16))
    return f"{run} {count} ".encode() + (unit * (size // 16 + 1))[:size] + b"\n"
