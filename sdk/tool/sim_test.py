"""hawser-plugin sim: a plugin in a process that a debugger can look at, and a cloud that follows a script."""

import json
import re
import shutil

import pytest

from vendor import BUILD, SOURCE, tool

HEARTBEAT = BUILD / "plugins/com.example.heartbeat/1.0.0"
ROGUES = BUILD / "sdk/tool/rogues"
OPEN = {"at_ms": 0, "do": "open"}


@pytest.fixture
def sim(tmp_path):
    def run(*steps, plugin=HEARTBEAT, until_ms=10000, words=(), **script):
        file = tmp_path / "script.json"
        file.write_text(json.dumps({"until_ms": until_ms, "steps": list(steps), **script}))
        return tool("sim", plugin, file, *words)

    return run


def lines(done, code=0):
    assert done.returncode == code, done.stdout + done.stderr
    return [(float(line[:10]), line[12:]) for line in done.stdout.splitlines()]


def when(told, words):
    return [at for at, line in told if words in line]


def test_without_a_script_nothing_goes_wrong():
    """[sdk-5] The plugin starts, the cloud takes what it sends, and it is stopped at the end."""
    told = lines(tool("sim", HEARTBEAT))
    assert told[0] == (0, "the plugin opens heartbeat (example.heartbeat.v1)")
    assert len(when(told, "heartbeat: acked ")) == 60
    assert "health stopped" in [line for _, line in told]
    assert told[-1][1].startswith("the longest callback was ")


def test_time_is_the_plugin_s_and_takes_none():
    """[sdk-5] A minute of the script passes in far less than one, to the millisecond where the plugin has its timers."""
    told = lines(tool("sim", HEARTBEAT))
    assert when(told, "the plugin sent number 1,") == [1.0] and when(told, "the plugin sent number 60,") == [60.0]


def test_a_cloud_that_denies(sim):
    """[sdk-5] A denied service is refused with its reason, and what is sent waits."""
    told = lines(sim({"at_ms": 0, "do": "deny", "reason": "plugin_blocked", "retry_ms": 60000}, {**OPEN,
                                                                                "at_ms": 5005}))
    assert when(told, "heartbeat: closed plugin_blocked, again in 60000 ms") == [0]
    assert min(when(told, "heartbeat: acked")) > 5 and len(when(told, "heartbeat: acked")) == 10


def test_a_cloud_that_delays(sim):
    """[sdk-5] Acknowledgements come as much later as the script says, in order."""
    told = lines(sim(OPEN, {"at_ms": 0, "do": "delay", "ms": 2500}))
    assert when(told, "heartbeat: acked 1") == pytest.approx([3.5], abs=0.05)
    numbers = [int(line.split()[-1]) for _, line in told if line.startswith("heartbeat: acked")]
    assert numbers == sorted(set(numbers))


def test_a_cloud_that_throttles(sim):
    """[sdk-5] The outbox is full for a while, the plugin says so, and goes on when it is writable."""
    told = lines(sim(OPEN, {"at_ms": 1500, "do": "throttle", "ms": 3000}))
    assert when(told, "log warn: the outbox is full") == [2, 3, 4]
    assert when(told, "heartbeat: writable") == pytest.approx([4.5], abs=0.05)
    assert when(told, "the plugin sent number 2,") == [5]


def test_a_cloud_that_flaps(sim):
    """[sdk-5] The subconnection ends and is there again, as often and as fast as the script says."""
    told = lines(sim(OPEN, {"at_ms": 2000, "do": "flap", "times": 3, "every_ms": 500}))
    assert when(told, "heartbeat: closed reset_by_peer") == pytest.approx([2, 3, 4], abs=0.05)
    assert when(told, "heartbeat: opened") == pytest.approx([0, 2.5, 3.5, 4.5], abs=0.05)


def test_a_cloud_whose_grant_expires_or_is_revoked(sim):
    """[sdk-5] After an expired grant another one comes, under another address; after a revoked one none."""
    told = lines(sim(OPEN, {"at_ms": 2000, "do": "expire", "ms": 1000}, {"at_ms": 6000, "do": "revoke"}))
    assert when(told, "closed token_expired") == pytest.approx([2], abs=0.02)
    assert when(told, "wss://sim/2") == pytest.approx([3], abs=0.02)
    assert when(told, "closed revoked") == pytest.approx([6], abs=0.02)
    assert not [at for at in when(told, "heartbeat: acked") if at > 6.01]


def test_a_cloud_that_corrupts(sim):
    """[sdk-5] Garbage of every kind is delivered, the same for the same seed."""
    step = {"at_ms": 1000, "do": "corrupt", "times": 5, "seed": 7}
    first, second = (sim(OPEN, step).stdout for _ in range(2))
    assert re.sub("the longest callback.*", "", first) == re.sub("the longest callback.*", "", second)
    assert first.count("heartbeat: durable ") == first.count("heartbeat: message of ") == first.count("heartbeat: text ") == 5


def test_a_cloud_that_refuses_and_one_that_is_silent(sim):
    """[sdk-5] The next durable messages are refused with a code; a silent cloud acknowledges nothing until it does."""
    told = lines(sim(OPEN, {"at_ms": 1500, "do": "nack", "times": 2, "code": "too_big"}, {"at_ms": 4500,
                                                                                "do": "silence"},
                     {"at_ms": 8500, "do": "acknowledge"}))
    assert when(told, "nacked 2 too_big") == pytest.approx([2], abs=0.02) and len(when(told, "nacked")) == 2
    assert when(told, "acked 5") == pytest.approx([8.5], abs=0.05)


def test_what_the_operator_does(sim):
    """[sdk-5] A new configuration is checked and applied, a wrong one is refused with the plugin's words."""
    wrong, right = ({"at_ms": 100, "do": "configure", "config": {"period_ms": period}} for period in (5, 50))
    told = lines(sim(wrong, right, config={"period_ms": 2000}))
    assert [line for _, line in told if line.startswith("configure")] == [
        "configure CHECK was answered -2: period_ms must be 10 or more", "configure CHECK was answered 1",
        "configure APPLY was answered 1"]
    assert when(told, "health stopped")[0] == pytest.approx(0.1, abs=0.02), "it asked for a new instance"
    assert len(when(told, "the plugin opens")) == 2
    assert when(told, "the plugin sent number 1,") == pytest.approx([0.15], abs=0.02)


def test_what_the_host_does(sim, tmp_path):
    """[sdk-5] Messages, actions, a full disk, a jump of the clock, and a kill after which a new instance goes on."""
    told = lines(sim(OPEN, {"at_ms": 500, "do": "durable", "data": "order 1"}, {"at_ms": 500, "do": "message",
                                                                                "data": "m"},
                     {"at_ms": 500, "do": "text", "data": "{\"a\":1}"}, {"at_ms": 600,
                                                                         "do": "disk_full"}, {"at_ms": 700,
                                                                                "do": "disk_free"},
                     {"at_ms": 800, "do": "clock", "jump_s": 86400}, {"at_ms": 850, "do": "action", "name": "reload",
                                                                      "exit_code": 1},
                     {"at_ms": 900, "do": "reach", "how": "silent"}, {"at_ms": 3500, "do": "silence"}, {"at_ms": 5500,
                                                                                "do": "kill"},
                     plugin=ROGUES / "none.so"))
    assert when(told, "rogue: durable 1 of 7 bytes, answered 0") == pytest.approx([0.5], abs=0.02)
    assert len(when(told, "the plugin opens rogue")) == 2
    assert [line for at,
            line in told if at > 5.6 and "sent number" in line][0].startswith("rogue: the plugin sent number 6,")


def test_a_broken_rule_is_said_and_makes_it_fail(sim):
    """[sdk-6] A function of the service thread that another thread called is named with the rule, and so is the exit status."""
    done = sim(OPEN, plugin=ROGUES / "thread_rule.so")
    assert done.returncode == 1
    assert "RULE BROKEN: timer() was called on a thread that is not the service thread (R6)" in done.stdout
    done = sim(OPEN, plugin=ROGUES / "stops.so")
    assert done.returncode == 1 and "RULE BROKEN: stop() was not followed by health(HWS_STOPPED) within 5000 ms" in done.stdout
    assert sim({"at_ms": 100, "do": "revoke"}, plugin=ROGUES / "revoked.so").returncode == 1


def test_a_stop_ends_the_script(sim):
    """[sdk-5] stop comes with the deadline of the script."""
    told = lines(sim(OPEN, {"at_ms": 1000, "do": "stop", "deadline_ms": 100}))
    assert when(told, "health stopped") == pytest.approx([1], abs=0.02)


def test_its_state_may_be_kept(sim, tmp_path):
    """[sdk-5] --state names a folder that stays; --config a file for plugins.d; --real-time takes the time it takes."""
    state, config = tmp_path / "state", tmp_path / "hawser.config_push.toml"
    state.mkdir()
    shutil.copy(SOURCE / "conf/plugins.d/hawser.config_push.toml", config)
    done = sim(OPEN, {"at_ms": 300, "do": "durable", "data": "{}"}, until_ms=500,
               plugin=BUILD / "plugins/hawser.config_push/0.1.0",
               words=("--state", state, "--config", config, "--real-time"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script, sentence", [
    ("[]", "is not one JSON object with a list of at most 10000 steps"),
    ('{"steps": [{"at_ms": 0, "do": "open"}, {"at_ms": 0, "do": "explode"}]}',
     "step 2: there is no step explode; there are open, close, deny,"),
    ('{"steps": [{"at_ms": 0, "do": "flap", "every": 3}]}',
     'step 1: every is nothing that "flap" has; it has times# every_ms#'),
    ('{"steps": [{"at_ms": 0, "do": "flap", "times": "3"}]}', "step 1: times must be a whole number"),
    ('{"steps": [{"at_ms": -1, "do": "open"}]}', "step 1: at_ms must be a whole number of milliseconds, at most a day"),
    ('{"steps": [{"at_ms": 0, "do": "text", "data": 1}]}', "step 1: data must be a text"),
    ('{"steps": [{"at_ms": 0, "do": "configure", "config": 1}]}', "step 1: config must be an object"),
    ('{"steps": [7]}', "step 1: a step is an object with at_ms and do"),
    ('{"steps": [], "config": 7}', "config must be an object"),
])
def test_a_script_with_a_fault_is_refused_in_a_sentence(tmp_path, script, sentence):
    """[sdk-5] The sentence names file, step and member; nothing of the plugin runs."""
    file = tmp_path / "script.json"
    file.write_text(script)
    done = tool("sim", HEARTBEAT, file)
    assert done.returncode == 1 and done.stdout == "" and str(file) in done.stderr and sentence in done.stderr, done.stderr


def test_what_cannot_be_simulated_is_said(tmp_path):
    """[sdk-5] A plugin that is not there or does not start is told with its words; --list names the steps."""
    assert "is not there; build it first" in tool("sim", tmp_path / "x.so").stderr
    done = tool("sim", ROGUES / "starts.so")
    assert done.returncode == 1 and "the plugin does not start (-3): not today" in done.stderr
    known = [line.split()[0] for line in tool("sim", "--list").stdout.splitlines()]
    assert {"deny", "delay", "throttle", "flap", "expire", "corrupt"} <= set(known)
