"""`flowstone secret`: checks references to secrets, and rotates the encryption key."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import click

from flowstone.cli.commands import Commands
from flowstone.cli.output import emit, json_option, say, show, warn
from flowstone.cli.views import Cell, Facts
from flowstone.context.current import services
from flowstone.errors import ConfigurationError, ReferenceUnresolved, suggest_names
from flowstone.secrets.reference import is_reference, providers

if TYPE_CHECKING:
    from flowstone.blocks.rotation import Rotation


#: Maximum number of blocks to name.
MOST = 10


@click.group(cls=Commands)
def secret() -> None:
    """Check references to secrets, and rotate the key that encrypts saved secrets.

    A reference says where a secret is: env:NAME, file:PATH, or PROVIDER:NAME with a secret provider
    of an installed package.
    """


@secret.command("check")
@click.argument("reference")
@json_option
@click.pass_context
def check_reference(ctx: click.Context, reference: str, as_json: bool) -> None:
    """Check that a reference resolves here, without showing the secret."""
    began, problem = perf_counter(), None
    try:
        if not _is_known(reference):
            raise _make_error(reference)
        services().references.resolve(reference)
    except ReferenceUnresolved as error:
        problem = f"{error.problem}. {error.remedy}"
    took = perf_counter() - began
    if as_json:
        reason = problem or "the secret can be read"
        emit(
            {
                "reference": reference,
                "ok": problem is None,
                "reason": reason,
                "latency_seconds": took,
            }
        )
    else:
        told = Cell("ok", "green") if problem is None else Cell("broken", "red")
        facts = [("reference", Cell(reference, "bold")), ("secret", told)]
        facts += [] if problem is None else [("reason", Cell(problem))]
        show(Facts([*facts, ("took", Cell(f"{took:.2f} s"))]))
    if problem is not None:
        ctx.exit(1)


def _is_known(reference: str) -> bool:
    try:
        return is_reference(reference)
    except ValueError:
        return False


def _make_error(reference: str) -> ReferenceUnresolved:
    provider, colon, _ = reference.partition(":")
    if not colon:
        remedy = "Write env:NAME, file:PATH or PROVIDER:NAME."
        return ReferenceUnresolved(reference, "it is not a reference", remedy)
    name = provider.partition("/")[0]
    near = suggest_names(name, providers()).strip()
    remedy = f"{near} `flowstone catalog ls --kind 'secret provider'` lists the installed ones."
    return ReferenceUnresolved(reference, f"there is no secret provider {name!r}", remedy)


@secret.command("rotate")
@click.option(
    "--new-key",
    metavar="REFERENCE",
    help="The new key (env:NAME, file:PATH), if FLOWSTONE_SECRET_KEY has the old one.",
)
@click.option("--drop-old", is_flag=True, help="Remove old keys from the key file.")
@json_option
@click.pass_context
def rotate_key(ctx: click.Context, new_key: str | None, drop_old: bool, as_json: bool) -> None:
    """Rotate the key that encrypts saved secrets.

    All saved secrets are encrypted again with a new key; the old key can still decrypt. Flows can
    run and blocks can still be saved. If the command is interrupted, run it again. Exits with 1
    if no key can decrypt a secret.

    If your key is in FLOWSTONE_SECRET_KEY, first set that variable to the new key, and
    FLOWSTONE_SECRET_KEY_OLD to the old one, wherever flows run.
    """
    # Takes 100 ms, for pydantic, which only this command needs.
    from flowstone.blocks.rotation import rotate_file, rotate_setting

    current = services()
    settings = current.settings
    if settings.secret_key is None:
        if new_key is not None:
            problem = "the key is in a file, where a new one is generated"
            raise ConfigurationError("--new-key", problem, "Omit it.")
        found = rotate_file(current.documents, settings, drop_old=drop_old)
    else:
        key = None if new_key is None else current.references.resolve(new_key).decode()
        found = rotate_setting(current.documents, settings, key)
    if as_json:
        emit(
            {
                "key": found.key,
                "resumed": found.resumed,
                "resealed": sorted(found.resealed),
                "unreadable": sorted(found.unreadable),
                "dropped_keys": found.dropped,
            }
        )
    else:
        _tell(found)
    if new_key is not None:
        warn(
            "Now set FLOWSTONE_SECRET_KEY to the new key wherever flows run, and "
            "FLOWSTONE_SECRET_KEY_OLD to the old one until all of them have it."
        )
    if found.unreadable:
        ctx.exit(1)


def _tell(found: Rotation) -> None:
    if found.resumed:
        say("Finished an earlier, interrupted rotation, with its key.")
    count = len(found.resealed)
    say(f"Re-encrypted {count} document{'' if count == 1 else 's'} with key {found.key}.")
    if found.dropped:
        say(f"Removed {found.dropped} older key{'' if found.dropped == 1 else 's'}.")
    if found.unreadable:
        names = sorted(found.unreadable)
        more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
        warn(
            f"No key decrypts secrets of {', '.join(names[:MOST])}{more}: they are not changed. "
            "Put the key that they were saved with into the file, or save them again."
        )
