"""A vendor's plugin on the device and the vendor's own program behind the cloud, by the programs as their users start them."""

import os
import signal
import sqlite3
import sys
from pathlib import Path

import basics
from basics import SERIAL, wait_for

EXAMPLE = Path(__file__).resolve().parents[2] / "sdk" / "examples" / "microservice" / "heartbeat_service.py"
PLUGIN = "com.example.heartbeat"
ENOUGH = 40


def beats(database):
    with sqlite3.connect(database) as opened:
        return opened.execute("SELECT serial, stream, seq, beat FROM beats ORDER BY stream, seq").fetchall()


def test_a_vendors_service_from_end_to_end(world):
    """[cloud-5] [data-1] The template's plugin beats to the example microservice through agent and gateway, while plugin
    host, cloud and agent are killed: every number is there once, without a gap, from a device that the gateway knows."""
    cloud, database, port = world.cloud(serials=[SERIAL]), world.folder / "beats.db", basics.free_port()
    (cloud.folder / "heartbeat.key").write_text("kept-between-these-two\n")
    cloud.config.write_text(cloud.config.read_text() + f"""
[[microservice]]
service = "heartbeat"
protocol = "example.heartbeat.v1"
url = "ws://127.0.0.1:{port}/"
key_file = "heartbeat.key"
""")
    service = world.start("microservice", [sys.executable, EXAMPLE, database, "--port", port, "--key-file",
                                           cloud.folder / "heartbeat.key"], place="cloud")
    service.wait_line("listening")
    cloud.start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=[PLUGIN, "hawser.monitoring"],
                        plugin_files={PLUGIN: "[config]\nperiod_ms = 20\n"}).start()
    agent.wait_ready(["heartbeat", "monitoring"])

    def go_on():
        seen = len(beats(database))
        wait_for(lambda: len(beats(database)) >= seen + ENOUGH, 60, "beats arrive")
    go_on()
    os.kill(agent.subconnection("heartbeat")["host_pid"], signal.SIGKILL)
    go_on()
    cloud.kill()
    cloud.start()
    go_on()
    agent.kill()
    agent.start()
    go_on()
    rows = beats(database)
    assert {(serial, beat) for serial, _, _, beat in rows} == {(SERIAL, "beat")}
    for stream in {row[1] for row in rows}:
        numbers = [row[2] for row in rows if row[1] == stream]
        assert numbers == list(range(1, len(numbers) + 1)), numbers
    service.stop()
