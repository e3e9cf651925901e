"""Importing it makes localhost the loopback address, whatever the resolver says (RFC 6761 §6.3): a bare Debian root has
no /etc/hosts. The programs know this by themselves; Python's socket does not."""

import socket

_ask = socket.getaddrinfo


def _getaddrinfo(host, *args, **kwargs):
    return _ask("127.0.0.1" if host == "localhost" else host, *args, **kwargs)


socket.getaddrinfo = _getaddrinfo
