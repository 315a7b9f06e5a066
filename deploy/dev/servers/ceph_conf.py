"""The configuration of a one-node Ceph cluster for tests."""

from pathlib import Path
from typing import NamedTuple

# The gateway would create them one after the other, each with more placement groups than one
# disk is worth.
POOLS = (
    ".rgw.root",
    "default.rgw.log",
    "default.rgw.control",
    "default.rgw.meta",
    "default.rgw.buckets.index",
    "default.rgw.buckets.data",
    "default.rgw.buckets.non-ec",
)


class Ports(NamedTuple):
    s3: int
    monitor: int
    monitor_v1: int

    @property
    def monitor_address(self) -> str:
        return f"[v2:127.0.0.1:{self.monitor},v1:127.0.0.1:{self.monitor_v1}]"


def configuration(folder: Path, fsid: str, ports: Ports) -> str:
    """Text of ceph.conf for a cluster with all its files in `folder`."""
    return f"""\
[global]
fsid = {fsid}
mon host = {ports.monitor_address}
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv4 = true
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = {folder}/keyring
run dir = {folder}
crash dir = {folder}/crash
# No sockets: their paths may not be longer than 107 characters.
admin socket =
log to file = false
log to stderr = true
mon cluster log to file = false

# One disk, one copy.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
# A laptop's disk may be nearly full.
mon data avail warn = 2
mon data avail crit = 1

# Each change of the map waits this long for company; there is none. Seconds.
paxos propose interval = 0.05
paxos min wait = 0.01
# A client that asked a daemon before it was up asks again this soon. Seconds.
objecter tick interval = 0.3
objecter timeout = 1

osd objectstore = bluestore
# A sparse file: room for models, without taking it.
bluestore block size = {32 << 30}
bluestore fsck on mount = false
osd memory target = {1 << 30}

[mon.a]
mon data = {folder}/mon
[osd.0]
osd data = {folder}/osd
[client.rgw.a]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{ports.s3}
rgw enable apis = s3
# Its cache tells all gateways of each change, and would wait 30 s for one that was killed.
rgw cache enabled = false
"""
