"""How many round trips a connection takes, counted by a proxy that sees which end speaks, not by a clock."""

import struct

from basics import SERIAL, wait_for
from program import SLOWNESS

DELAY_S = 0.05  # of what goes to the device, so that what it sends without waiting has passed before the answer does


def test_the_main_connection_takes_nine_round_trips_at_most_and_seven_on_a_reconnect(world):
    """[perf-3] From nothing to the main connection at most 9 round trips, at most 7 after a loss."""
    cloud = world.scripted_cloud()
    cloud.mute = True  # nothing is answered after the 101, so that the count ends there
    authentication = world.proxy(cloud.auth_port)
    connection = world.proxy(cloud.main_port)
    authentication.delay_s = connection.delay_s = DELAY_S
    cloud.main_port = connection.port  # as the registration names it
    agent = world.agent(authentication.port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    first = authentication.round_trips + connection.round_trips
    # TCP, TLS, the nonce, the proof, the registration; TCP, TLS, the upgrade.
    assert first <= 9, (authentication.round_trips, connection.round_trips)

    connection.cut()
    wait_for(lambda: len(cloud.record.all("connect")) == 2, what="the second main connection")
    agent.wait_established()
    again = authentication.round_trips + connection.round_trips - first
    assert again <= 7, (authentication.round_trips, connection.round_trips, first)
    assert len(cloud.record.all("auth")) == 2  # the token served again


def test_reconnects_resume_their_tls_sessions(world):
    """[perf-3] Of the dials of 100 reconnects at least 95 % resume, as the server itself counts them."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    for number in range(1, 101):
        cloud.record.wait("main:subconnection_request", number)
        agent.ctl("reset")
    cloud.record.wait("main:subconnection_request", 101)
    agent.must_run()
    reconnects = [seen.data["resumed"] for seen in cloud.record.all("tls")[2:]]  # two have nothing to resume
    assert len(reconnects) >= 200 and sum(reconnects) >= 0.95 * len(reconnects), (sum(reconnects), len(reconnects))


RECONNECTS = 100


def is_resumed(greeting):
    """Whether this ServerHello takes up a session: in TLS 1.3 it names the one by its extension pre_shared_key (RFC 8446
    §4.2.11); what follows it is encrypted."""
    kind, _, _, message = struct.unpack_from(">BHHB", greeting)
    assert (kind, message) == (22, 2), greeting[:16].hex()
    at = 5 + 4 + 2 + 32              # record, message header, version, random
    at += 1 + greeting[at] + 2 + 1   # session id, cipher suite, compression
    end = at + 2 + struct.unpack_from(">H", greeting, at)[0]
    at, found = at + 2, set()
    while at < end:
        extension, length = struct.unpack_from(">HH", greeting, at)
        found.add(extension)
        at += 4 + length
    assert 43 in found, "not TLS 1.3: what resumes here cannot be seen from outside"
    return 41 in found


def test_subconnections_resume_their_tls_sessions(world):
    """[perf-3] Of 100 dials of a service after a loss at least 95 resume, as the server itself counts them."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=["hawser.monitoring"]).start()
    agent.wait_ready(("monitoring",))

    def dialled(number):
        """Waits for so many dials, and ends the waits between them, which grow."""
        def look():
            row = agent.subconnection("monitoring")
            if row.get("state") == "backoff":
                agent.ctl("reset")
            return cloud.record.count("resume:monitoring") >= number
        wait_for(look, 20, f"the dial {number} of the service")
    for number in range(RECONNECTS):
        cloud.abort("monitoring")
        dialled(number + 2)
    handshakes = [seen.data["resumed"] for seen in cloud.record.all("tls") if seen.port == cloud.service_port]
    assert len(handshakes) >= RECONNECTS + 1 and not handshakes[0]
    resumed = handshakes[1:RECONNECTS + 1]
    print(f"{sum(resumed)} of {len(resumed)} dials of the service resumed")
    assert sum(resumed) >= 0.95 * len(resumed), (sum(resumed), len(resumed))


def test_hawser_cloud_resumes_tls_sessions(world):
    """[perf-3] The same against hawser-cloud, counted by proxies before it from its ServerHello: authentication, main
    connection and subconnection, over 100 losses of all three."""
    cloud = world.cloud(serials=[SERIAL])
    authentication, connection = world.proxy(cloud.auth_port), world.proxy(cloud.port)
    cloud.advertise(connection.port)
    cloud.start()
    agent = world.agent(authentication.port, cloud.ca_file, plugins=["hawser.monitoring"]).start()
    agent.wait_ready(("monitoring",))
    fresh = len(authentication.greetings), len(connection.greetings)
    assert not any(is_resumed(each) for each in authentication.greetings)
    for _ in range(RECONNECTS):
        before = agent.state()
        for each in (authentication, connection):
            each.cut()

        def back():
            state = agent.state()
            row, was = (agent.subconnection("monitoring", each) for each in (state, before))
            if row["state"] == "backoff" or (state["next_attempt_in_s"] or 0) > 0:
                agent.ctl("reset")
            return (state["cloud_connection_state"] == "Established" and row["state"] == "ready"
                    and row["reconnects"] > was["reconnects"])
        wait_for(back, 20 * SLOWNESS, "main connection and service are back")
    for name, proxy, first in (("authentication", authentication, fresh[0]), ("connection", connection, fresh[1])):
        dials = [is_resumed(each) for each in proxy.greetings[first:]]
        print(f"{name}: {sum(dials)} of {len(dials)} dials resumed")
        assert len(dials) >= RECONNECTS and sum(dials) >= 0.95 * len(dials), (name, sum(dials), len(dials))
    assert len(connection.greetings) >= 2 * RECONNECTS, "one of the main connection and one of the service each time"
