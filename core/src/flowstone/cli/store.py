"""`flowstone store`: measures, vacuums, backs up and checks the store."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowstone.bootstrap import open_upkeep
from flowstone.cli.commands import Commands
from flowstone.cli.output import emit, json_option, say, show, warn
from flowstone.cli.views import Cell, Facts
from flowstone.cli.wording import format_measure
from flowstone.errors import ConfigurationError
from flowstone.settings import read_settings

if TYPE_CHECKING:
    from flowstone.ports import StoreInfo


@click.group(cls=Commands)
def store() -> None:
    """Measure, vacuum, back up and check the store.

    Flows can run in the meantime.
    """


@store.command("info")
@json_option
def show_info(as_json: bool) -> None:
    """Show the size and the contents of the store."""
    with closing(open_upkeep()) as upkeep:
        info = upkeep.measure()
    files, size = _measure_results()
    if as_json:
        emit({**_describe(info), "results": files, "result_bytes": size})
        return
    facts = [
        ("store", Cell(str(info.path), "bold")),
        ("schema", Cell(str(info.schema))),
        ("size", Cell(format_measure(info.file_bytes, "bytes"))),
        ("log", Cell(format_measure(info.log_bytes, "bytes"))),
        ("free", Cell(_format_free(info))),
    ]
    facts += [(what, Cell(f"{count:,}")) for what, count in info.counts.items()]
    facts.append(("results", Cell(f"{files:,}, {format_measure(size, 'bytes')}")))
    show(Facts(facts))


@store.command("vacuum")
@click.option(
    "--full", is_flag=True, help="Rewrite and compact the whole file: slower, and blocks writers."
)
@json_option
def vacuum_store(full: bool, as_json: bool) -> None:
    """Return the space of deleted runs to the file system.

    The first vacuum rewrites the file, and blocks writers: about a second for each 100 MB
    that remain. Later vacuums work in small steps.
    """
    with closing(open_upkeep()) as upkeep:
        before = upkeep.measure()
        upkeep.vacuum(whole=full)
        after = upkeep.measure()
    freed = _sum_bytes(before) - _sum_bytes(after)
    if as_json:
        emit({**_describe(after), "freed_bytes": freed})
    else:
        size = format_measure(_sum_bytes(after), "bytes")
        say(f"The store has {size} now, {format_measure(max(0, freed), 'bytes')} less.")


@store.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def back_up_store(file: Path, as_json: bool) -> None:
    """Back up the store to a new FILE, and check the copy.

    The copy is a consistent snapshot. To restore it, stop all processes, and copy it to
    flowstone.db in the home. Saved secrets also need the key file; results are in the home's
    directory storage.
    """
    with closing(open_upkeep()) as upkeep:
        try:
            upkeep.back_up(file.absolute())
        except FileExistsError:
            raise ConfigurationError(
                str(file), "the file exists already", "Name a new file."
            ) from None
    size = file.stat().st_size
    if as_json:
        emit({"file": str(file.absolute()), "bytes": size})
        return
    say(f"Backed up to {file}, {format_measure(size, 'bytes')}; the copy is intact.")
    key = read_settings().home / "secret.key"
    if key.exists():
        warn(f"Saved secrets can't be read without the key: store {key} as well, in another place.")


@store.command("check")
@json_option
def check_store(as_json: bool) -> None:
    """Check the integrity of the store; exit with 1 if it is damaged."""
    with closing(open_upkeep()) as upkeep:
        path, problems = upkeep.measure().path, upkeep.check()
    if as_json:
        emit({"file": str(path), "ok": not problems, "problems": problems})
    elif not problems:
        say(f"{path} is intact.")
    else:
        for problem in problems:
            warn(f"{path}: {problem}")
        warn("Stop all processes that use it, copy the file, and restore a backup.")
    if problems:
        sys.exit(1)


def _describe(info: StoreInfo) -> dict[str, object]:
    counts = {what.replace(" ", "_"): count for what, count in info.counts.items()}
    return {
        "file": str(info.path),
        "schema": info.schema,
        "bytes": info.file_bytes,
        "log_bytes": info.log_bytes,
        "free_bytes": info.free_bytes,
        **counts,
    }


def _sum_bytes(info: StoreInfo) -> int:
    return info.file_bytes + info.log_bytes


def _format_free(info: StoreInfo) -> str:
    told = format_measure(info.free_bytes, "bytes")
    is_much = info.free_bytes > info.file_bytes / 4
    return f"{told}: `flowstone store vacuum` returns it to the disk" if is_much else told


def _measure_results() -> tuple[int, int]:
    """Return the number and the total size of the results in the home."""
    folder = read_settings().home / "storage"
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)
