"""Log lines arrive, each once, through rotation, kills and outages."""

import json
import os
import struct

import pytest
from basics import SERIAL, wait_for


def settings(*paths, start="beginning"):
    names = ", ".join(f'"{path}"' for path in paths)
    return {"hawser.log_upload": f'[[config.sources]]\nname = "app"\npaths = [{names}]\nfrom = "{start}"\n'}


class Writer:
    """A program that logs to a file and rotates it by renaming, as logrotate without copytruncate does."""

    def __init__(self, path):
        self.path, self.written, self.rotations = path, [], 0
        self.file = open(path, "ab", buffering=0)

    def write(self, count, text="the quick brown fox"):
        for _ in range(count):
            line = f"{len(self.written):06d} {text}"
            self.written.append(line)
            self.file.write(line.encode() + b"\n")

    def rotate(self):
        self.rotations += 1
        os.rename(self.path, self.path.with_name(f"{self.path.name}.{self.rotations}"))
        self.file.close()
        self.file = open(self.path, "ab", buffering=0)


def pieces(cloud):
    """(header, body) of every message that the cloud stored."""
    found = []
    for payload in cloud.messages.get("log_upload", []):
        length = struct.unpack(">I", payload[:4])[0]
        assert length <= 4096
        found.append((json.loads(payload[4:4 + length]), payload[4 + length:]))
    return found


def assembled(cloud):
    """The text of each file, put together by offsets as the protocol has it: {file_id: bytes}, in order of arrival.

    A piece that came twice (after a kill, before its acknowledgement was stored) must carry the same bytes."""
    files = {}
    for header, body in pieces(cloud):
        if header.get("pull"):
            continue
        text = files.setdefault(header["file_id"], bytearray())
        begin, end = header["offset"], header["end_offset"]
        assert end - begin == len(body), header
        assert begin <= len(text), f"a gap before {header}"
        assert text[begin:end] == body[:len(text) - begin], f"other bytes for {header}"
        text[begin:end] = body
        assert body.count(b"\n") + bool(header.get("partial")) >= header["lines"] >= 1
    return files


def lines(cloud):
    return [line.decode() for text in assembled(cloud).values() for line in text.splitlines()]


def moored(world, log, cloud=None):
    cloud = cloud or world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugin_files=settings(log)).start()
    agent.wait_ready()
    return cloud, agent


def all_arrived(cloud, writer):
    return lambda: len(lines(cloud)) >= len(writer.written)


def test_lines_arrive_in_order(world):
    """[log-2] Lines that stand in a file and lines that are added arrive in order, each once."""
    writer = Writer(world.folder / "app.log")
    writer.write(1000)
    cloud, _ = moored(world, writer.path)
    writer.write(500)
    wait_for(all_arrived(cloud, writer), 20, "1500 lines at the cloud")
    assert lines(cloud) == writer.written
    header, _ = pieces(cloud)[0]
    assert header["source"] == "app" and header["format"] == "text" and header["first_at"]


def test_rotation_and_a_host_kill_lose_and_repeat_nothing(world):
    """[log-2] Through rotations by rename and a killed host every line arrives, and once when put together by
    offset."""
    writer = Writer(world.folder / "app.log")
    cloud, agent = moored(world, writer.path)
    for kill in (False, True, True, False):
        agent.wait_ready(limit=40)
        writer.write(100)
        known = writer.written[-1]  # a file that was rotated away before anybody saw it could not be found again
        wait_for(lambda: known in lines(cloud), 30, "a line of the present file")
        writer.write(300)
        if kill:
            agent.kill_host("log_upload")
        writer.write(300)
        writer.rotate()
        writer.write(300)
    wait_for(all_arrived(cloud, writer), 60, "every line at the cloud")
    assert sorted(lines(cloud)) == writer.written
    assert len(assembled(cloud)) == writer.rotations + 1
    assert cloud.record.count("hello:log_upload") >= 2


def test_each_line_stands_once_at_hawser_cloud(world):
    """[log-2] hawser-cloud shows each line once, in order, after a rotation, a killed host and a killed agent."""
    writer = Writer(world.folder / "app.log")
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugin_files=settings(writer.path)).start()
    agent.wait_ready()
    writer.write(2000)
    writer.rotate()
    writer.write(2000)
    agent.kill_host("log_upload")
    writer.write(2000)
    agent.wait_ready(limit=40)
    agent.kill()
    writer.write(2000)
    agent.start()
    agent.wait_ready(limit=40)

    def shown():
        found = [line for line in cloud.command("logs", SERIAL, "--source", "app").stdout.splitlines()
                 if "the quick brown fox" in line]
        return found if len(found) >= len(writer.written) else None
    found = wait_for(shown, 60, "8000 lines at hawser-cloud", pause=0.5)
    assert [line[line.index(" the quick") - 6:] for line in found] == writer.written


@pytest.mark.parametrize("stored", [True, False], ids=["only the acknowledgement was lost", "the cloud stored nothing"])
def test_the_position_moves_with_the_acknowledgement(world, stored):
    """[log-2] [data-1] What the cloud has not is sent again by the next agent, under the same stream and numbers; what
    it has is not, acknowledged or not."""
    writer = Writer(world.folder / "app.log")
    cloud, agent = moored(world, writer.path)
    writer.write(10)
    wait_for(all_arrived(cloud, writer), 20, "ten lines")
    agent.wait_state(lambda state: agent.subconnection("log_upload", state)["queued_messages"] == 0, what="all acked")
    stream, known = dict(cloud.streams["log_upload"]), len(pieces(cloud))
    cloud.acks = False
    writer.write(10)
    wait_for(all_arrived(cloud, writer), 20, "twenty lines")
    again = pieces(cloud)[known:]
    agent.kill()
    if not stored:
        cloud.streams["log_upload"]["acked"] = stream["acked"]
        del cloud.messages["log_upload"][known:]
    cloud.acks = True
    agent.start()
    agent.wait_ready()
    wait_for(all_arrived(cloud, writer), 30, "twenty lines after the kill")
    writer.write(10)
    wait_for(all_arrived(cloud, writer), 30, "thirty lines")
    assert cloud.streams["log_upload"]["stream"] == stream["stream"] and not cloud.faults
    assert pieces(cloud)[known:known + len(again)] == again, "the same messages, under the same numbers"
    assert b"".join(body for _, body in pieces(cloud)).decode().splitlines() == writer.written, "each once"


def test_bytes_pass_unchanged(world):
    """Binary bytes, empty lines, long lines and a last line without newline arrive as they stand."""
    log = world.folder / "app.log"
    content = b"\x00\xff\xfe binary \x1b[31m\n\n\n" + b"long " * 30000 + b"\nafter\n" + "Grüße\r\n".encode()
    log.write_bytes(content + b"no end")
    cloud, _ = moored(world, log)
    wait_for(lambda: b"".join(assembled(cloud).values()) == content, 20, "the content, up to its last newline")
    with open(log, "ab") as file:
        file.write(b" yet\n")
    wait_for(lambda: b"".join(assembled(cloud).values()) == content + b"no end yet\n", 20, "the last line")
    assert any(header.get("partial") for header, _ in pieces(cloud)), "the long line is marked"


def test_files_that_come_and_a_pattern(world):
    """A pattern takes up files that appear later, each with an id of its own; what does not match stays here."""
    folder = world.folder / "logs"
    folder.mkdir()
    cloud, _ = moored(world, folder / "*.log")
    one, two = Writer(folder / "one.log"), Writer(folder / "two.log")
    one.write(50, "from one")
    two.write(50, "from two")
    (folder / "secret.txt").write_text("not for the cloud\n")
    wait_for(lambda: len(lines(cloud)) >= 100, 30, "100 lines of two files")
    texts = sorted(assembled(cloud).values())
    assert len(texts) == 2 and texts[0].count(b"\n") == texts[1].count(b"\n") == 50
    assert not any("not for the cloud" in line for line in lines(cloud))


def test_an_outage_delays_lines_and_loses_none(world):
    """[log-2] Lines written while the cloud cannot be reached arrive afterwards, each once."""
    writer = Writer(world.folder / "app.log")
    cloud = world.scripted_cloud()
    proxy = world.proxy(cloud.service_port)
    cloud.service_port = proxy.port
    cloud, agent = moored(world, writer.path, cloud)
    writer.write(200)
    proxy.cut()
    proxy.refusing = True
    writer.write(5000)
    writer.rotate()
    writer.write(5000)
    proxy.refusing = False
    wait_for(all_arrived(cloud, writer), 60, "10200 lines at the cloud")
    assert sorted(lines(cloud)) == writer.written
    agent.wait_ready(limit=40)
