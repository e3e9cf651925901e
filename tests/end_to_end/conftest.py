"""The fixture `world`: see harness.py."""

import pytest

import loopback  # noqa: F401, for its effect
from harness import World


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed_call = outcome.get_result().failed


@pytest.fixture
def world(request):
    world = World()
    yield world
    failed = getattr(request.node, "failed_call", False)
    story = world.story() if failed else ""
    world.close()
    if failed:
        print(story)
        print(f"---- the files are kept in {world.folder}")
    else:
        faults = [fault for part in world._parts for fault in getattr(part, "faults", [])]
        last_words = world.story() if faults or world.left_running or sanitizer_complaints(world) else ""
        complaints = sanitizer_complaints(world)
        world.remove()
        assert not faults, f"the device broke the protocol: {faults}\n{last_words}"
        assert not world.left_running, f"left running: {world.left_running}\n{last_words}"
        assert not complaints, f"{complaints}\n{last_words}"


def sanitizer_complaints(world):
    marks = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer")
    return [line for program in world.programs for line in program.lines() if any(mark in line for mark in marks)]
