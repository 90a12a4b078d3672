from __future__ import annotations

from pathlib import Path

import pytest

from flowstone.stores.mounts import find_network_mount

TABLE = r"""
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / /mnt/team\040files rw shared:7 - nfs4 server:/export rw,vers=4.2
31 30 254:1 / /mnt/team\040files/scratch rw - xfs /dev/vdb rw
32 22 0:26 / /data rw - fuse.sshfs me@host: rw
33 22 254:2 / /twice rw - nfs server:/old rw
34 33 254:2 / /twice rw - ext4 /dev/vdc rw
35 22 0:27 / /run rw - tmpfs tmpfs rw
""".lstrip()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/.flowstone", None),
        ("/mnt/team files/home", "nfs4"),
        ("/mnt/team files", "nfs4"),
        ("/mnt/team files of ours", None),
        ("/mnt/team files/scratch/home", None),
        ("/data/a/b", "fuse.sshfs"),
        ("/twice/home", None),
        ("/run/home", None),
    ],
)
def test_the_innermost_and_latest_mount_decides(path: str, kind: str | None) -> None:
    assert find_network_mount(Path(path), TABLE) == kind


def test_a_directory_of_this_machine_is_on_no_network(tmp_path: Path) -> None:
    assert find_network_mount(tmp_path / "not there yet") is None
