"""A spool that another version of the agent has left behind."""

import pytest
from basics import SERIAL, wait_for
from delivery import PLUGIN, Delivery

SEGMENT_HEADER, RECORD_HEADER, LATER = 32, 32, 2
FEW = 50


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def as_of_a_later_version(segment):
    """The segment with another version in its header, its checksum right: as a later agent would have written it."""
    data = bytearray(segment.read_bytes())
    number = int(segment.stem, 16).to_bytes(8, "little")
    assert data[:7] == b"HWSPOOL" and data[28:32] == crc32c(data[:28] + number).to_bytes(4, "little")
    data[7] = LATER
    data[28:32] = crc32c(data[:28] + number).to_bytes(4, "little")
    segment.write_bytes(data)


@pytest.fixture
def waiting(world):
    """(cloud, agent, delivery): messages wait in the spool of an agent that was stopped before it saw a cloud."""
    cloud = world.cloud(serials=[SERIAL])
    delivery = Delivery(world)
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=[PLUGIN], plugin_dir=delivery.plugins(),
                        plugin_files=delivery.files(), log_level="info").start()
    wait_for(lambda: sum(delivery.claims("A").values()) > FEW, 20, "messages are in the spool")
    assert agent.stop() == 0
    return cloud, agent, delivery


def segments(agent, suffix=".seg"):
    return sorted(path for path in agent.state_dir.rglob(f"*{suffix}"))


def drained(delivery):
    delivery.pause()
    wait_for(delivery.drained, 60, "everything is acknowledged")


def test_an_upgrade_finds_an_old_spool(waiting):
    """[F88] [data-1] What one agent left in its spool the next one sends, once and in order, behind it what is new."""
    cloud, agent, delivery = waiting
    cloud.start()
    agent.start()
    agent.wait_ready(["log_upload"])
    drained(delivery)
    verdict = delivery.judge(cloud)
    assert verdict.good() and verdict.runs == 2, (verdict.rows(), verdict.complaints[:10])


def test_a_downgrade_finds_a_spool_of_a_later_version(waiting):
    """[F88] [B59] What an earlier agent cannot read it sets aside under another name and says so; new messages pass. The
    later version, back again, finds what was set aside as it was."""
    cloud, agent, delivery = waiting
    later = segments(agent)
    assert later
    for segment in later:
        as_of_a_later_version(segment)
    kept = {segment.name: segment.read_bytes() for segment in later}
    cloud.start()
    agent.start()
    agent.program.wait_line(r"\.unknown")
    agent.wait_ready(["log_upload"])
    drained(delivery)
    set_aside = segments(agent, ".unknown")
    assert {path.name.removesuffix(".unknown"): path.read_bytes() for path in set_aside} == kept
    verdict = delivery.judge(cloud)
    assert verdict.stored > 0 and verdict.repeated == verdict.disordered == verdict.damaged == 0, verdict.complaints[:10]
    assert verdict.lost >= FEW, "those that were set aside, and nothing of what came after"
    run = max(delivery.claims("A"))
    assert not [words for words in verdict.complaints if f"of run {run}," in words], verdict.complaints[:10]
    dropped = agent.subconnection("log_upload")["dropped"]
    assert sum(dropped.values()) >= FEW, dropped
