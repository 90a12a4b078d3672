"""Detects whether a path is on a network file system."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

#: File systems that several machines can write to at once. SQLite's write-ahead log needs memory
#: shared by all its processes, and locks that none of these guarantee.
NETWORK = re.compile(
    r"(nfs|nfs4|cifs|smb|smbfs|smb3|afs|ceph|glusterfs|lustre|beegfs|gpfs|ocfs2|gfs2|afpfs)"
    r"|fuse\.(sshfs|glusterfs|ceph|s3fs|gcsfuse|rclone|goofys|davfs|blobfuse2?)"
)
_TABLE = Path("/proc/self/mountinfo")


def find_network_mount(path: Path, table: str | None = None) -> str | None:
    """Return the type of the network file system that a path is on; None if it is on none.

    Args:
        path: the path of a file or directory, which need not exist.
        table: the text of `/proc/self/mountinfo`; None for that of this process. If the system has
            no such file, no path is reported as being on a network.
    """
    if table is None:
        try:
            table = _TABLE.read_text("utf-8", "surrogateescape")
        except OSError:
            return None
    place = PurePosixPath(path.resolve())
    found = (PurePosixPath("/"), "")
    for line in table.splitlines():
        # See proc(5): "36 35 98:0 /root /mount/point options - type source more"
        mount, _, kind = line.partition(" - ")
        point = PurePosixPath(_unescape(mount.split()[4]))
        # A later mount hides an earlier one of the same place.
        if place.is_relative_to(point) and len(point.parts) >= len(found[0].parts):
            found = (point, kind.split()[0])
    return found[1] if NETWORK.fullmatch(found[1]) else None


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
