"""Values of the command line: written there, or in a variable, a file or standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

import click

from flowstone.cli.output import warn
from flowstone.settings import read_environment


class ValueReader:
    """Reads what ``@env:NAME``, ``@file:PATH`` and ``@-`` stand for; standard input only once."""

    def __init__(self) -> None:
        self._stdin_of: str | None = None

    def read(self, name: str, text: str) -> tuple[str, bool]:
        """Return the text that was meant, and whether it was written there itself."""
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
        """Return what is in a file; ``-`` is standard input."""
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
            BadParameter: it was read for another already.
        """
        if self._stdin_of is not None:
            problem = f"standard input is already used for {self._stdin_of}"
            raise click.BadParameter(problem, param_hint=name)
        self._stdin_of = name
        return sys.stdin


def warn_of_typed(name: str) -> None:
    """Say that a secret stood on the command line."""
    warn(
        f"Warning: {name} was typed on the command line, and may stay in the shell's history. "
        f"Better: {name}=@env:NAME, {name}=@file:PATH or {name}=@-"
    )


def _strip_newline(text: str) -> str:
    """Return the text without the newline that editors and `echo` put at its end."""
    return text.removesuffix("\n").removesuffix("\r")
