"""A name with several addresses of which one is worth nothing above TCP."""

import socket
import ssl
import threading

import pytest

from lab import AUTH_PORT
from namespaces import CLOUD_ADDRESS, CLOUD_NAME

HALF = "10.99.2.3"


class Half:
    """Takes connections at that address, and does no more than this with them: `answer` is sent when something was
    said and the connection closed, None leaves it open. With `tls` a good certificate is shown first."""

    def __init__(self, lab, answer, tls):
        self.answer, self.taken = answer, []
        self.server = lab.in_place("cloud", lambda: socket.create_server((HALF, AUTH_PORT)))
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*lab.authority.issue([CLOUD_NAME]))
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
                          (b"", True, 12), (None, True, 35)],
                         ids=["closes", "no TLS", "silent", "closes behind TLS", "silent behind TLS"])
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
