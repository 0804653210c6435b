#!/usr/bin/env python3
"""A cable with a delay between two network namespaces, for any kernel that has tun devices (netem is often left out).

  wire.py DELAY_MS DEVICE NAMESPACE NAMESPACE

makes the tun device DEVICE in both and hands each packet of one to the other DELAY_MS later, until it is killed. Needs root.
"""

import collections
import contextlib
import ctypes
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN_WITHOUT_HEADER = 0x0001 | 0x1000
CLONE_NEWNET = 0x40000000
LARGEST_PACKET = 65536


def enter(namespace_file):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace_file.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {namespace_file.name}")


def open_tun(device, namespace):
    """The file of a new tun device, which stays in its namespace when this process leaves it."""
    with open("/proc/self/ns/net") as home, open(f"/run/netns/{namespace}") as there:
        enter(there)
        try:
            tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN_WITHOUT_HEADER))
            return tun
        finally:
            enter(home)


def carry(delay, ends):
    """Hands packets on for ever: those of each end are under way in the order in which they came."""
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    under_way = {end: collections.deque() for end in ends}
    while True:
        due = [packets[0][0] for packets in under_way.values() if packets]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        for end in select.select(ends, [], [], timeout)[0]:
            under_way[end].append((time.monotonic() + delay, os.read(end, LARGEST_PACKET)))
        now = time.monotonic()
        for end, packets in under_way.items():
            while packets and packets[0][0] <= now:
                packet = packets.popleft()[1]
                # An end that is not up yet, or no longer, drops what arrives.
                with contextlib.suppress(OSError):
                    os.write(other[end], packet)


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__.strip())
    delay, device, *namespaces = sys.argv[1:]
    carry(float(delay) / 1000, [open_tun(device, namespace) for namespace in namespaces])


if __name__ == "__main__":
    main()
