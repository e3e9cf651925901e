"""Revisions of configuration: checked, applied all or nothing, put back when something fails."""

import base64
import grp
import hashlib
import json
import os
import pwd
import re
import stat

import pytest

from basics import SERIAL, wait_for


class Site:
    """A folder that the cloud may write, and an agent with one action that notes what it saw."""

    def __init__(self, world, cloud, port, ca_file, action="seen", prepare=lambda agent: None):
        """`prepare`: what is done with the agent before it starts."""
        self.folder = world.folder / "managed"
        self.folder.mkdir()
        self.marks = world.folder / "marks"
        self.a, self.b = self.folder / "a.conf", self.folder / "b.conf"
        self.a.write_text("one\ntwo\n")
        self.a.chmod(0o640)
        script = world.folder / "reload"
        # Notes the content at reload; fails while the content asks for it.
        script.write_text(f'#!/bin/sh\ncat "{self.a}" >>"{self.marks}"\necho -- >>"{self.marks}"\n'
                          f'! grep -q broken "{self.a}"\n')
        script.chmod(0o755)
        text = (f'[config]\nallowed = ["{self.folder}/**"]\n'
                f'[actions.{action}]\ncommand = ["{script}"]\ntime_limit = "10s"\n')
        self.cloud = cloud
        self.agent = world.agent(port, ca_file, plugin_files={"hawser.config_push": text})
        prepare(self.agent)
        self.agent.start()
        self.agent.wait_ready()

    def reloads(self):
        """What the action saw, one text per run."""
        return self.marks.read_text().split("--\n")[:-1] if self.marks.exists() else []

    # ---- with the scripted cloud

    def push(self, revision, files, mode="apply", reload=("seen",), timeout_s=20):
        self.cloud.push("config_push", {"type": "apply", "revision": revision, "mode": mode, "part": 1, "parts": 1,
                                        "confirm_timeout_s": timeout_s, "files": files, "reload": list(reload)})

    def statuses(self, revision):
        found = [json.loads(payload) for payload in self.cloud.messages.get("config_push", [])]
        assert all(status["type"] == "status" for status in found)
        return [status for status in found if status["revision"] == revision]

    def wait_status(self, revision, *states, limit=20):
        def look():
            for status in self.statuses(revision):
                if status["state"] in states:
                    return status
            return None
        return wait_for(look, limit, f"revision {revision} {' or '.join(states)}, not only "
                                     f"{[status['state'] for status in self.statuses(revision)]}")


def file(path, content, mode="0644", **more):
    data = content.encode() if isinstance(content, str) else content
    return {"path": str(path), "mode": mode, "owner": "root", "group": "root",
            "sha256": hashlib.sha256(data).hexdigest(), "content_b64": base64.b64encode(data).decode(), **more}


@pytest.fixture
def site(world):
    cloud = world.scripted_cloud()
    if os.getuid() != 0:
        pytest.skip("files for root can be given by root only")
    return Site(world, cloud, cloud.auth_port, world.authority.file)


def test_a_check_answers_with_a_diff_and_changes_nothing(site):
    """[cfg-3] `check` answers with a unified diff and changes nothing; no action runs."""
    site.push("r1", [file(site.a, "one\n2\n"), file(site.b, "new\n")], mode="check")
    status = site.wait_status("r1", "checked")
    assert "-two" in status["diff"] and "+2" in status["diff"] and "+new" in status["diff"]
    assert re.search(r"^@@ .* @@$", status["diff"], re.M)
    assert site.a.read_text() == "one\ntwo\n" and not site.b.exists() and not site.reloads()


def test_an_apply_changes_the_files_and_runs_the_action(site):
    """`apply` writes all files with their modes, runs the reload action after them, and is confirmed."""
    site.push("r1", [file(site.a, "one\n2\n", "0600"), file(site.b, b"\x00\xff")])
    site.wait_status("r1", "confirmed")
    assert site.a.read_text() == "one\n2\n" and site.b.read_bytes() == b"\x00\xff"
    assert stat.S_IMODE(site.a.stat().st_mode) == 0o600 and stat.S_IMODE(site.b.stat().st_mode) == 0o644
    assert site.reloads() == ["one\n2\n"]
    states = [status["state"] for status in site.statuses("r1")]
    assert states == ["received", "applied", "confirmed"], states
    assert sorted(path.name for path in site.folder.iterdir()) == ["a.conf", "b.conf"], "nothing else is left there"


def test_owner_and_group_are_names_of_the_device(site):
    """[cfg-1] A file belongs to the user and the group that the cloud names, as this device knows them; a name that it does
    not know is refused, and nothing is written."""
    daemon, games = pwd.getpwnam("daemon").pw_uid, grp.getgrnam("games").gr_gid
    site.push("r1", [file(site.a, "one\n", owner="daemon", group="games")])
    site.wait_status("r1", "confirmed")
    assert (site.a.stat().st_uid, site.a.stat().st_gid) == (daemon, games)
    site.push("r2", [file(site.a, "two\n", owner="nobody-of-that-name")])
    status = site.wait_status("r2", "rejected")
    assert status["reason"] == "owner_unknown" and "nobody-of-that-name" in status["detail"], status
    assert site.a.read_text() == "one\n"


def test_a_failing_action_puts_the_old_files_back(site):
    """When the reload action fails, the old files come back, are reloaded, and the cloud learns why."""
    before = site.a.stat()
    site.push("r1", [file(site.a, "broken\n", "0600"), file(site.b, "new\n")])
    status = site.wait_status("r1", "rolled_back")
    assert "seen" in status["reason"] or "reload" in status["reason"], status
    assert site.a.read_text() == "one\ntwo\n" and not site.b.exists()
    assert stat.S_IMODE(site.a.stat().st_mode) == stat.S_IMODE(before.st_mode)
    assert site.reloads() == ["broken\n", "one\ntwo\n"]
    site.push("r2", [file(site.a, "good\n")])
    site.wait_status("r2", "confirmed")


def test_an_unconfirmed_revision_is_put_back(world, site):
    """When the cloud is not reached again within the confirm time, the old files come back."""
    site.cloud.keepalive_acks = False
    site.push("r1", [file(site.a, "cuts us off\n")], timeout_s=2)
    wait_for(lambda: site.a.read_text() == "cuts us off\n", 10, "the new file")
    wait_for(lambda: site.a.read_text() == "one\ntwo\n", 10, "the old file again")
    site.wait_status("r1", "rolled_back")
    assert site.reloads() == ["cuts us off\n", "one\ntwo\n"]


def test_what_is_not_allowed_is_refused_whole(world, site):
    """A path outside the list, `..`, a link, a wrong digest, an unknown action: nothing at all is written."""
    outside = world.folder / "outside.conf"
    (site.folder / "link").symlink_to(world.folder)
    good = file(site.b, "fine\n")
    cases = {
        "outside": [good, file(outside, "x")],
        "dots": [good, file(f"{site.folder}/../outside.conf", "x")],
        "link": [good, file(site.folder / "link" / "outside.conf", "x")],
        "digest": [good, {**file(site.a, "x"), "sha256": "0" * 64}],
        "relative": [good, file("etc/passwd", "x")],
        "empty": [],
    }
    for name, files in cases.items():
        site.push(name, files)
        status = site.wait_status(name, "rejected", "failed", "confirmed", "applied")
        assert status["state"] in ("rejected", "failed") and status["reason"], (name, status)
    site.push("action", [good], reload=["rm_everything"])
    status = site.wait_status("action", "rejected", "failed", "rolled_back", "confirmed")
    assert status["state"] != "confirmed"
    assert not outside.exists() and not site.b.exists() and site.a.read_text() == "one\ntwo\n"
    assert not site.reloads()
    site.push("after", [good])
    site.wait_status("after", "confirmed")


def test_nonsense_is_refused_and_ends_nothing(site):
    """Messages that are no revision are answered with nack or rejected; the subconnection stays."""
    for message in ({"type": "make_coffee"}, {"type": "apply"}, {"type": "apply", "revision": 5},
                    {"type": "apply", "revision": "n1", "mode": "apply", "part": 1, "parts": 1, "files": "all",
                     "reload": [], "confirm_timeout_s": 20}):
        site.cloud.push("config_push", message)
    site.push("good", [file(site.a, "good\n")])
    site.wait_status("good", "confirmed")
    assert site.cloud.record.count("end:config_push") == 0
    site.cloud.record.wait("text:config_push", 3)  # three of them cannot even be told by a status
    assert [seen.data["body"]["type"] for seen in site.cloud.record.all("text:config_push")] == ["nack"] * 3


def test_a_revision_in_parts(site):
    """A revision in two parts, with a file that goes on in the second, is applied as one."""
    content = "0123456789" * 1000
    whole = file(site.b, content)
    first = {**whole, "content_b64": base64.b64encode(content[:4000].encode()).decode()}
    second = {**whole, "content_b64": base64.b64encode(content[4000:].encode()).decode(), "offset": 4000}
    common = {"type": "apply", "revision": "p1", "mode": "apply", "parts": 2, "confirm_timeout_s": 20, "reload": []}
    site.cloud.push("config_push", {**common, "part": 1, "files": [first]})
    assert not site.b.exists()
    site.cloud.push("config_push", {**common, "part": 2, "files": [second, file(site.a, "both\n")]})
    site.wait_status("p1", "confirmed")
    assert site.b.read_text() == content and site.a.read_text() == "both\n"


def test_a_killed_host_does_not_do_it_twice(site):
    """[cfg-3] After a kill of its host a revision that was confirmed is not applied a second time."""
    site.push("r1", [file(site.a, "new\n")])
    site.wait_status("r1", "confirmed")
    site.agent.kill_host("config_push")
    site.agent.wait_state(lambda state: site.agent.subconnection("config_push", state)["restarts"] == 1 and
                          site.agent.subconnection("config_push", state)["state"] == "ready", limit=30)
    site.push("r1", [file(site.a, "new\n")])
    wait_for(lambda: any("confirmed before" in status.get("detail", "") for status in site.statuses("r1")), 20,
             "the second push is answered from memory")
    assert site.reloads() == ["new\n"]


def test_hawser_cloud_pushes_a_configuration(world):
    """`hawser-cloud config push --check` shows the diff, `config push` applies, and the result can be read."""
    if os.getuid() != 0:
        pytest.skip("files for root can be given by root only")
    cloud = world.cloud(serials=[SERIAL]).start()
    site = Site(world, cloud, cloud.auth_port, cloud.ca_file)
    new = world.folder / "new.conf"
    new.write_text("one\nthree\n")
    checked = cloud.push_config(SERIAL, {site.a: new}, check=True)
    assert "-two" in checked and "+three" in checked
    assert site.a.read_text() == "one\ntwo\n"
    applied = cloud.push_config(SERIAL, {site.a: new}, reload=["seen"])
    assert "confirmed" in applied or "applied" in applied, applied
    assert site.a.read_text() == "one\nthree\n" and site.reloads() == ["one\nthree\n"]
    new.write_text("broken\n")
    failed = cloud.push_config(SERIAL, {site.a: new}, reload=["seen"], expect=None)
    assert "rolled_back" in failed, failed
    assert site.a.read_text() == "one\nthree\n"
