"""Which hardware goes with which cloud, by the programs as an operator starts them."""

import re

import pytest

from basics import built, free_port


def device(world, kind, model, more="", port=None, **options):
    agent = world.agent(port or free_port(), world.authority.file, plugins=[], **options)
    text = (agent.config / "hawser.toml").read_text()
    text = text.replace('model = "HW-1"', f'model = "{model}"').replace('kind = "generic"', f'kind = "{kind}"\n{more}')
    agent.write_config("hawser.toml", text)
    return agent


@pytest.mark.parametrize("kind, model", [("cloudnet", "MSR 3610"), ("cloudnet-international", "MSR810-W-LM-HK"),
                                         ("adwan", "msr3600-28-si")])
def test_an_incompatible_pair_does_not_start(world, kind, model):
    """[conn-17] `hawserd --check` exits 78 and names model and cloud; hawserd itself exits 78 before the first packet."""
    cloud = world.scripted_cloud()
    agent = device(world, kind, model, port=cloud.auth_port)
    done = world.run([*agent.arguments(), "--check"], expect=78)
    said = done.stdout + done.stderr
    assert model in said and kind in said and "allow_incompatible" in said, said
    assert re.search(r"hawser\.toml:\d+:\d+: ", said), said
    agent.start()
    assert agent.program.wait_end() == 78 and model in agent.program.text()
    assert cloud.record.count("tls") == 0, "a packet went out"
    done = agent.ctl("config", "check", expect=1)
    assert model in done.stdout + done.stderr


@pytest.mark.parametrize("kind, model, more, warns", [
    ("cloudnet", "MSR 3610", "allow_incompatible = true", True),
    ("cloudnet", "Toaster 9000", "", True),
    ("cloudnet", "msr2630", "", False),
    ("cloudnet", "MSR3620-X1", "", False),
    ("generic", "MSR 3610", "", False)])
def test_what_goes_connects(world, kind, model, more, warns):
    """[conn-17] allow_incompatible and a model in no table connect with a warning that names both; spaces and case do not
    count; generic checks nothing."""
    cloud = world.scripted_cloud()
    agent = device(world, kind, model, more, port=cloud.auth_port)
    done = world.run([*agent.arguments(), "--check"])
    said = done.stdout + done.stderr
    assert (model in said and kind in said) == warns, said
    agent.start()
    agent.wait_established()
    assert any("warn" in line and model in line for line in agent.program.lines()) == warns
    assert cloud.record.all("auth")[0].data["body"]["model"] == model


def test_a_pair_that_goes_no_longer_is_refused_as_it_runs(world):
    """[conn-17] [conn-25] A kind of cloud that the hardware does not go with, set while the agent runs: refused with both
    names, and the connection stays."""
    cloud = world.scripted_cloud()
    agent = device(world, "generic", "MSR 3610", port=cloud.auth_port).start()
    before = agent.wait_established()
    agent.write_config("conf.d/30-kind.toml", '[cloud]\nkind = "cloudnet"\n')
    done = agent.ctl("config", "reload", expect=1)
    assert "MSR 3610" in done.stderr and "cloudnet" in done.stderr, done.stderr
    assert agent.state()["connected_at"] == before["connected_at"] and cloud.record.count("tls") > 0


def test_compat_prints_the_tables(world):
    """[conn-17] `hawserctl compat` prints all three tables without an agent, `compat MODEL` one row whatever its case and
    spaces; a model in no table is named; the operator's own table takes the place of the guide's."""
    ctl = [built("hawserctl"), "--config", world.folder, "compat"]
    table = world.run(ctl).stdout
    assert len(table.splitlines()) > 84
    for word in ("cloudnet", "cloudnet-international", "adwan", "MSR3620-X1", "MSR810-W-LM-HK"):
        assert word in table, word
    for model in ("MSR 2630", "msr2630", "Msr  2630"):
        [heading, row] = world.run([*ctl, model]).stdout.splitlines()
        assert row.startswith(model) and row[len(model):].split() == ["yes", "yes", "yes"], (heading, row)
    [_, row] = world.run([*ctl, "MSR 3610"]).stdout.splitlines()
    assert row.split()[2] == "no", row
    own = world.folder / "hardware-compatibility.toml"
    own.write_text('[cloudnet]\n"Toaster 1" = false\n[cloudnet-international]\n"Toaster 1" = true\n[adwan]\n"Toaster 1" = true\n')
    lines = world.run(ctl).stdout.splitlines()
    assert len(lines) == 2 and lines[1].split() == ["Toaster", "1", "no", "yes", "yes"], lines
    own.unlink()
    unknown = world.run([*ctl, "Toaster 9000"], expect=None)
    assert "Toaster 9000" in unknown.stdout + unknown.stderr
