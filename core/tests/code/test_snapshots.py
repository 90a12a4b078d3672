"""Snapshots of directories of code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowstone.code.snapshots import (
    IGNORE_FILE,
    KEPT,
    MOST_BYTES,
    copy_snapshot,
    open_copy,
    read_snapshot,
    remove_snapshots,
    save_snapshot,
)
from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from flowstone.context.current import Services


def list_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_snapshot_is_what_the_files_were(
    services: Services, project: Path, tmp_path: Path
) -> None:
    (project / "run.sh").write_text("exit 0")
    (project / "run.sh").chmod(0o755)
    first = save_snapshot(project)
    assert save_snapshot(project) == first
    (project / "data.txt").write_text("new")
    assert save_snapshot(project) != first
    copy_snapshot(first, tmp_path / "copy")
    assert list_files(tmp_path / "copy") == list_files(project)
    assert (tmp_path / "copy/data.txt").read_text() == "old"
    assert os.access(tmp_path / "copy/run.sh", os.X_OK)
    assert not os.access(tmp_path / "copy/data.txt", os.X_OK)


def test_what_is_no_code_is_left_out(services: Services, project: Path) -> None:
    kept = list_files(project)
    (project / IGNORE_FILE).write_text("*.csv\n/private/\n")
    for path in (
        *("big.csv", "private/x", ".git/config", "helpers/__pycache__/words.pyc", ".venv/x"),
        *("env/pyvenv.cfg", "env/bin/python", "flowstone.yaml"),
    ):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text("x")
    found = {each.path for each in read_snapshot(save_snapshot(project))}
    assert found == {*kept, IGNORE_FILE}


def test_links_are_followed_and_circles_end(
    services: Services, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/lib.py").write_text("X = 1")
    (project / "shared").symlink_to(tmp_path / "shared")
    (project / "itself").symlink_to(project)
    (project / "nowhere").symlink_to(project / "none")
    found = {each.path: each.content for each in read_snapshot(save_snapshot(project))}
    assert found["shared/lib.py"] == b"X = 1"
    assert not [path for path in found if path.startswith(("itself", "nowhere"))]


def test_a_large_directory_is_refused_before_it_is_read(services: Services, project: Path) -> None:
    (project / "data").mkdir()
    with (project / "data/big.bin").open("wb") as file:
        file.truncate(MOST_BYTES + 1)  # a hole: it takes no space
    with pytest.raises(ConfigurationError, match="most of them in 'data'"):
        save_snapshot(project)
    (project / IGNORE_FILE).write_text("data/\n")
    assert save_snapshot(project)


def test_a_copy_is_of_its_process(services: Services, project: Path) -> None:
    snapshot = save_snapshot(project)
    copy = open_copy(snapshot)
    assert open_copy(snapshot) == copy
    assert copy.is_relative_to(services.settings.home)
    (copy / "data.txt").write_text("changed by a run")
    assert {each.content for each in read_snapshot(snapshot)} >= {b"old"}


def test_what_nothing_needs_is_removed(services: Services, project: Path) -> None:
    old = save_snapshot(project)
    (project / "data.txt").write_text("new")
    new = save_snapshot(project)
    copy = open_copy(new)
    dead = copy.parent / "0123"
    dead.mkdir()
    dead.with_suffix(".lock").touch()
    now = services.clock.time()
    remove_snapshots({new}, now)
    assert read_snapshot(old)  # a failed run may be retried
    assert dead.exists()
    remove_snapshots({new}, now + KEPT + 60)
    assert read_snapshot(new)
    assert copy.exists()
    assert not dead.exists()
    with pytest.raises(ConfigurationError, match="Deploy the flow again"):
        read_snapshot(old)


@pytest.mark.parametrize("damage", [b"", b"junk", None])
def test_a_snapshot_that_was_changed_is_not_executed(
    services: Services, project: Path, damage: bytes | None
) -> None:
    snapshot = save_snapshot(project)
    archive = services.settings.home / "code" / f"{snapshot}.tar.gz"
    if damage is None:
        (project / "data.txt").write_text("new")
        archive.with_name(f"{save_snapshot(project)}.tar.gz").replace(archive)
    else:
        archive.write_bytes(damage)
    with pytest.raises(ConfigurationError, match=f"code {snapshot[:12]}: "):
        open_copy(snapshot)
