"""One plugin misbehaves in one way; the others and the main connection feel nothing of it, and the operator is told
which rule it met, and how to lift it. The table of rogues is README.md's."""

import time

import pytest

import basics
import gallery
from gallery import ROGUE, Gallery

pytestmark = pytest.mark.skipif(bool(gallery.why_not()), reason=gallery.why_not() or "-")


@pytest.fixture
def house(world):
    house = Gallery(world).open()
    yield house
    house.close()


FLOOD_S, LINES_MOST = 3, 400  # a burst of 200 and 20 a second of the plugin, and what the core says itself


# ---- endings

ENDINGS = {
    "segfault": ("crashed", "SIGSEGV"),
    "abort": ("crashed", "SIGABRT"),
    "illegal": ("crashed", "SIG"),
    "overflow": ("crashed", "SIGSEGV"),
    "terminate_thread": ("crashed", "SIGABRT"),
    "throw": ("exited", "thrown through the edge"),
    "throw_in_start": ("exited", "thrown through the edge"),
    "exit": ("exited", "code 0"),
}


@pytest.mark.parametrize("do", ENDINGS)
def test_an_ending_is_told_and_the_plugin_starts_again(house, do):
    """[iso-1] [iso-5] [F72] A plugin that ends its process is started again after a wait; history names the way it
    ended."""
    reason, words = ENDINGS[do]
    house.loose(do)
    detail = house.wait_told(reason)
    assert words in detail, detail
    house.wait_plugin(lambda row: row["restarts"] >= 1, "started again")
    house.judge()


def test_a_constructor_that_ends_the_process(house):
    """[iso-1] [iso-5] [B51] A library that calls _exit(0) while it is loaded: told as an exit, and it starts again."""
    house.loose(plugin="acme.leaver")
    assert "code 0" in house.wait_told("exited", plugin="acme.leaver")
    house.wait_plugin(lambda row: row["restarts"] >= 1, "started again", plugin="acme.leaver")
    house.judge()


# ---- stalls

STALLS = {
    "spin": "timer",
    "sleep": "timer",
    "deadlock": "timer",
    "deaf": "timer",
    "spin_in_configure": "configure",
    "sleep_in_start": "start",
}


@pytest.mark.parametrize("do", STALLS)
def test_a_stall_is_named_and_ended(house, do):
    """[iso-1] [iso-4] [F73] A callback that does not return is killed after the plugin's limit; history names the
    callback, how long it ran, and the limit with the way to lift it."""
    house.loose(do, limits='stall = "1s"')
    detail = house.wait_told("stalled")
    assert STALLS[do] in detail and "1 s" in detail and "stall" in detail, detail
    house.wait_plugin(lambda row: row["restarts"] >= 1, "started again")
    house.judge()


def test_a_constructor_that_sleeps(house):
    """[iso-1] [iso-4] A library that does not come back from being loaded is killed as a stall of `load`."""
    house.loose(plugin="acme.sleeper", limits='stall = "1s"')
    assert "load" in house.wait_told("stalled", plugin="acme.sleeper")
    house.judge()


def test_a_host_that_stands_still(house):
    """[iso-1] [F73] A plugin that stops its whole process is seen by its silence, and killed."""
    house.loose("stop_itself", limits='stall = "1s"')
    detail = house.wait_told("stalled", limit=40)
    assert "answer" in detail or "timer" in detail, detail
    house.judge()


# ---- hoards

@pytest.mark.parametrize("do", ["leak", "gulp"])
def test_memory_is_limited(house, do):
    """[iso-1] [iso-6] [F74] A plugin that takes more memory than its limit is ended as out of memory, not as crashed;
    the words name the limit and how to lift it."""
    house.loose(do, limits="memory_bytes = 33554432")
    detail = house.wait_told("out_of_memory")
    assert "memory_bytes" in detail and "32 MiB" in detail, detail
    house.wait_plugin(lambda row: row["restarts"] >= 1, "started again")
    house.judge()


@pytest.mark.parametrize("do, limits, line", [
    ("descriptors", "descriptors = 64", r"one more descriptor after \d+: denied \(EMFILE\)"),
    ("threads", "threads = 16", r"one more thread after \d+: denied \(E"),
    ("forks", "threads = 16", r"tried fork: denied \(E"),
    ("fill_state", "disk_bytes = 8388608", r"more in one file after 8 MiB: denied \(EFBIG\)"),
])
def test_what_is_limited_is_refused_there(house, do, limits, line):
    """[iso-1] [iso-6] [F80] [F81] [F100] Descriptors, threads, processes and bytes of one file over the limit are refused
    to the plugin itself, which goes on."""
    house.loose(do, limits=limits)
    house.wait_line(line)
    assert house.plugin()["state"] == "ready" and house.plugin()["restarts"] == 0
    house.judge()


def test_processor_time_is_limited(house):
    """[iso-1] [iso-2] [iso-6] Threads of the plugin's own that compute without end take a share and no more: at once they
    run when nobody else wants to, and over its budget the plugin is ended; or the system holds it below."""
    house.loose("busy_threads", limits="cpu_percent = 20")
    basics.wait_for(lambda: house.shown().get("usage", {}).get("cpu_restrained"), 20, "it is restrained")
    detail = house.wait_told("over_budget", limit=40)
    assert "cpu_percent" in detail, detail
    house.judge()


def test_the_state_folder_is_limited(house):
    """[iso-1] [iso-6] A plugin that fills its state folder with files, each below the limit of one file, is ended as over
    budget; the words name the limit."""
    house.loose("many_files", limits="disk_bytes = 8388608")
    detail = house.wait_told("over_budget", limit=30)
    assert "disk_bytes" in detail, detail
    house.judge()


# ---- floods

@pytest.mark.parametrize("do", ["log_flood", "print_flood", "control_flood", "cloud_flood"])
def test_a_flood_costs_the_one_who_floods(house, do):
    """[iso-1] [F75] A plugin that logs, prints, changes its health or asks the cloud as fast as it can: it is cut to its
    share, and what was left out is counted."""
    house.loose(do, actions='[actions.noop]\ncommand = ["/bin/true"]\n')
    house.wait_plugin(lambda row: row["state"] in ("ready", "degraded", "backoff"), "running")
    before = len(house.agent.program.lines())
    time.sleep(FLOOD_S)
    assert len(house.agent.program.lines()) - before < LINES_MOST, "the log is flooded"
    assert house.agent.program.running()
    house.judge()


def test_garbage_on_the_control_channel(house):
    """[iso-1] [sec-5] A plugin that writes to the host's own channel loses its channel, and is started again."""
    house.loose("channel_garbage")
    house.wait_plugin(lambda row: row["restarts"] >= 1, "started again")
    house.judge()


# ---- trespass

def test_every_descriptor_closed(house):
    """[iso-1] A plugin that closes every descriptor, the host's own too, ends its own host only."""
    house.loose("close_all")
    house.wait_plugin(lambda row: row["restarts"] >= 1, "started again", limit=30)
    house.judge()


@pytest.mark.parametrize("do", ["kill_parent", "kill_group", "kill_all"])
def test_other_processes_cannot_be_killed(house, do):
    """[iso-1] [iso-7] [sec-5] Signals to the core, its group or every process reach none but the plugin's own."""
    house.loose(do, pid_namespace=gallery.namespace())
    house.wait_line(r"tried (to name|SIG\w+ to) .*: |acme.rogue: process .* (was ended|exited)")
    house.judge()
    assert not [line for line in house.lines("to the core") if ": done" in line]


def test_the_flight_page_is_hostile(house):
    """[iso-4] [sec-5] A plugin that writes over its flight page all the time, and would cut it: the core neither falls
    nor believes it."""
    house.loose("flight_page")
    house.wait_line(r"to cut the flight page: denied")
    house.wait_line(r"to write over the flight page: done")  # it can: the page lies in its own memory
    time.sleep(2)
    assert house.plugin()["state"] == "ready", house.plugin()
    house.judge()


@pytest.mark.parametrize("do", ["raise_limits", "run_programs", "trace_others", "take_the_core"])
def test_what_is_not_its_own_is_denied(house, do):
    """[iso-7] [sec-5] Limits, root's identity, other programs, the core's memory and its control socket are out of
    reach."""
    house.loose(do, socket=str(house.agent.socket))
    house.wait_line(r"tried to (be|run|become|trace|open|command)")
    house.wait_line({"raise_limits": "in real time", "run_programs": "become", "trace_others": "core's fd/3",
                     "take_the_core": "command the core"}[do])
    assert house.lines("denied (") and not [line for line in house.lines("tried to") if line.endswith(": done")]
    house.judge()


def test_secrets_of_others_are_out_of_reach(house):
    """[iso-7] [sec-2] [sec-5] The configuration, the device key and the other plugins' state can neither be listed, nor
    read, nor written."""
    agent = house.agent
    paths = [agent.config, agent.config / "hawser.toml", agent.config / "plugins.d" / "acme.echo_a.toml",
             agent.state_dir / "plugins", agent.state_dir / "plugins" / "acme.echo_a", *sorted(agent.state_dir.glob("*")),
             agent.runtime_dir]
    house.loose("read_secrets", paths=[str(path) for path in paths])
    house.wait_line(f"tried to (list|write) {agent.runtime_dir}|tried to (list|read) {agent.runtime_dir}")
    tried = house.lines("tried to")
    assert len(tried) >= len(paths) and not [line for line in tried if line.endswith(": done")], tried
    house.judge()


# ---- stops

@pytest.mark.parametrize("do", ["ignore_stop", "sleep_in_stop", "sleep_in_destroy", "after_destroy"])
def test_a_stop_has_a_limit(house, do):
    """[iso-1] A plugin that does not stop, or calls the host while it is destroyed, is gone within the limit of a stop;
    nobody waits for it."""
    house.loose(do)
    row = house.wait_plugin(lambda row: row["state"] == "ready", "ready")
    house.agent.ctl("plugin", "restart", ROGUE)
    house.wait_plugin(lambda now: now["state"] == "ready" and now["pid"] != row["pid"], "in a new host", limit=15)
    house.judge()


# ---- the edge

def test_functions_of_the_service_thread_on_another(house):
    """[iso-1] [sdk-6] Calls from a wrong thread do nothing, say so, and are logged with the function's name."""
    house.loose("wrong_thread")
    assert " 0 of 6 calls were taken" in house.wait_line("wrong thread: ")
    assert len(house.lines("belongs to the service thread")) == 6
    house.judge()


def test_nothing_where_something_is_wanted(house):
    """[iso-1] Null pointers and unknown numbers are refused by the host."""
    house.loose("nulls")
    assert "all were refused" in house.wait_line("nulls: ")
    house.judge()


def test_a_plugin_that_lies_about_its_id(house):
    """[iso-1] [B53] A library that calls itself by another plugin's name is refused, and not tried again."""
    house.loose(plugin="acme.liar")
    row = house.wait_plugin(lambda row: row["state"] == "refused", "refused", plugin="acme.liar")
    assert row["reason"] == "abi_refused" and "hawser.monitoring" in row["detail"], row
    house.judge()
