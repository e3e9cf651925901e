"""Which hosts and ports the agent goes to."""

import re

from basics import SERIAL, SERVICES, free_port


def test_the_websocket_goes_where_the_registration_says(world):
    """[conn-3] The WebSocket goes to the host and port of the registration's URL, which differ from the server's."""
    cloud = world.scripted_cloud(main_host="127.0.0.1")
    agent = world.agent(cloud.auth_port, world.authority.file, plugins=[]).start()
    state = agent.wait_established()
    [connect] = cloud.record.all("connect")
    assert connect.port == cloud.main_port != cloud.auth_port
    assert connect.data["headers"]["host"] == f"127.0.0.1:{cloud.main_port}"
    assert state["cloud_server_connection_port"] == cloud.main_port
    assert state["cloud_server_authentication_port"] == cloud.auth_port
    assert state["cloud_server_domain_name"] == "localhost"
    for step in ("auth", "register"):
        assert {seen.port for seen in cloud.record.all(step)} == {cloud.auth_port}


def test_each_subconnection_goes_where_its_grant_says(world):
    """[conn-3] Each subconnection goes to the host and port of its grant, with that grant's token."""
    cloud = world.scripted_cloud(service_host="127.0.0.1")
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    agent.wait_ready()
    for service in SERVICES:
        [dial] = cloud.record.all(f"dial:{service}")
        assert dial.port == cloud.service_port and dial.data["headers"]["host"] == f"127.0.0.1:{cloud.service_port}"


def test_the_authentication_port_is_19443_by_default(world):
    """[conn-6] Without any setting the authentication port is 19443."""
    agent = world.agent(None, world.authority.file, plugins=[]).start()
    agent.wait_state(lambda state: state["cloud_server_authentication_port"] == 19443)


def test_the_default_authentication_port_can_be_set(world):
    """[conn-6] cloud.authentication_port holds for a server that names no port."""
    cloud = world.scripted_cloud()
    agent = world.agent(None, world.authority.file, authentication_port=cloud.auth_port, plugins=[]).start()
    agent.wait_established()


def test_a_servers_own_port_goes_before_the_default(world):
    """[conn-6] A server's own port goes before cloud.authentication_port."""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file, authentication_port=free_port(), plugins=[]).start()
    state = agent.wait_established()
    assert state["cloud_server_authentication_port"] == cloud.auth_port


def test_the_cloud_authenticates_on_its_own_port_only(world):
    """[conn-6] hawser-cloud's port for authentication and its port for connections are two, as the guide has it."""
    cloud = world.cloud(serials=[SERIAL]).start()
    agent = world.agent(cloud.auth_port, cloud.ca_file, plugins=[]).start()
    state = agent.wait_established()
    assert state["cloud_server_connection_port"] == cloud.port != cloud.auth_port


def test_the_agent_listens_on_nothing_but_its_own_socket(world):
    """[sec-2] The agent and its hosts listen on no network port. [S46]"""
    cloud = world.scripted_cloud()
    agent = world.agent(cloud.auth_port, world.authority.file).start()
    agent.wait_ready()
    listening = world.run(["ss", "-Hltnup"]).stdout
    for pid in [agent.program.pid, *agent.hosts()]:
        assert not re.search(rf"pid={pid}\b", listening), listening
