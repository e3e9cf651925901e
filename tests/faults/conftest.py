"""The fixture `lab`: see lab.py. And `world`, of the end-to-end tests, for rows that need no network of their own."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "end_to_end"))

import fixtures  # noqa: E402
import loopback  # noqa: E402, F401, for its effect
from fixtures import (pytest_addoption, pytest_collection_modifyitems, pytest_configure,  # noqa: E402, F401, hooks
                      pytest_runtest_makereport)
from harness import World  # noqa: E402
from lab import Lab, lab_can_stand  # noqa: E402

WHY_NOT = lab_can_stand()


@pytest.fixture
def lab(request):
    if WHY_NOT:
        pytest.skip(WHY_NOT)
    yield from fixtures.serve(Lab(), request)


@pytest.fixture
def world(request):
    yield from fixtures.serve(World(), request)
