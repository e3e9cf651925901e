"""Metrics: when they are sampled, and what the cloud may change."""

import json

from program import SLOWNESS


def moored(world, config='[config]\ninterval = "1h"\n'):
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugin_files={"hawser.monitoring": config}).start()
    agent.wait_ready()
    cloud.record.wait("data:monitoring")  # the sample at start
    return cloud, agent


def sample_time(payload):
    """When the sample was taken, in seconds."""
    metrics = json.loads(payload)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    points = next(value for value in metrics[0].values() if isinstance(value, dict))["dataPoints"]
    return int(points[0]["timeUnixNano"]) / 1e9


def test_the_cloud_changes_the_interval(world):
    """[mon-2] set_interval from the cloud changes the interval at once, without a restart."""
    cloud, agent = moored(world)
    pid = agent.host_of("monitoring")
    base = cloud.record.count("data:monitoring")
    cloud.send_text("monitoring", {"type": "set_interval", "interval_s": 1})
    # One at once, the next where the device's own raster of the new interval begins, then evenly spaced.
    cloud.record.wait("data:monitoring", base + 5, limit=10)
    # By the samples' own clock: a message waits for the disk before it is sent.
    times = [sample_time(payload) for payload in cloud.messages["monitoring"][base:base + 5]]
    assert times[1] - times[0] < 1 + 0.4 * SLOWNESS, times
    for earlier, later in zip(times[1:], times[2:]):
        assert abs(later - earlier - 1) < 0.4 * SLOWNESS, times
    assert agent.host_of("monitoring") == pid


def test_a_nonsense_interval_changes_nothing(world):
    """[mon-2] An interval outside 1 s to 1 h, or no number, changes nothing and ends nothing."""
    cloud, agent = moored(world, '[config]\ninterval = "1s"\n')
    for value in (0, -1, 3601, 1e9, "5", None, [], 1.5):
        cloud.send_text("monitoring", {"type": "set_interval", "interval_s": value})
    cloud.send_text("monitoring", {"type": "make_coffee"})
    seen = cloud.record.count("data:monitoring")
    cloud.record.wait("data:monitoring", seen + 3, limit=8)
    assert cloud.record.count("end:monitoring") == 0
    assert agent.subconnection("monitoring")["restarts"] == 0


def test_samples_carry_their_own_time(world):
    """[mon-2] Samples follow each other at the interval, by their own times, which are of this minute."""
    import time

    from test_recovery import sample_time
    cloud, _ = moored(world, '[config]\ninterval = "1s"\n')
    cloud.record.wait("data:monitoring", 4, limit=10)
    times = [sample_time(message) for message in cloud.messages["monitoring"]]
    assert times == sorted(set(times))
    assert abs(times[-1] / 1e9 - time.time()) < 60
    for message in cloud.messages["monitoring"]:
        points = [point for scope in json.loads(message)["resourceMetrics"][0]["scopeMetrics"]
                  for metric in scope["metrics"]
                  for kind in ("sum", "gauge") if kind in metric for point in metric[kind]["dataPoints"]]
        assert points and all(isinstance(point["timeUnixNano"], str) for point in points)
        assert all(isinstance(point["asInt"], str) for point in points if "asInt" in point), "64-bit numbers are text"
