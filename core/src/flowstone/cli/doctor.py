"""`flowstone doctor`: checks the installation, and says how to fix problems."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, NamedTuple

import click

from flowstone.bootstrap import find_store_file, open_upkeep
from flowstone.cli.output import emit, json_option, show
from flowstone.cli.views import Cell, Row, Table
from flowstone.cli.wording import format_count, format_measure, format_time
from flowstone.errors import ConfigurationError, FlowstoneError
from flowstone.records.redaction import redact
from flowstone.settings import explain_settings, find_misspelt, read_settings
from flowstone.stores.mounts import find_network_mount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.settings import Settings

#: Minimum free disk space, in bytes.
_LITTLE = 500_000_000
#: Maximum difference between clocks, in seconds.
_DRIFT = 5.0
#: A correct clock is later than this: 1 January 2025.
_EARLIEST = 1_735_689_600.0


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        what: what was checked.
        told: the result.
        remedy: how to fix it; None if there is no problem.
    """

    what: str
    told: str
    remedy: str | None = None


@click.command("doctor")
@json_option
def examine(as_json: bool) -> None:
    """Check the home, the store, the key, plugins, Python, the clock and the disk.

    Each line is ok, or shows a problem and how to fix it. Exits with 1 if there is a problem.
    """
    findings = list(_examine())
    if as_json:
        emit({"ok": not any(each.remedy for each in findings), "checks": _describe(findings)})
    else:
        rows = [
            Row(
                (
                    Cell(each.what, "bold"),
                    Cell("WRONG" if each.remedy else "ok", "red" if each.remedy else "green"),
                    Cell(redact(each.told)),
                ),
                Cell(redact(each.remedy)) if each.remedy else None,
            )
            for each in findings
        ]
        show(Table(("what", "is", "how"), rows, "to do"))
    if any(each.remedy for each in findings):
        sys.exit(1)


def _describe(findings: list[Finding]) -> list[dict[str, object]]:
    return [
        {
            "check": each.what,
            "ok": each.remedy is None,
            "told": redact(each.told),
            "remedy": each.remedy and redact(each.remedy),
        }
        for each in findings
    ]


def _examine() -> Iterator[Finding]:
    yield _examine_python()
    yield from _examine_settings()
    try:
        settings = read_settings()
    except ConfigurationError:
        return  # already reported; all other checks depend on the settings
    home = _examine_home(settings.home)
    yield home
    if home.remedy is None:
        yield from _examine_store(settings)
        yield _examine_key(settings)
        yield _examine_clock(settings)
    yield from _examine_plugins()
    yield _examine_disk(settings.home)


def _examine_python() -> Finding:
    # Takes 20 ms, which only few commands need.
    from importlib.metadata import version

    told = f"{platform.python_version()} ({platform.system()}), flowstone {version('flowstone')}"
    return Finding("python", told)


def _examine_settings() -> Iterator[Finding]:
    found, misspelt = explain_settings(), find_misspelt()
    for each in found:
        if each.problem:
            yield Finding("settings", f"{each.variable}: {each.problem}", each.remedy)
    for wrong, right in misspelt.items():
        yield Finding("settings", f"{wrong} is not a setting", f"Did you mean {right}?")
    if not misspelt and not any(each.problem for each in found):
        count = sum(each.is_set for each in found)
        yield Finding("settings", f"{format_count(count, 'variable')} set")


def _examine_home(home: Path) -> Finding:
    elsewhere = "or set FLOWSTONE_HOME to another directory."
    if not home.exists():
        above = next(path for path in home.parents if path.exists())
        if os.access(above, os.W_OK | os.X_OK):
            return Finding("home", f"{home} will be created by the first run")
        return Finding("home", f"{above} is not writable", f"Make it writable, {elsewhere}")
    if not home.is_dir():
        return Finding("home", f"{home} is not a directory", f"Move it away, {elsewhere}")
    try:
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        told = f"{home} is not writable: {error.strerror}"
        return Finding("home", told, f"Make it writable, {elsewhere}")
    if (kind := find_network_mount(home)) is not None:
        told = f"{home} is on a network file system ({kind}), which can damage the store"
        return Finding("home", told, "Set FLOWSTONE_HOME to a directory on a local disk.")
    if sys.platform != "win32" and stat.S_IMODE(home.stat().st_mode) & 0o077:
        return Finding("home", f"other users can read {home}", f"Run `chmod 700 {home}`.")
    return Finding("home", f"{home}, writable and private")


def _examine_store(settings: Settings) -> Iterator[Finding]:
    if settings.store != "sqlite":
        yield Finding("store", "in memory: discarded at exit")
        return
    path = find_store_file(settings)
    if not path.exists():
        yield Finding("store", f"{path} will be created by the first run")
        return
    try:
        with closing(open_upkeep(settings)) as upkeep:
            info, problems = upkeep.measure(), upkeep.check()
    except FlowstoneError as error:
        yield Finding("store", str(error), "Follow the error message, or restore a backup.")
        return
    if problems:
        remedy = "Stop all processes that use it, copy the file, and restore a backup."
        yield from (Finding("store", f"{path}: {problem}", remedy) for problem in problems)
    else:
        runs = format_count(info.counts["runs"], "run")
        size = format_measure(info.file_bytes + info.log_bytes, "bytes")
        yield Finding("store", f"{path}, intact: {runs}, {size}")


def _examine_key(settings: Settings) -> Finding:
    # Only this command needs it for anything other than a secret.
    from flowstone.secrets.vault import Vault

    vault = Vault(settings)
    try:
        if settings.secret_key is None and not vault.path.exists():
            return Finding("key", f"none yet: {vault.path} is created with the first secret")
        key = vault.key()
        if settings.secret_key is None and vault.file.is_unfinished():
            remedy = "Run `flowstone secret rotate`, which finishes it."
            return Finding("key", "a rotation has started, but not finished", remedy)
    except FlowstoneError as error:
        remedy = "Restore the right key: secrets encrypted with it can't be read without it."
        return Finding("key", str(error), remedy)
    place = vault.path if settings.secret_key is None else "FLOWSTONE_SECRET_KEY"
    return Finding("key", f"{key}, from {place}")


def _examine_clock(settings: Settings) -> Finding:
    now = time()
    remedy = "Set the clock of this machine, for example with NTP."
    if now < _EARLIEST:
        return Finding("clock", f"it says {format_time(now)}", remedy)
    if settings.home.is_dir():
        with tempfile.NamedTemporaryFile(dir=settings.home) as file:
            ahead = Path(file.name).stat().st_mtime - time()
        if abs(ahead) > _DRIFT:
            told = f"the clock of the home's file system differs by {ahead:+.0f} s"
            return Finding("clock", told, remedy)
    return Finding("clock", format_time(now))


def _examine_plugins() -> Iterator[Finding]:
    # Loads every plugin, which no other check needs.
    from flowstone.plugins import catalog

    found = catalog.plugins()
    for each in found:
        if each.error is not None:
            told = f"{each.distribution} {each.version}: {type(each.error).__name__}: {each.error}"
            remedy = f"Upgrade or uninstall {each.distribution}; see `flowstone plugin ls`."
            yield Finding("plugin", told, remedy)
    names = [f"{each.distribution} {each.version}" for each in found if each.error is None]
    yield Finding("plugins", ", ".join(names) or "none")


def _examine_disk(home: Path) -> Finding:
    there = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(there).free
    told = f"{format_measure(free, 'bytes')} free"
    if free < _LITTLE:
        remedy = "Free some space: `flowstone run delete --older-than 30d`, then `store vacuum`."
        return Finding("disk", told, remedy)
    return Finding("disk", told)
