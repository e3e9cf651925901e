"""What a scripted cloud saw, in order, and a way to wait for it."""

import threading
import time
from dataclasses import dataclass, field


@dataclass
class Seen:
    step: str
    at: float
    port: int = 0
    data: dict = field(default_factory=dict)

    def __str__(self):
        return f"{self.at:9.3f} {self.step:28} {self.port or '':5} {str(self.data)[:160]}"


class Record:
    """Written on the background loop, read and waited on by tests."""

    def __init__(self):
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self._seen = []

    def add(self, step, port=0, **data):
        with self._changed:
            self._seen.append(Seen(step, time.monotonic() - self._began, port, data))
            self._changed.notify_all()

    def all(self, step=None):
        """Every entry of that step; a step that ends with ':' stands for all that begin so."""
        with self._changed:
            return [seen for seen in self._seen
                    if step is None or seen.step == step or (step.endswith(":") and seen.step.startswith(step))]

    def count(self, step):
        return len(self.all(step))

    def steps(self):
        return [seen.step for seen in self.all()]

    def wait(self, step, count=1, limit=20):
        """Waits until the step was seen `count` times in all; returns the last of these."""
        end = time.monotonic() + limit
        with self._changed:
            while True:
                found = [seen for seen in self._seen if seen.step == step]
                if len(found) >= count:
                    return found[count - 1]
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"the scripted cloud saw {step!r} {len(found)} times, not {count}, "
                                         f"within {limit} s")
                self._changed.wait(left)

    def story(self):
        return "\n".join(str(seen) for seen in self.all())
