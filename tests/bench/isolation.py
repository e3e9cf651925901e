"""Whether one misbehaving plugin is felt by the others (iso-2), and by a timer (starvation).

Two healthy plugins exchange 100 best-effort echoes a second each with the cloud, which returns them as they come. For
each rogue of tests/faults/plugins quiet and noisy runs alternate: in the noisy one the rogue is enabled, misbehaves, and
is taken away again. A run's figure is the worse of the two healthy plugins; what is printed is the median of all runs.

The cloud would be another machine: its thread has real-time priority here, so that the rogue does not slow the cloud."""

import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))

import gallery  # noqa: E402
import loopback  # noqa: E402, F401, for its effect
from harness import World  # noqa: E402

FACTOR, PLUS_MS = 1.25, 1.0
SPINNERS, TICKS_TARGET = 8, 0.95
GONE_LIMIT_S = 20
NOOP = '[actions.noop]\ncommand = ["/bin/true"]\n'

# What is let loose: do, and what else belongs to it.
ROGUES = {name: {} for name in (
    "nothing", "spin", "sleep", "deadlock", "deaf", "stop_itself", "segfault", "abort", "overflow", "throw", "exit", "leak",
    "gulp", "forks", "descriptors", "threads", "busy_threads", "fill_state", "many_files", "log_flood", "print_flood",
    "control_flood", "channel_garbage", "close_all", "kill_parent", "kill_group", "kill_all", "flight_page", "raise_limits",
    "wrong_thread", "after_destroy", "nulls", "ignore_stop")}
ROGUES["cloud_flood"] = {"actions": NOOP}
ROGUES["leaver"] = {"do": "", "plugin": "acme.leaver"}
ROGUES["sleeper"] = {"do": "", "plugin": "acme.sleeper"}
ROGUES["liar"] = {"do": "", "plugin": "acme.liar"}


def in_house(work, **options):
    world = World()
    try:
        house = gallery.Gallery(world, **options).open()
        world.background.call(lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)))
        try:
            return work(house)
        finally:
            house.stop_pinging()
    except AssertionError:
        print(world.story()[-20000:], file=sys.stderr)
        raise
    finally:
        world.close()
        world.remove()


def load():
    return Path("/proc/loadavg").read_text().split()[0]


def felt(house, window):
    """The worse of the two healthy plugins over a window, in milliseconds."""
    house.report()
    house.pings.clear()
    time.sleep(window)
    rows = house.report().values()
    return {"median": max(row["median_us"] for row in rows) / 1000, "p99": max(row["p99_us"] for row in rows) / 1000,
            "longest": max(row["longest_us"] for row in rows) / 1000,
            "lost": sum(row["lost"] + row["refused"] for row in rows),
            "ticks": min(row["ticks"] / max(row["ticks_due"], 1) for row in rows),
            "ping": max((took for _, took in house.pings), default=0) * 1000}


def noisy_run(house, name, turn, window):
    rogue = dict(ROGUES[name])
    plugin = rogue.setdefault("plugin", gallery.ROGUE)
    # Another configuration each time, which lifts a quarantine; for those without one it does no harm.
    more = {"turn": turn} if name in ("leaver", "sleeper", "liar") else {"turn": turn, "pid_namespace": gallery.namespace()}
    house.loose(rogue.pop("do", name), **rogue, **more)
    noisy = felt(house, window)
    house.enable([])
    end = time.monotonic() + GONE_LIMIT_S
    while house.plugin(plugin) and time.monotonic() < end:
        time.sleep(0.1)
    return noisy


def isolation(pairs, window, names=None):
    names = names or list(ROGUES)
    print(f"\nisolation: echoes of two healthy plugins in ms, quiet beside noisy, medians of {pairs} pairs of {window:g} s; "
          f"target {FACTOR} x quiet + {PLUS_MS:g} ms at the 99th percentile")
    print(f"  {'rogue':<18} {'quiet med':>9} {'p99':>7} {'noisy med':>9} {'p99':>7} {'longest':>8} {'lost':>5} {'ping':>7}"
          f" {'load':>6}  within")

    def all_rogues(house):
        rows = []
        for name in names:
            quiet, noisy = [], []
            for turn in range(pairs):
                quiet.append(felt(house, window))
                noisy.append(noisy_run(house, name, turn, window))
            rows.append(table_row(name, quiet, noisy))
        return rows
    rows = in_house(all_rogues)
    missed = [row["rogue"] for row in rows if not row["within"]]
    print(f"  within the target: {len(rows) - len(missed)} of {len(rows)}" + (f"; not: {', '.join(missed)}" if missed else ""))
    return rows


def table_row(name, quiet, noisy):
    def middle(runs, key):
        return statistics.median(run[key] for run in runs)
    row = {"rogue": name, "load": float(load()), "lost": sum(run["lost"] for run in noisy),
           "longest_ms": max(run["longest"] for run in noisy), "ping_ms": max(run["ping"] for run in noisy),
           "quiet": quiet, "noisy": noisy}
    for kind, runs in (("quiet", quiet), ("noisy", noisy)):
        row |= {f"{kind}_median_ms": middle(runs, "median"), f"{kind}_p99_ms": middle(runs, "p99")}
    row["within"] = row["noisy_p99_ms"] <= FACTOR * row["quiet_p99_ms"] + PLUS_MS and row["lost"] == 0
    print(f"  {name:<18} {row['quiet_median_ms']:>9.2f} {row['quiet_p99_ms']:>7.2f} {row['noisy_median_ms']:>9.2f} "
          f"{row['noisy_p99_ms']:>7.2f} {row['longest_ms']:>8.1f} {row['lost']:>5} {row['ping_ms']:>7.1f} "
          f"{row['load']:>6.1f}  {'yes' if row['within'] else 'NO'}", flush=True)
    return row


def starvation(runs, window):
    """A 10 ms timer of a healthy plugin beside eight that spin in a callback, which their limits let them do here."""
    spinners = [gallery.ROGUE, *(f"{gallery.ROGUE}_{number}" for number in range(1, SPINNERS))]

    def look(house):
        house.loose_many(spinners, "spin", limits='stall = "120s"')
        for each in spinners:
            house.wait_plugin(lambda row: row["state"] in ("ready", "degraded"), "ready", plugin=each)
        time.sleep(1)
        rows = []
        for _ in range(runs):
            house.report()
            time.sleep(window)
            rows += [{"ran": row["ticks"] / row["ticks_due"], "latest_ms": row["latest_tick_us"] / 1000,
                      "on_time": (row["ticks"] - row["late_ticks"]) / row["ticks_due"]}
                     for row in house.report().values()]
        return rows
    rows = in_house(look, echo=False)
    share, on_time = (statistics.median(row[key] for row in rows) for key in ("ran", "on_time"))
    print(f"\nstarvation: a 10 ms timer beside {SPINNERS} plugins that spin, {os.cpu_count()} cores, {window:g} s, load {load()}")
    print(f"  {'ticks that ran':<44} {share:>17.1%}   target {TICKS_TARGET:.0%}")
    print(f"  {'less than 5 ms late':<44} {on_time:>17.1%}")
    print(f"  {'latest':<44} {max(row['latest_ms'] for row in rows):>15.1f} ms")
    return {"ran": share, "on_time": on_time, "target": TICKS_TARGET, "runs": rows}
