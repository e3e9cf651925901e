"""What an operator sees: doctor, bundle, history and the guide's command line, with the real programs."""

import asyncio
import datetime
import email.utils
import json
import os
import ssl
import subprocess
from pathlib import Path

import basics
from basics import SERIAL
from certificates import Authority
from wire import Answer, Request


def ctl(agent, *words, expect=0, limit=90):
    return agent.world.run([basics.built("hawserctl"), "--socket", agent.socket, "--config", agent.config,
                            "--state-dir", agent.state_dir, *words], expect=expect, limit=limit)


def doctor(agent, *, expect):
    """The findings of `hawserctl doctor`: {(group's beginning, step): [rows]}, in order."""
    done = ctl(agent, "doctor", "--json", expect=expect, limit=60)
    answer = json.loads(done.stdout)
    assert answer["ok"] == (expect == 0)
    return answer["steps"]


def of(steps, name):
    rows = [row for row in steps if row["step"] == name]
    assert rows, f"no step {name} in {json.dumps(steps, indent=1)}"
    return rows


def refusal_with(headers):
    """The answer to an authentication without a proof, with other headers."""
    def answer(request):
        if "proof" in request.json():
            return None
        return Answer(401, {"error": {"code": "nonce_required", "message": "x"}},
                      {"Hawser-Nonce": "A" * 32, **headers})
    return answer


def http_date(days):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return email.utils.format_datetime(moment, usegmt=True)


class UploadSink:
    """An HTTPS server that takes what is put to /put, and answers 403 elsewhere."""

    def __init__(self, world, authority=None):
        self.received = []
        chain, key = (authority or world.authority).issue(["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)

        async def serve(reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
            method, target, _ = first.split(" ")
            good = target.startswith("/put")
            if good:
                body = await reader.readexactly(int(headers["content-length"]))
                self.received.append((Request(method, target, headers), body))
            writer.write(Answer(204 if good else 403, "").encode())
            await writer.drain()
            writer.close()

        async def start():
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            return server.sockets[0].getsockname()[1]
        self.port = world.background.run(start())

    def url(self, path):
        return f"https://127.0.0.1:{self.port}{path}"


def test_doctor_finds_nothing_where_all_is_well_and_disturbs_nobody(world):
    """[state-3] doctor walks from the name to every service, and a connected agent stays connected meanwhile."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, domain="127.0.0.1").start()
    before = agent.wait_ready()
    steps = doctor(agent, expect=0)
    for name in ("configuration", "agent", "ca_file", "DNS", "route", "TCP", "TLS", "cloud", "clock", "authentication",
                 "upgrade"):
        assert all(row["result"] == "ok" for row in of(steps, name)), of(steps, name)
    registration = of(steps, "registration")[0]
    assert registration["result"] == "skipped" and "the agent is connected: registered at" in registration["detail"]
    for service in basics.SERVICES:
        assert of(steps, service)[0]["result"] == "ok"
        assert "HTTP 401" in of(steps, service)[0]["detail"]
    after = agent.state()
    assert after["connected_at"] == before["connected_at"], "the main connection was disturbed"
    for service in basics.SERVICES:
        assert agent.subconnection(service, after)["since"] == agent.subconnection(service, before)["since"]
    text = ctl(agent, "doctor", limit=60).stdout
    assert "Server 127.0.0.1:" in text and "0 failures" in text


def test_doctor_without_an_agent_goes_as_far_as_the_clouds_first_answer(world):
    """[state-3] Without an agent doctor walks to TLS and the first answer, and names what needs one."""
    cloud = world.scripted_cloud(name="127.0.0.1")
    agent = world.agent(cloud.auth_port, world.authority.file, domain="127.0.0.1", plugins=[])
    steps = doctor(agent, expect=0)
    assert of(steps, "cloud")[0]["result"] == "ok"
    assert of(steps, "agent")[0]["result"] == "skipped"
    assert "authentication, registration, upgrade and services" in of(steps, "agent")[0]["detail"]
    assert of(steps, "authentication")[0]["result"] == "skipped"
    assert not [row for row in steps if row["step"] in ("registration", "upgrade")]
    assert cloud.record.count("register") == 0 and not cloud.faults


def test_doctor_registers_only_where_nothing_is_connected(world):
    """[state-3] With an agent that is not connected doctor goes on to registration and upgrade, and connects
    nothing."""
    cloud = world.scripted_cloud(name="127.0.0.1")
    cloud.always("connect", Answer(503, "", {"Retry-After": "3600"}))
    agent = world.agent(cloud.auth_port, world.authority.file, domain="127.0.0.1", plugins=[]).start()
    agent.wait_state(lambda state: state["next_attempt_in_s"], what="a wait between attempts")
    cloud.clear("connect")
    steps = doctor(agent, expect=0)
    assert of(steps, "authentication")[0]["result"] == "ok"
    assert of(steps, "registration")[0]["result"] == "ok"
    assert of(steps, "upgrade")[0]["result"] == "ok" and "HTTP 401" in of(steps, "upgrade")[0]["detail"]
    assert cloud.main is None, "doctor opened a main connection"


def test_doctor_tries_every_server_and_names_what_to_do(world):
    """[state-3] Every server is tried even when one works; a closed port, a foreign authority and a stranger are
    named."""
    good = world.scripted_cloud(name="127.0.0.1")
    stranger = world.scripted_cloud(name="127.0.0.1")
    stranger.always("auth", Answer(200, "<html>It works!</html>", content_type="text/html"))
    other = Authority(world.folder / "other", "Somebody else's CA")
    foreign = world.scripted_cloud(name="127.0.0.1", certificates={"auth": other.issue(["127.0.0.1"])})
    closed = basics.free_port()
    agent = world.agent(good.auth_port, world.authority.file, domain="127.0.0.1", plugins=[])
    servers = [("primary", "127.0.0.1", [good.auth_port, stranger.auth_port]), ("backup", "localhost", [foreign.auth_port]),
               ("backup", "127.0.0.2", [closed])]
    agent.write_config("conf.d/10-servers.toml", "".join(
        f'[[cloud.server]]\nrole = "{role}"\ndomain = "{name}"\nports = {ports}\n' for role, name, ports in servers))
    steps = doctor(agent, expect=1)

    def seen(port, step):
        return [row for row in steps if f":{port} " in row["group"] and row["step"] == step][0]
    assert seen(good.auth_port, "cloud")["result"] == "ok"
    assert seen(stranger.auth_port, "cloud")["reason"] == "bad_response"
    assert seen(foreign.auth_port, "TLS")["reason"] == "tls_failed"
    assert seen(closed, "TCP")["reason"] == "connect_refused"
    for row in steps:
        assert (row["result"] == "failed") == bool(row["reason"]), row
        assert row["result"] != "failed" or row["advice"], row


def test_doctor_names_a_clock_that_is_far_ahead(world):
    """[state-3] [conn-23] A clock far ahead of the cloud's is named, also where it makes the certificate look
    expired."""
    cloud = world.scripted_cloud(name="127.0.0.1")
    cloud.always("auth", refusal_with({"Date": http_date(-2)}))
    agent = world.agent(cloud.auth_port, world.authority.file, domain="127.0.0.1", plugins=[])
    clock = of(doctor(agent, expect=1), "clock")[-1]
    assert clock["result"] == "failed" and "02d 00h 00m" in clock["detail"] and "ahead of" in clock["detail"]
    old = world.scripted_cloud(name="127.0.0.1",
                               certificates={"auth": world.authority.issue(["127.0.0.1"], days=(-1, -0.2))})
    old.always("auth", refusal_with({"Date": http_date(-0.5)}))
    late = world.agent(old.auth_port, world.authority.file, domain="127.0.0.1", plugins=[], name="late")
    steps = doctor(late, expect=1)
    assert of(steps, "TLS")[0]["reason"] == "certificate_clock"
    assert "00d 12h 0" in of(steps, "clock")[-1]["detail"] and "ahead of" in of(steps, "clock")[-1]["detail"]


def test_a_bundle_is_uploaded_over_verified_tls_and_holds_no_secret(world):
    """[state-4] bundle --upload puts the archive to an https URL, without a token, and only over verified TLS."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, domain="127.0.0.1", plugins=["hawser.monitoring"]).start()
    agent.wait_ready(["monitoring"])
    sink = UploadSink(world)
    agent.write_config("conf.d/90-ca.toml", f'[cloud.tls]\nca_file = "{world.authority.file}"\n')
    ctl(agent, "bundle", "--upload", sink.url("/put?id=7"))
    request, body = sink.received[0]
    assert request.method == "PUT" and request.target == "/put?id=7" and not request.bearer
    archive = world.folder / "got.tar.zst"
    archive.write_bytes(body)
    names = world.run(["tar", "--zstd", "-tf", archive]).stdout
    for name in ("agent/state.json", "agent/history.json", "config/hawser.toml", "doctor.txt", "versions.txt"):
        assert name in names, names
    refused = ctl(agent, "bundle", "--upload", sink.url("/no"), expect=1, limit=90)
    assert "answers HTTP 403" in refused.stderr
    other = UploadSink(world, Authority(world.folder / "other", "Somebody else's CA"))
    untrusted = ctl(agent, "bundle", "--upload", other.url("/put"), expect=1, limit=90)
    assert "Somebody else's CA" in untrusted.stderr and not other.received


def bundle_of(agent, name):
    """{file in the archive: its text} of a new bundle, and what hawserctl printed."""
    archive = agent.world.folder / f"{name}.tar.zst"
    printed = ctl(agent, "bundle", "--output", archive).stdout
    folder = agent.world.folder / name
    folder.mkdir()
    agent.world.run(["tar", "--zstd", "--strip-components=1", "-xf", archive, "-C", folder])
    return {str(path.relative_to(folder)): path.read_text(errors="replace")
            for path in folder.rglob("*") if path.is_file()}, printed


def test_a_bundle_has_the_agents_log_where_no_journal_keeps_it(world):
    """[state-4] Whatever standard error is, the last lines of hawserd are in the bundle; where it is a file its end is,
    too, with the lines of earlier starts; without an agent the operator is told why there is none and where to look."""
    agent = world.agent(basics.free_port(), world.authority.file, domain="127.0.0.1", plugins=[]).start()
    agent.wait_failure("connect_refused")
    files, printed = bundle_of(agent, "piped")
    lines = files["log/agent_last_lines.txt"]
    assert "hawserd: hawserd " in lines and "connect_refused" in lines
    assert "log/agent.txt" not in files and "Warning" not in printed, printed
    agent.stop()

    log, plain = world.folder / "hawserd.log", agent.arguments()
    log.write_text("a line of the start before\n")
    agent.arguments = lambda: ["sh", "-c", 'exec "$@" 2>>"$0"', log, *plain]
    agent.start()
    agent.wait_failure("connect_refused")
    files, printed = bundle_of(agent, "filed")
    assert files["log/agent.txt"].startswith("a line of the start before\n") and "connect_refused" in files["log/agent.txt"]
    agent.stop()

    files, printed = bundle_of(agent, "none")
    if "log/journal.txt" not in files:  # on a machine that runs hawserd as a unit there is one
        missing = files["missing.txt"]
        assert "log/agent_last_lines.txt: no agent is running" in missing and "log/journal.txt: " in missing, missing
        for told in (missing, printed):
            assert "the agent's log is not in this bundle: hawserd writes it to its standard error" in told, told


def test_history_tells_of_the_way_up(world):
    """[state-2] history shows the connection that came up, and what ended it."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_established()
    cloud.close_main(1012, "restarting")
    agent.wait_state(lambda state: state["last_down_reason"], what="a loss")
    agent.wait_established()
    kinds = [event["kind"] for event in json.loads(ctl(agent, "history", "--json").stdout)["events"]]
    assert kinds.count("up") >= 2 and kinds.index("up") < kinds.index("down")
    table = ctl(agent, "history").stdout
    assert table.splitlines()[0].split()[:3] == ["Time", "Kind", "Service"] and "cloud restarting" in table


def test_the_manual_page_names_every_command():
    """[state-5] man finds no fault in hawserctl(1), and every command of --help stands in it."""
    page = Path(__file__).resolve().parents[2] / "packaging" / "man" / "hawserctl.1"
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100", "MANROFFOPT": ""}
    shown = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", page], capture_output=True, text=True,
                           env=environment, timeout=30)
    assert shown.returncode == 0 and shown.stderr == ""
    helped = subprocess.run([basics.built("hawserctl"), "--help"], capture_output=True, text=True, timeout=30).stdout
    commands = [line.split()[0] for line in helped.split("Subcommands:")[1].splitlines()
                if line.startswith("  ") and not line.startswith("   ")]
    assert len(commands) >= 10
    for command in commands:
        assert command in shown.stdout, f"hawserctl(1) lacks {command}"
