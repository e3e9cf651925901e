"""A name with several addresses of which one is worth nothing above TCP."""

import socket
import ssl
import threading

import pytest

from lab import AUTH_PORT, MAIN_PORT, SERVICE_PORT
from namespaces import CLOUD_ADDRESS, CLOUD_NAME

HALF = "10.99.2.3"
CONNECTIONS, SERVICES = "connections.test", "services.test"  # hosts that the cloud names, other than its own
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Half:
    """Takes connections at that address, and does no more than this with them: `answer` is sent when something was
    said and the connection closed, None leaves it open. With `tls` a good certificate is shown first."""

    def __init__(self, lab, answer, tls, name=CLOUD_NAME, port=AUTH_PORT):
        self.answer, self.taken = answer, []
        self.server = lab.in_place("cloud", lambda: socket.create_server((HALF, port)))
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*lab.authority.issue([name]))
            self.server = context.wrap_socket(self.server, server_side=True)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            while True:
                client, _ = self.server.accept()
                self.taken.append(client)
                if self.answer is not None:
                    client.settimeout(5)
                    client.recv(4096)
                    client.sendall(self.answer)
                    client.close()
        except OSError:
            return


@pytest.mark.parametrize("answer, tls, limit",
                         [(b"", False, 12), (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, 12), (None, False, 25),
                          (b"", True, 12), (BAD_GATEWAY, True, 12), (None, True, 35)],
                         ids=["closes", "no TLS", "silent", "closes behind TLS", "502 behind TLS", "silent behind TLS"])
def test_a_half_working_address_does_not_hide_a_working_one(lab, answer, tls, limit):
    """[conn-18] The first address of the name takes connections and closes them, is no TLS server, or is silent, also
    with a good certificate: the second is tried without a restart and without an operator."""
    lab.hosts({CLOUD_NAME: [HALF, CLOUD_ADDRESS]})
    half = Half(lab, answer, tls)
    lab.scripted_cloud()
    agent = lab.agent(plugins=[]).start()
    state = agent.wait_established(limit=limit)
    assert half.taken, "the half-working address was not asked at all: nothing is shown"
    assert state["cloud_server_address"] == CLOUD_ADDRESS
    half.server.close()


DEAD_HTTP = pytest.mark.parametrize("answer", [b"", BAD_GATEWAY, None], ids=["closes", "502", "silent"])


def cloud_that_names(lab, step, name):
    """A cloud whose registrations ("main") or grants ("service") name this host of two addresses, the first of them HALF."""
    lab.hosts({CLOUD_NAME: [CLOUD_ADDRESS], name: [HALF, CLOUD_ADDRESS]})
    return lab.scripted_cloud(**{f"{step}_host": name}, certificates={step: lab.authority.issue([name])})


@DEAD_HTTP
def test_a_half_working_address_of_the_registrations_host(lab, answer):
    """[conn-18] [conn-3] The host that a registration names has two addresses, of which the first shows a good certificate
    and speaks no HTTP: the next dial tries the other first, and after a loss that address is still not asked before it."""
    cloud = cloud_that_names(lab, "main", CONNECTIONS)
    half = Half(lab, answer, True, CONNECTIONS, MAIN_PORT)
    agent = lab.agent(plugins=[]).start()
    agent.wait_established(limit=45)
    assert len(half.taken) == 1, f"the half-working address was asked {len(half.taken)} times"
    cloud.drop_all()
    cloud.record.wait("connect", 2)
    assert agent.wait_established()["cloud_server_address"] == CLOUD_ADDRESS
    assert len(half.taken) == 1
    half.server.close()


@DEAD_HTTP
def test_a_half_working_address_of_a_grants_host(lab, answer):
    """[conn-18] [iso-3] The same for the host of a grant, which a plugin's own host dials: its second dial tries the other
    address first; the main connection feels nothing."""
    cloud = cloud_that_names(lab, "service", SERVICES)
    half = Half(lab, answer, True, SERVICES, SERVICE_PORT)
    agent = lab.agent(plugins=["hawser.monitoring"]).start()
    state = agent.wait_ready(("monitoring",), limit=45)
    assert len(half.taken) == 1, f"the half-working address was asked {len(half.taken)} times"
    cloud.abort("monitoring")
    cloud.record.wait("dial:monitoring", 2)
    assert agent.wait_ready(("monitoring",))["connected_at"] == state["connected_at"]
    assert len(half.taken) == 1
    half.server.close()
