"""A wire between two network namespaces that delays every packet, with jitter, so that they overtake each other too.

usage: slow_wire.py NETNS_A DEVICE_A NETNS_B DEVICE_B DELAY_MS JITTER_MS
Makes a TUN device in each, says `ready`, and passes packets until it is ended. (The kernel's netem is not everywhere.)"""

import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import sys
import time

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI, _CLONE_NEWNET = 0x400454CA, 0x0001, 0x1000, 0x40000000
_PACKETS_MAX = 4096  # that wait; more are lost, as on a real wire


def open_tun(netns, device):
    with open(f"/run/netns/{netns}", "rb") as handle:
        if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {netns}")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TUN | _IFF_NO_PI))
    return tun


def main():
    first, second = open_tun(*sys.argv[1:3]), open_tun(*sys.argv[3:5])
    delay, jitter = (float(each) / 1000 for each in sys.argv[5:7])
    other, waiting, number = {first: second, second: first}, [], itertools.count()
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, tun, packet = heapq.heappop(waiting)
            try:
                os.write(tun, packet)
            except OSError:
                pass  # the device is down or full: lost
        limit = max(0.0, waiting[0][0] - now) if waiting else None
        for tun in select.select([first, second], [], [], limit)[0]:
            packet = os.read(tun, 65536)
            if len(waiting) < _PACKETS_MAX:
                due = time.monotonic() + delay + random.uniform(-jitter, jitter)
                heapq.heappush(waiting, (due, next(number), other[tun], packet))


if __name__ == "__main__":
    main()
