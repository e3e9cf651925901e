"""What operators do at the cloud to a real device: its history, its services."""

import json

from basics import SERIAL, wait_for


def told(events):
    return [(each["kind"], each["service"] or "", each["reason"] or "", each["detail"] or "") for each in events]


def test_both_ends_tell_the_same_history(world):
    """[state-2] Every event that the cloud has of the device stands in hawserctl's history, reason and detail alike."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=["hawser.monitoring"]).start()
    agent.wait_ready(["monitoring"])
    cloud.command("device", "reconnect", SERIAL)

    def histories():
        mine = told(json.loads(agent.ctl("history", "--json").stdout)["events"])
        there = json.loads(cloud.command("device", "history", SERIAL, "--json").stdout)["events"]
        reported = told(each for each in there if each["side"] == "device")
        ups = [each for each in there if each["side"] == "cloud" and each["kind"] == "up" and each["service"] == ""]
        back = len(ups) >= 2 and sum(kind == "down" for kind, *_ in reported) >= 1
        return (mine, reported, there) if back else None
    mine, reported, there = wait_for(histories, 30, "a loss and a return in the cloud's history")
    assert set(reported) <= set(mine), (set(reported) - set(mine), mine)
    assert {"up", "down"} <= {kind for kind, *_ in reported}
    down = next(each for each in there if each["side"] == "cloud" and each["kind"] == "down" and each["service"] == "")
    assert (down["code"], down["peer"], down["reason"]) == (1000, "127.0.0.1", "normal")


def test_a_service_is_taken_from_a_device_and_given_back(world):
    """[cloud-1] `service disable` revokes a real device's subconnection, `enable` brings it back without a restart."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file).start()
    agent.wait_ready()
    cloud.command("service", "disable", SERIAL, "log_upload")
    agent.wait_state(lambda state: agent.subconnection("log_upload", state)["state"] != "ready", what="revoked")
    agent.wait_ready(("monitoring", "config_push"))
    cloud.command("service", "enable", SERIAL, "log_upload")
    agent.wait_ready()
