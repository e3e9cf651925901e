"""A device that lets go of its cloud, with a code that the cloud made."""

import sqlite3
import time

from basics import SERIAL


def code_for(cloud, serial=SERIAL):
    return cloud.command("unbinding-code", serial).stdout.strip()


def test_a_device_unbinds_and_is_added_by_another(world):
    """[conn-16] After `unbind CODE` the binding is gone at both ends, and the serial can be added again."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file).start()
    agent.wait_ready()
    code = code_for(cloud)
    agent.ctl("unbind", code)
    state = agent.wait_state(lambda state: state["cloud_connection_state"] != "Established", what="unbound")
    assert state["last_down_reason"] == "unbound"
    assert cloud.command("device", "show", SERIAL, expect=1).stderr
    assert SERIAL not in cloud.command("device", "list").stdout
    cloud.add(SERIAL)
    agent.ctl("reset")
    agent.wait_ready()
    assert cloud.device()["binding"]["key_thumbprint"]
    done = agent.ctl("unbind", code, expect=None)
    assert done.returncode == 1 and "used" in done.stdout + done.stderr


def test_wrong_expired_and_too_many_codes_say_so(world):
    """[conn-16] A wrong and an expired code say which; after five wrong ones the cloud refuses even the right one."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=[]).start()
    agent.wait_established()

    def refused(code):
        done = agent.ctl("unbind", code, expect=None)
        assert done.returncode == 1, done
        return done.stdout + done.stderr
    code = code_for(cloud)
    with sqlite3.connect(cloud.folder / "cloud.db") as database:
        # A minute ago: what expired long ago the cloud forgets, and then calls wrong.
        database.execute("UPDATE unbinding_code SET expires_at=?", (int((time.time() - 60) * 1000),))
    assert "expired" in refused(code)
    for _ in range(5):
        assert "wrong" in refused("AAAA2222")
    said = refused(code_for(cloud))
    assert "too_many_requests" in said or "too many" in said.lower(), said
    agent.wait_established()
    assert cloud.device()["binding"]["key_thumbprint"]
