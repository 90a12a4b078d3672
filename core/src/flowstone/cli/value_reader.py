"""Values from the command line, or from an environment variable, a file or standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

import click

from flowstone.cli.output import warn
from flowstone.settings import read_environment


class ValueReader:
    """Reads ``@env:NAME``, ``@file:PATH`` and ``@-``; standard input can be used only once."""

    def __init__(self) -> None:
        self._stdin_of: str | None = None

    def read(self, name: str, text: str) -> tuple[str, bool]:
        """Return the value, and whether it was typed on the command line itself."""
        if text == "@-":
            return _strip_newline(self.read_file("-", name)), False
        if text.startswith("@env:"):
            variable = text.removeprefix("@env:")
            value = read_environment().get(variable)
            if value is None:
                raise click.BadParameter(
                    f"environment variable {variable!r} is not set", param_hint=name
                )
            return value, False
        if text.startswith("@file:"):
            return _strip_newline(self.read_file(text.removeprefix("@file:"), name)), False
        if text.startswith("@") and Path(text[1:]).expanduser().is_file():
            problem = f"{text[1:]!r} is a file. To pass its content, write {name}=@file:{text[1:]}"
            raise click.BadParameter(problem, param_hint=name)
        return text, True

    def read_file(self, path: str, name: str) -> str:
        """Return the text of a file; ``-`` is standard input."""
        if path == "-":
            return self.open_stdin(name).read()
        try:
            return Path(path).expanduser().read_text("utf-8")
        except OSError as error:
            problem = f"{path!r} can't be read ({error.strerror})"
            raise click.BadParameter(problem, param_hint=name) from None
        except UnicodeDecodeError:
            raise click.BadParameter(f"{path!r} is not UTF-8 text", param_hint=name) from None

    def open_stdin(self, name: str) -> TextIO:
        """Return standard input, for a field or an option.

        Raises:
            BadParameter: another field or option has already read it.
        """
        if self._stdin_of is not None:
            problem = f"standard input is already used for {self._stdin_of}"
            raise click.BadParameter(problem, param_hint=name)
        self._stdin_of = name
        return sys.stdin


def warn_of_typed(name: str) -> None:
    """Warn that a secret was typed on the command line."""
    warn(
        f"Warning: {name} was typed on the command line, and may stay in the shell's history. "
        f"Better: {name}=@env:NAME, {name}=@file:PATH or {name}=@-"
    )


def _strip_newline(text: str) -> str:
    """Return the text without the newline that editors and `echo` add at the end."""
    return text.removesuffix("\n").removesuffix("\r")
