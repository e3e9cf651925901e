"""How many round trips a connection takes, counted by a proxy that sees which end speaks, not by a clock."""

from basics import wait_for

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
