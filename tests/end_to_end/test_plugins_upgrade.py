"""A newer version on probation in the old one's place: it stays, or the old one comes back with what it saved; more
permissions wait for consent."""

import json

import basics
import pytest
from clocks import CLOCK, Bench


def wait_for_event(bench, reason, limit=20):
    return basics.wait_for(lambda: [detail for code, detail in bench.events() if code == reason], limit, reason)


def listed(bench):
    return " ".join(" ".join(line.split()) for line in bench.agent.ctl("plugin", "list").stdout.splitlines()[1:])


def test_an_upgrade_hands_over_and_stands_its_probation(world):
    """[sdk-10] Install is all that it takes: the old one saves, the new one loads, on probation, and when that is over the
    saved state is gone. The old version stays for one more, and then goes."""
    bench = Bench(world, probation="4s")
    bench.begin()
    done = bench.install("1.1.0")
    assert "The agent runs it on probation for 4 s; 1.0.0 comes back should it fail." in done.stdout
    shown = bench.runs("1.1.0")
    assert shown["upgrade"]["state"] == "probation"
    assert "1.1.0 is on probation; 1.0.0 comes back should it fail" in listed(bench)
    assert bench.log("clock 1.0.0 saves with 1 lives") and bench.log("clock 1.1.0 loads with 1 lives")
    saved = bench.agent.state_dir / "plugins" / CLOCK / ".hawser-handover"
    assert saved.exists()
    refused = bench.ctl("remove", CLOCK, "1.0.0", expect=1)
    assert "the agent runs it, or goes back to it should a newer version fail" in refused.stderr
    basics.wait_for(lambda: bench.show()["upgrade"] is None, 15, "the end of its probation")
    assert not saved.exists()
    details = wait_for_event(bench, "upgraded")
    assert any(f"{CLOCK} 1.1.0 takes the place of 1.0.0, on probation for 4 s" in detail for detail in details)
    assert any(f"{CLOCK} 1.1.0 has stood its probation" in detail for detail in details)
    assert bench.installed() == ["1.0.0", "1.1.0"]
    bench.install("2.0.0")
    bench.runs("2.0.0")
    assert bench.installed() == ["1.1.0", "2.0.0"]
    assert bench.cloud.record.count("main:end") == 0, "the main connection does not notice"


@pytest.mark.parametrize("version, cause", [
    ("1.2.0", "SIGABRT"), ("1.3.0", "these lives are of no use to me"), ("1.4.0", "in the callback timer for"),
    ("1.5.0", "this clock has no hands")], ids=["crash", "refuses-state", "stall", "start"])
def test_a_version_that_fails_its_probation_is_put_back(world, version, cause):
    """[sdk-10] Crashed, refused what it was handed, stalled, failed its start: the old one runs again with the state that
    it saved, the failed one is not tried again by itself, and list, show, history and log say so in one line."""
    bench = Bench(world)
    bench.agent.write_config(f"plugins.d/{CLOCK}.toml", '[limits]\nstall = "1s"\n')
    bench.begin()
    bench.install(version)
    details = wait_for_event(bench, "put_back")
    assert len(details) == 1 and f"{CLOCK} {version} failed its probation, and 1.0.0 runs again: " in details[0], details
    assert cause in details[0], details
    shown = bench.runs("1.0.0")
    assert shown["upgrade"]["state"] == "put_back" and cause in shown["upgrade"]["detail"]
    assert f"{version} failed its probation" in listed(bench)
    assert len(bench.log("runs again: ")) == 1
    basics.wait_for(lambda: bench.log("clock 1.0.0 starts with 2 lives"), 10, "the old one with its saved state")
    assert not (bench.agent.state_dir / "plugins" / CLOCK / ".hawser-handover").exists()
    assert "1.0.0 runs on: " in bench.install(version).stdout, "the failed file is not tried again"
    bench.agent.stop()
    bench.start()
    again = bench.runs("1.0.0")
    assert again["upgrade"]["state"] == "put_back" and again["restarts"] == 0
    bench.install("2.0.0")
    bench.runs("2.0.0")


def test_a_version_that_is_refused_for_good_is_put_back(world):
    """[sdk-10] A library that calls itself another version than its manifest: the old version runs, and a newer one that
    is good takes its place."""
    bench = Bench(world)
    bench.begin()
    bench.install("1.1.0", library=basics.built("clock_2.0.0.so"))
    details = wait_for_event(bench, "put_back")
    assert details[0] == f"{CLOCK} 1.1.0 failed its probation, and 1.0.0 runs again: the plugin says version 2.0.0, its " \
                         "manifest says 1.1.0"
    assert bench.runs("1.0.0")["upgrade"]["state"] == "put_back"
    bench.install("2.0.0")
    bench.runs("2.0.0")


def test_an_upgrade_in_the_middle_of_a_probation_goes_back_to_what_was_proved(world):
    """[sdk-10] A second newer version comes before the first has stood its probation, and fails: the one that had proved
    itself runs again, with the state that it saved itself."""
    bench = Bench(world)
    bench.begin()
    bench.install("1.1.0")
    bench.runs("1.1.0")
    bench.install("1.2.0")
    details = wait_for_event(bench, "put_back")
    assert f"{CLOCK} 1.2.0 failed its probation, and 1.0.0 runs again" in details[0]
    bench.runs("1.0.0")
    assert bench.log("clock 1.0.0 starts with 2 lives") and not bench.log("clock 1.1.0 saves")
    assert bench.installed() == ["1.0.0", "1.1.0", "1.2.0"] or bench.installed() == ["1.0.0", "1.2.0"]


def test_release_tries_a_failed_version_again(world):
    """[sdk-10] [iso-5] What failed is released by the operator, and fails again."""
    bench = Bench(world)
    bench.begin()
    bench.install("1.5.0")
    wait_for_event(bench, "put_back")
    bench.runs("1.0.0")
    bench.ctl("release", CLOCK)
    basics.wait_for(lambda: len([code for code, _ in bench.events() if code == "put_back"]) == 2, 20, "put back twice")
    bench.runs("1.0.0")


def test_a_probation_goes_on_over_a_kill_of_the_agent(world):
    """[sdk-10] hawserd is killed in the middle: the new version is still on probation, and can still be put back."""
    bench = Bench(world)
    bench.begin()
    bench.install("1.1.0")
    bench.runs("1.1.0")
    basics.wait_for(lambda: "trial" in (bench.agent.state_dir / "versions.json").read_text(), 10, "the book on disk")
    bench.agent.kill()
    bench.start()
    assert bench.runs("1.1.0")["upgrade"]["state"] == "probation"
    bench.agent.kill_host("clock")
    details = wait_for_event(bench, "put_back")
    assert f"{CLOCK} 1.1.0 failed its probation, and 1.0.0 runs again" in details[0]
    bench.runs("1.0.0")


def test_more_permissions_wait_for_consent(world):
    """[sdk-10] A version that asks for more than the one that runs was granted waits, the old one runs on, list names
    what it asks for; consent lets it run."""
    bench = Bench(world)
    bench.begin()
    host = bench.show()["pid"]
    done = bench.install("1.1.0", permissions=["file.read:/etc/hostname", "threads:3"])
    assert f"1.0.0 runs on: 1.1.0 asks for more than 1.0.0 was granted: file.read:/etc/hostname, threads:3; hawserctl " \
           f"plugin consent {CLOCK} 1.1.0 agrees to it." in done.stdout
    assert (bench.show()["pid"], bench.show()["upgrade"]["state"]) == (host, "consent_needed")
    assert "1.1.0 asks for more than 1.0.0 was granted" in listed(bench)
    assert bench.installed() == ["1.0.0", "1.1.0"]
    bench.agent.stop()
    bench.start()
    bench.runs("1.0.0")
    before = bench.show()["pid"]
    bench.ctl("restart", CLOCK)
    basics.wait_for(lambda: bench.show()["pid"] not in (None, before), 20, "another host")
    bench.runs("1.0.0")
    refused = bench.ctl("consent", CLOCK, "1.2.0", expect=1)
    assert f"nothing was done: {CLOCK} 1.1.0 waits for consent, not 1.2.0" in refused.stderr
    agreed = bench.ctl("consent", CLOCK, "1.1.0").stdout
    assert f"{CLOCK} 1.1.0 may now use: file.read:/etc/hostname, threads:3" in agreed and "on probation" in agreed
    bench.runs("1.1.0")
    assert "waits for consent, and nothing was done" in bench.ctl("consent", CLOCK, expect=1).stderr


def test_what_an_operators_own_list_allows_needs_no_consent(world):
    """[sdk-10] Where plugins.d lists the permissions, no manifest gets more by asking, so nothing waits."""
    bench = Bench(world)
    bench.agent.write_config(f"plugins.d/{CLOCK}.toml", 'permissions = ["threads:2"]\n')
    bench.begin()
    bench.install("1.1.0", permissions=["threads:2", "exec"])
    bench.runs("1.1.0")


def test_going_back_to_an_older_version_is_an_upgrade_too(world):
    """[sdk-10] --allow-older: the older one runs on probation, without what the newer one knew, since it cannot know how
    that one writes: 1.3.0 takes no hand-over at all."""
    bench = Bench(world, probation="2s")
    bench.begin("2.0.0")
    bench.install("1.3.0", "--allow-older")
    bench.runs("1.3.0")
    assert not bench.log("clock 2.0.0 saves")
    basics.wait_for(lambda: bench.show()["upgrade"] is None, 15, "the end of its probation")
    bench.agent.stop()
    bench.start()
    bench.runs("1.3.0")


def test_a_restart_on_probation_does_not_hand_over_again(world):
    """[sdk-10] What it took over it has kept since: a restart is as any other."""
    bench = Bench(world)
    bench.begin()
    bench.install("1.1.0")
    host = bench.runs("1.1.0")["pid"]
    bench.ctl("restart", CLOCK)
    basics.wait_for(lambda: bench.show().get("pid") not in (host, None), 10, "another host")
    bench.runs("1.1.0")
    assert bench.show()["upgrade"]["state"] == "probation"
    assert len(bench.log("clock 1.1.0 loads")) == 1, bench.log("clock 1.1.0")


def test_what_waits_for_consent_does_not_end_a_probation(world):
    """[sdk-10] While one version is on probation another is installed that has to wait: the first one stays, with all that
    belongs to it."""
    bench = Bench(world)
    bench.begin()
    bench.install("1.1.0")
    host = bench.runs("1.1.0")["pid"]
    done = bench.install("2.0.0", permissions=["threads:3"])
    assert "1.1.0 runs on: 2.0.0 asks for more than 1.0.0 was granted: threads:3" in done.stdout, done.stdout
    assert bench.installed() == ["1.0.0", "1.1.0", "2.0.0"]
    assert bench.runs("1.1.0")["pid"] == host
    bench.agent.kill_host("clock")
    wait_for_event(bench, "put_back")
    bench.runs("1.0.0")


@pytest.mark.parametrize("damage", [lambda file: file.write_text(file.read_text()[:20]), lambda file: file.unlink()],
                         ids=["damaged", "missing"])
def test_consent_is_needed_also_where_the_book_of_versions_is_lost(world, damage):
    """[sdk-10] Nobody remembers what was granted: the oldest version runs, and the newest is judged by it."""
    bench = Bench(world)
    bench.begin()
    bench.install("1.1.0", permissions=["file.read:/etc/hostname"])
    bench.agent.stop()
    damage(bench.agent.state_dir / "versions.json")
    bench.start()
    assert bench.runs("1.0.0")["upgrade"]["state"] == "consent_needed"


def test_a_refused_newer_folder_does_not_stop_what_runs(world):
    """[sdk-9] [sdk-10] A newer folder that nobody signed, or with another file in it, changes nothing, also at the next
    start."""
    bench = Bench(world)
    bench.begin()
    home = bench.plugins / CLOCK / "3.0.0"
    home.mkdir()
    (home / "plugin.so").write_bytes(b"no library")
    (home / "manifest.json").write_text(json.dumps({"id": CLOCK}))
    bench.ctl("restart", CLOCK)
    bench.runs("1.0.0")
    bench.agent.stop()
    bench.start()
    shown = bench.runs("1.0.0")
    assert shown["upgrade"]["state"] == "signature_refused", shown["upgrade"]
