"""Collection: the tables of what a package offers, by name, which can be listed without imports."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def format_kind(kind: str) -> str:
    """Return a kind of offers for display: ``secret provider``."""
    return kind.replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What a package offers; each table maps a name to ``"module:attribute"``.

    Attributes:
        blocks: block types by their slug.
        tasks: prebuilt tasks. Names are unique over all packages, so begin them with the service:
            ``shell_run_command``.
        observers: observers of all runs, enabled by their names in ``FLOWSTONE_OBSERVERS``:
            callables that take the `Settings` and return an `Observer`.
        runners: task runners by the name that ``@flow(task_runner=...)`` accepts: classes that
            need no arguments.
        infrastructures: types of work pools by name, such as ``process``: `Infrastructure` classes
            that need no arguments.
        schemes: object stores by the schemes of their URIs, such as ``s3``: blocks with a
            `parse_uri`.
        secret_providers: secret providers by the prefix of their references: ``env`` for
            ``env:DB_PASSWORD``. Each is a `SecretProvider`, which is in `blocks` as well.
        commands: commands of `flowstone` by their words: ``"plugin check"`` is one of the group
            `plugin`, ``"server"`` is a top-level one. Each is a `click.Command`, or a group.
        command_help: the help text of each command in ``flowstone --help``: one sentence, by its
            words.
        extras: by name, what to install with pip for a module that needs an optional dependency:
            ``{"acme-warehouse": "flowstone-acme[warehouse]"}``.
    """

    blocks: Mapping[str, str] = field(default_factory=dict)
    tasks: Mapping[str, str] = field(default_factory=dict)
    observers: Mapping[str, str] = field(default_factory=dict)
    runners: Mapping[str, str] = field(default_factory=dict)
    infrastructures: Mapping[str, str] = field(default_factory=dict)
    schemes: Mapping[str, str] = field(default_factory=dict)
    secret_providers: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    command_help: Mapping[str, str] = field(default_factory=dict)
    extras: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, table in self.tables().items():
            for name, target in table.items():
                if not _TARGET.fullmatch(str(target)):
                    raise ConfigurationError(
                        f"{format_kind(kind)} {name!r} of a Collection",
                        f"{target!r} is not 'module:attribute'",
                        "Name the module and its attribute, as a string.",
                    )
        for name in self.commands:
            if not self.command_help.get(name):
                raise ConfigurationError(
                    f"command {name!r} of a Collection",
                    "command_help has no entry for it",
                    "Describe it there in a sentence: commands are listed without being imported.",
                )

    def tables(self) -> dict[str, Mapping[str, str]]:
        """Return the tables by kind: ``block``, ``task`` and the others."""
        return {
            "block": self.blocks,
            "task": self.tasks,
            "observer": self.observers,
            "runner": self.runners,
            "infrastructure": self.infrastructures,
            "scheme": self.schemes,
            "secret_provider": self.secret_providers,
            "command": self.commands,
        }
