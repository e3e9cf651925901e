"""Real proxies between agent and cloud: rows F64 to F69 of the fault matrix, E. Middleboxes."""

import pytest

from certificates import Authority
from lab import AUTH_PORT, MAIN_PORT, SERVICE_PORT
from middleboxes import access_log, haproxy, nginx, tinyproxy
from namespaces import CLOUD_ADDRESS, CLOUD_NAME
from program import SLOWNESS
from reframing import Reframer
from rows import assert_no_sample_lost, moored, wait_down, wait_drained, wait_pings
from wire import refusal

INSIDE = "10.99.2.11"  # where the cloud listens behind a proxy; s9.test
UPGRADE = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"


def hidden_cloud(lab, **options):
    """A scripted cloud that the agent reaches through a proxy on the cloud's address only."""
    cloud = lab.scripted_cloud(listen=INSIDE, **options)
    cloud.grant_limits["ping_s"] = 5
    return cloud


def reverse_proxy(lab, *lines, certificate=None):
    """An nginx that ends TLS and speaks TLS again to the cloud behind it, on all three ports."""
    chain, key = certificate or lab.authority.issue([CLOUD_NAME])
    more = " ".join(lines)
    return nginx(lab, "".join(f"""
      server {{
        listen {CLOUD_ADDRESS}:{port} ssl; ssl_certificate {chain}; ssl_certificate_key {key};
        location / {{ proxy_pass https://{INSIDE}:{port}; proxy_set_header Host $http_host; {more} }}
      }}""" for port in (AUTH_PORT, MAIN_PORT, SERVICE_PORT)))


def test_a_proxy_that_cuts_idle_connections_is_held_by_the_ping(lab):
    """[F64] [conn-5] nginx cuts what is idle for 8 s: the ping of 5 s keeps main connection and subconnection."""
    cloud = hidden_cloud(lab)
    reverse_proxy(lab, UPGRADE, "proxy_read_timeout 8s; proxy_send_timeout 8s;")
    _, agent = moored(lab, cloud, plugins=("config_push",))
    wait_pings(cloud, 3)
    assert cloud.record.count("main:end") == 0 and agent.subconnection("config_push")["reconnects"] == 0
    assert agent.state()["cloud_connection_state"] == "Established"


def test_a_proxy_that_cuts_sooner_than_the_ping(lab):
    """[F64] nginx cuts after 2 s: the loss is seen at once, and the agent comes back each time."""
    cloud = hidden_cloud(lab)
    reverse_proxy(lab, UPGRADE, "proxy_read_timeout 2s;")
    _, agent = moored(lab, cloud)
    state, took = wait_down(agent, 10)
    assert state["last_down_reason"] in ("peer_closed", "going_away") and took <= 6 * SLOWNESS, state
    cloud.record.wait("connect", 2)


def test_a_proxy_that_strips_the_upgrade(lab):
    """[F65] nginx without the lines for it drops the Upgrade: the failure says that a proxy may have done it."""
    cloud = hidden_cloud(lab)
    cloud.always("connect", refusal(426, "bad_request", "an upgrade is due"))
    reverse_proxy(lab, "proxy_http_version 1.1;")
    agent = lab.agent(plugins=[]).start()
    state = agent.wait_failure("upgrade_refused")
    assert "proxy" in state["failure_detail"].lower(), state["failure_detail"]
    assert "upgrade" not in cloud.record.wait("connect").data["headers"], "the proxy did not strip it"


def tunnel_that_cuts(lab, idle_s):
    """haproxy before a hidden cloud: TLS passes through, and what is idle for so long is cut."""
    haproxy(lab, f"defaults\n  mode tcp\n  timeout connect 5s\n  timeout client {idle_s}s\n  timeout server {idle_s}s\n"
            f"  timeout tunnel {idle_s}s\n" +
            "".join(f"listen p{port}\n  bind {CLOUD_ADDRESS}:{port}\n  server s {INSIDE}:{port}\n"
                    for port in (AUTH_PORT, MAIN_PORT, SERVICE_PORT)))


def test_a_tunnel_with_a_timeout(lab):
    """[F66] haproxy passes TLS through and cuts what is idle for 8 s: the ping keeps it."""
    cloud = hidden_cloud(lab)
    tunnel_that_cuts(lab, 8)
    _, agent = moored(lab, cloud)
    wait_pings(cloud, 3)
    assert cloud.record.count("main:end") == 0
    assert agent.state()["cloud_connection_state"] == "Established"


def test_a_tunnel_with_a_timeout_below_the_ping(lab):
    """[F66] [conn-19] A cut after 2 s, which no ping prevents: the agent comes back each time, says why it was down, and
    waits longer from time to time, since the connections are short."""
    cloud = hidden_cloud(lab)
    tunnel_that_cuts(lab, 2)
    _, agent = moored(lab, cloud)
    for number in (2, 3, 4):
        again = cloud.record.wait("connect", number, 20 * SLOWNESS)
        agent.wait_state(lambda state: state["last_down_reason"] == "peer_closed", 5, "the cut named")
    ends = cloud.record.all("main:end")
    assert len(ends) >= 3 and again.at - ends[2].at >= 0.9, "the third short connection in a row is not followed at once"
    agent.wait_established()


def behind_a_forward_proxy(lab, user="", *, plugins=(), **options):
    """An agent that may reach nothing but the proxy."""
    lab.fault(f"ip saddr 10.99.1.2 ip daddr {CLOUD_ADDRESS} tcp dport {{ 443, 8443, 19443 }} counter drop")
    agent = lab.agent(plugins=[f"hawser.{plugin}" for plugin in plugins], **options)
    at = f"{user}@" if user else ""
    agent.write_config("conf.d/20-proxy.toml", f'[cloud.proxy]\nurl = "http://{at}{INSIDE}:3128"\n')
    (agent.config / "conf.d" / "20-proxy.toml").chmod(0o600)
    return agent.start()


@pytest.mark.parametrize("user", ["", "moor:sEcret-1"], ids=["open", "with a user"])
def test_a_forward_proxy(lab, user):
    """[F67] [conn-22] Only a CONNECT proxy leads out, with or without a user: main connection and subconnection go
    through it."""
    words = [f"BasicAuth {user.replace(':', ' ')}"] if user else []
    proxy = tinyproxy(lab, INSIDE, 3128, "ConnectPort 443", "ConnectPort 8443", "ConnectPort 19443", *words)
    cloud = lab.scripted_cloud()
    agent = behind_a_forward_proxy(lab, user, plugins=("monitoring",))
    agent.wait_ready(("monitoring",))
    assert lab.dropped() == 0 and "CONNECT" in proxy.text()
    assert not any("proxy-authorization" in seen.data.get("headers", {}) for seen in cloud.record.all()), \
        "credentials go to the proxy only"
    assert "sEcret-1" not in agent.program.text() + agent.ctl("state", "--json").stdout


def test_a_forward_proxy_that_asks_for_a_user(lab):
    """[F67] [conn-22] A proxy answers 407: `proxy_auth_required`, and the state names the proxy."""
    tinyproxy(lab, INSIDE, 3128, "ConnectPort 19443", "BasicAuth moor secret")
    lab.scripted_cloud()
    agent = behind_a_forward_proxy(lab)
    assert INSIDE in agent.wait_failure("proxy_auth_required")["failure_detail"]


def test_a_forward_proxy_that_dies(lab):
    """[F67] [conn-22] The proxy is killed and started again: the state names it meanwhile, and the agent comes back."""
    lines = ("ConnectPort 443", "ConnectPort 19443")
    proxy = tinyproxy(lab, INSIDE, 3128, *lines)
    lab.scripted_cloud()
    agent = behind_a_forward_proxy(lab)
    agent.wait_established()
    proxy.kill()
    wait_down(agent, 10)
    assert f"proxy {INSIDE}:3128" in agent.wait_failure("proxy_refused")["failure_detail"]
    tinyproxy(lab, INSIDE, 3128, *lines)
    agent.wait_established(limit=30)


def test_a_corporate_authority_in_the_middle(lab):
    """[F68] A proxy that opens TLS with an authority of its own is refused, unless the operator's ca_file names it."""
    corporate = Authority(lab.folder / "corporate", "Corporate CA")
    hidden_cloud(lab)
    reverse_proxy(lab, UPGRADE, certificate=corporate.issue([CLOUD_NAME]))
    agent = lab.agent(plugins=[]).start()
    state = agent.wait_failure("tls_failed")
    assert "Corporate CA" in state["failure_detail"]
    assert "/hawser/" not in access_log(lab)
    agent.stop()
    lab.agent(ca_file=corporate.file, plugins=[], name="trusting").start().wait_established()


def test_a_proxy_that_frames_messages_anew(lab):
    """[F69] A proxy sends each message on in frames of its own, many in one record, cut anywhere: the same messages
    arrive, each once, and pings are answered between the pieces."""
    cloud = hidden_cloud(lab)
    proxy = Reframer(lab.background, lab.authority.issue([CLOUD_NAME]), CLOUD_ADDRESS, INSIDE,
                     (AUTH_PORT, MAIN_PORT, SERVICE_PORT))
    _, agent = moored(lab, cloud, plugins=("monitoring",))
    cloud.record.wait("data:monitoring", 8)
    cloud.send_main({"type": "command", "id": "cut", "name": "state", "args": {}})
    assert cloud.record.wait("main:command_result").data["body"]["ok"] is True
    wait_drained(agent)
    assert_no_sample_lost(cloud)
    assert proxy.cut >= 50 and proxy.merged > 0, (proxy.cut, proxy.merged)
    assert cloud.record.count("main:end") == 0 and agent.subconnection("monitoring")["reconnects"] == 0


def test_a_proxy_that_cuts_the_stream_anew(lab):
    """[F69] A proxy ends TLS, gathers and cuts the stream at its own borders: the same messages arrive, each once."""
    cloud = hidden_cloud(lab)
    cloud.slice_bytes = 3
    reverse_proxy(lab, UPGRADE, "proxy_buffer_size 1k; proxy_read_timeout 60s;")
    _, agent = moored(lab, cloud, plugins=("monitoring",))
    cloud.record.wait("data:monitoring", 5)
    cloud.send_main({"type": "command", "id": "cut", "name": "state", "args": {}})
    assert cloud.record.wait("main:command_result").data["body"]["ok"] is True
    wait_drained(agent)
    assert_no_sample_lost(cloud)
