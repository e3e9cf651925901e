"""The fixture `world`: see harness.py."""

import fixtures
import loopback  # noqa: F401, for its effect
import pytest
from fixtures import (pytest_addoption, pytest_collection_modifyitems, pytest_configure,  # noqa: F401, hooks
                      pytest_runtest_makereport)
from harness import World


@pytest.fixture
def world(request):
    yield from fixtures.serve(World(), request)
