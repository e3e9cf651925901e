"""A name with several addresses of which one is worth nothing above TCP."""

import socket
import threading

import pytest

from lab import AUTH_PORT
from namespaces import CLOUD_ADDRESS, CLOUD_NAME

HALF = "10.99.2.3"


class Half:
    """Takes connections at that address, and does no more than this with them."""

    def __init__(self, lab, answer):
        self.answer, self.taken = answer, []
        self.server = lab.in_place("cloud", lambda: socket.create_server((HALF, AUTH_PORT)))
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


@pytest.mark.parametrize("answer, limit", [(b"", 12), (b"HTTP/1.1 400 Bad Request\r\n\r\n", 12), (None, 25)],
                         ids=["closes", "no TLS", "silent"])
def test_a_half_working_address_does_not_hide_a_working_one(lab, answer, limit):
    """[conn-18] The first address of the name takes connections and closes them, is no TLS server, or is silent: the
    second is tried without a restart and without an operator."""
    lab.hosts({CLOUD_NAME: [HALF, CLOUD_ADDRESS]})
    half = Half(lab, answer)
    lab.scripted_cloud()
    agent = lab.agent(plugins=[]).start()
    state = agent.wait_established(limit=limit)
    assert state["cloud_server_address"] == CLOUD_ADDRESS
    half.server.close()
