"""No connection without verified TLS."""

import pytest

from basics import built
from certificates import Authority
from wire import Answer


def must_not_trust(world, cloud, agent, step, reason="tls_failed"):
    """The agent refuses at this step, more than once, and nothing of value was sent there."""
    agent.start()
    agent.wait_failure(reason, limit=40)
    assert cloud.record.count(step) == 0, f"the agent spoke to an end that it cannot trust: {step}"
    return agent


def test_an_unknown_authority_is_refused(world):
    """[sec-1] A certificate of an unknown authority is refused before the serial or a proof is sent. [F39]"""
    stranger = Authority(world.folder / "stranger", "Stranger CA")
    cloud = world.scripted_cloud(certificates={"auth": stranger.issue(["localhost"])})
    agent = must_not_trust(world, cloud, world.agent(cloud.auth_port, world.authority.file, plugins=[]), "auth")
    assert cloud.record.count("tls") == 0
    agent.must_run()


def test_a_wrong_host_name_is_refused(world):
    """[sec-1] A certificate for another name is refused, though its authority is trusted. [F38]"""
    cloud = world.scripted_cloud(certificates={"auth": world.authority.issue(["evil.test"])})
    must_not_trust(world, cloud, world.agent(cloud.auth_port, world.authority.file, plugins=[]), "auth")


def test_a_wrong_host_name_is_refused_after_a_stalled_handshake(world):
    """[sec-1] A certificate for another name is refused also when the server stalls in the middle of the handshake."""
    cloud = world.scripted_cloud(certificates={"auth": world.authority.issue(["evil.test"])})
    proxy = world.proxy(cloud.auth_port)
    proxy.slice_bytes, proxy.delay_s = 256, 0.7
    must_not_trust(world, cloud, world.agent(proxy.port, world.authority.file, plugins=[]), "auth")
    assert proxy.to_client > 500, "the handshake did not come far enough to prove anything"


def test_the_common_name_does_not_count(world):
    """[sec-1] A certificate whose common name fits but whose subjectAltName does not is refused."""
    certificate = world.authority.issue(["evil.test"], common_name="localhost")
    cloud = world.scripted_cloud(certificates={"auth": certificate})
    must_not_trust(world, cloud, world.agent(cloud.auth_port, world.authority.file, plugins=[]), "auth")


@pytest.mark.parametrize("days, word", [((-30, -2), "expired"), ((5, 30), "is valid from")])
def test_a_certificate_out_of_its_time_is_named(world, days, word):
    """[sec-1] An expired certificate and one that is not valid yet are refused, each by its name. [F36] [F37]"""
    cloud = world.scripted_cloud(certificates={"auth": world.authority.issue(["localhost"], days=days)})
    agent = must_not_trust(world, cloud, world.agent(cloud.auth_port, world.authority.file, plugins=[]), "auth",
                           "certificate_clock")
    assert word in str(agent.state()).lower() + agent.program.text().lower()


def test_the_token_never_goes_to_a_wrong_main_server(world):
    """[sec-1] The WebSocket's server is verified too: its URL comes from the cloud, and the token stays here."""
    cloud = world.scripted_cloud(certificates={"main": world.authority.issue(["evil.test"])})
    agent = must_not_trust(world, cloud, world.agent(cloud.auth_port, world.authority.file, plugins=[]), "connect")
    assert cloud.record.count("register") >= 1
    agent.must_run()


def test_the_grant_never_goes_to_a_wrong_microservice(world):
    """[sec-1] Each host verifies its microservice; the grant's token never goes to a wrong one."""
    cloud = world.scripted_cloud(certificates={"service": world.authority.issue(["evil.test"])})
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    agent.wait_established()
    agent.wait_state(lambda state: all("tls_failed" in str(agent.subconnection(service, state).get("failure_reason"))
                                       for service in cloud.services), what="three subconnections refused")
    assert not [step for step in cloud.record.steps() if step.startswith("dial:")]
    assert agent.state()["cloud_connection_state"] == "Established"


@pytest.mark.parametrize("url", ["ws://localhost:{port}/hawser/v1/connect/1", "http://localhost:{port}/",
                                 "wss://user:pass@localhost:{port}/hawser/v1/connect/1",
                                 "wss://localhost:{port}/hawser/v1/connect/1#part", "file:///etc/passwd", "", 7])
def test_a_url_that_is_not_plain_wss_is_refused(world, url):
    """[sec-1] A registration whose URL is not wss, or has user or fragment, is refused; nothing is dialled."""
    cloud = world.scripted_cloud()
    text = url.format(port=cloud.main_port) if isinstance(url, str) else url
    cloud.always("register", Answer(200, {"url": text, "reconnect_spread_s": 0}))
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    agent.wait_failure("bad_response")
    assert cloud.record.count("connect") == 0


def test_no_switch_turns_verification_off(world):
    """[sec-1] No option and no key turns verification off, and none is hidden in the programs."""
    for program in ("hawserd", "hawser-host", "hawserctl"):
        words = built(program).read_bytes().lower()
        for switch in (b"insecure", b"skip_verify", b"skip-verify", b"no-verify", b"verify_relaxed"):
            assert switch not in words, f"{program}: {switch}"
    agent = world.agent(1, world.authority.file, plugins=[])
    agent.write_config("conf.d/10-verify.toml", "[cloud.tls]\nverify = false\n")
    done = world.run([*agent.arguments(), "--check"], expect=78)
    assert "cloud.tls.verify" in done.stdout + done.stderr


def test_only_what_the_settings_name_is_trusted(world):
    """[sec-1] With ca_file set, its authority connects; the same cloud is refused when ca_file is left out."""
    cloud = world.scripted_cloud()
    trusting = world.agent(cloud.auth_port, world.authority.file, plugins=[], name="trusting").start()
    trusting.wait_established()
    other = world.agent(cloud.auth_port, "", plugins=[], name="other").start()
    other.wait_failure("tls_failed", limit=40)
