"""How a test's world ends: what failed tells its whole story, and what passed must have left nothing and broken nothing."""

import contextlib
import os

import pytest


def pytest_configure(config):
    """Each host is a session of its own, and the kernel shares the processors out among sessions: a test that stood in
    one with all others would wait behind the rogues of another."""
    with contextlib.suppress(PermissionError):  # led by a shell: it is a group by itself
        os.setsid()


def pytest_addoption(parser):
    parser.addoption("--shard", default="1/1", help="K/N: only every N-th test, beginning with the K-th")


def pytest_collection_modifyitems(config, items):
    number, count = (int(part) for part in config.getoption("--shard").split("/"))
    items[:] = items[number - 1::count]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed_call = outcome.get_result().failed


def serve(world, request):
    """The body of a fixture: yields the world, and ends it."""
    yield world
    failed = getattr(request.node, "failed_call", False)
    story = world.story() if failed else ""
    world.close()
    if failed:
        print(story)
        print(f"---- the files are kept in {world.folder}")
        return
    faults, complaints = world.faults, sanitizer_complaints(world)
    last_words = world.story() if faults or world.left_running or complaints else ""
    world.remove()
    assert not faults, f"the device broke the protocol: {faults}\n{last_words}"
    assert not world.left_running, f"left running: {world.left_running}\n{last_words}"
    assert not complaints, f"{complaints}\n{last_words}"


def sanitizer_complaints(world):
    marks = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer")
    return [line for program in world.programs for line in program.lines() if any(mark in line for mark in marks)]
