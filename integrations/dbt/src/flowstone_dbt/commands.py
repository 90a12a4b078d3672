"""dbt's commands: their properties, and finding the command in arguments."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from flowstone_dbt.errors import DbtError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Commands that write artifacts to a target path.
WITH_NODES = frozenset(
    {"build", "run", "test", "seed", "snapshot", "compile", "clone", "run-operation", "generate",
     "freshness", "show", "parse", "list", "ls", "retry"}
)  # fmt: skip
#: Commands that `dbt retry` can resume.
RESUMABLE = frozenset({"build", "run", "test", "seed", "snapshot", "compile", "clone"})
#: Interactive commands, and what to do instead.
INTERACTIVE = {
    "init": "Run `dbt init` in a shell, once.",
    "serve": "Run `docs generate`, and serve the target directory with any web server.",
}
#: Commands with an option for threads.
WITH_THREADS = RESUMABLE | {"freshness", "generate", "retry", "run-operation", "show"}
#: Commands whose nodes are recorded; others only read or compile nodes.
RECORDED = RESUMABLE - {"compile"} | {"run-operation", "freshness", "retry"}
#: Commands with subcommands, and the usual one.
GROUPS = {"docs": "generate", "source": "freshness"}
#: Options with a value that may precede the command.
WITH_VALUE = frozenset(
    {"--log-format", "--log-format-file", "--log-level", "--log-level-file", "--log-path",
     "--log-file-max-bytes", "--printer-width", "--profile", "--profiles-dir", "--project-dir",
     "--state", "--target", "-t", "--target-path", "--threads", "--vars",
     "--warn-error-options"}
)  # fmt: skip


def split_command(text: str) -> list[str]:
    """Split a command as typed in a shell into arguments of dbt, without ``dbt`` itself.

    Raises:
        ValueError: a quotation is not closed.
    """
    words = shlex.split(text)
    return words[1:] if words[:1] == ["dbt"] else words


def list_words(args: Sequence[str]) -> list[str]:
    """Return the arguments that are neither options nor values of options before a command."""
    pairs = zip(["", *args], args, strict=False)
    return [each for before, each in pairs if not each.startswith("-") and before not in WITH_VALUE]


def find_command(args: Sequence[str]) -> str:
    """Return the name of the command in arguments of dbt: ``build``, ``generate``.

    Raises:
        DbtError: the arguments contain no command.
    """
    names = list_words(args)
    if not names:
        raise DbtError("no command is set", "Pass one, such as ['build'].")
    if names[0] not in GROUPS:
        return names[0]
    if len(names) == 1:
        remedy = f"Add one: ['{names[0]}', '{GROUPS[names[0]]}']."
        raise DbtError(f"{names[0]!r} is a group of commands", remedy)
    return names[1]
