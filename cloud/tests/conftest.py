"""The fixture `cloud`: a running hawser-cloud to which SERIAL is added."""

import signal

import pytest

from device import Cloud


@pytest.fixture
def cloud(tmp_path):
    made = Cloud(tmp_path / "cloud")
    made.add()
    made.start()
    yield made
    code = made.stop()
    text = made.log.read_text()
    print(text)
    assert code in (0, -signal.SIGKILL), f"the server ended with {code}"
