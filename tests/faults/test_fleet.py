"""A fleet of real agents that loses its cloud in one moment. A herd of 200 light devices stands in cloud/tests."""

import re

from basics import wait_for
from program import SLOWNESS
from rows import logged_at

DEVICES, SPREAD_S = 12, 20


def wait_after_the_loss(agent, since):
    """The seconds between the loss of the main connection and the first request after it, by the agent's own log."""
    lines = agent.program.lines_since(since)
    lost = next((at for at, line in enumerate(lines) if re.search("Request_success -> Waiting", line)), None)
    if lost is None:
        return None
    again = next((line for line in lines[lost:] if "Waiting -> Connecting" in line), None)
    return again and (logged_at(again) - logged_at(lines[lost])).total_seconds()


def test_a_fleet_comes_back_in_the_clouds_spread(world):
    """[F58] [conn-19] hawser-cloud is killed and started again: each of its devices waits a part of the spread that it was
    told, by chance and no more than that, so that they do not come in one moment; all of them are back."""
    serials = [f"HW-FLEET-{number:02}" for number in range(DEVICES)]
    cloud = world.cloud(serials=serials)
    cloud.config.write_text(cloud.config.read_text() + f"\n[fleet]\nreconnect_spread_s = {SPREAD_S}\n")
    cloud.start()
    agents = [world.agent(cloud.auth_port, cloud.ca_file, name=f"device-{serial[-2:]}", serial=serial, plugins=[]).start()
              for serial in serials]
    for agent in agents:
        agent.wait_established()
    marks = [agent.program.mark() for agent in agents]
    cloud.kill()
    cloud.start()

    def all_asked():
        found = [wait_after_the_loss(agent, mark) for agent, mark in zip(agents, marks)]
        return None if None in found else found
    waits = sorted(wait_for(all_asked, SPREAD_S + 10, "every device has asked again", pause=0.2))
    assert 0 <= waits[0] and waits[-1] <= SPREAD_S + SLOWNESS, waits
    assert waits[-1] - waits[0] > 0.3 * SPREAD_S, f"they came together: {waits}"  # by chance once in 50,000 times
    at_once = max(sum(first <= wait < first + 1 for wait in waits) for first in waits)
    assert at_once <= DEVICES * 2 // 3, f"{at_once} of {DEVICES} within a second: {waits}"
    for agent in agents:
        agent.wait_established()
