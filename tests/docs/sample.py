"""Print texts of the project at random, for a reader who looks for what is not plain English.

Run it with ``python -m tests.docs.sample --seed N``.
"""

from __future__ import annotations

import argparse
import ast
import re
from random import Random
from typing import TYPE_CHECKING

import click

from flowstone.cli.app import flowstone

from ..architecture.house import sources
from .pages import FENCE, ROOT, pages, title

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES, DOCSTRINGS, HELP_TEXTS = 10, 50, 20
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def sample(seed: int) -> Iterator[str]:
    """Yield texts, each after a line that says where it is from."""
    random = Random(seed)
    for path in random.sample(pages(), PAGES):
        yield f"## {title(path)}\n\n" + "\n\n".join(_read_paragraphs(path.read_text("utf-8")))
    yield from random.sample(list(_list_docstrings()), DOCSTRINGS)
    yield from random.sample(list(_list_help_texts()), HELP_TEXTS)


def _read_paragraphs(text: str) -> list[str]:
    """Return the paragraphs and tables of a page, without its code blocks."""
    lines, is_code = [], False
    for line in text.splitlines():
        if FENCE.match(line):
            is_code = not is_code
        elif not is_code:
            lines.append(line)
    return [part for part in re.split(r"\n{2,}", "\n".join(lines)) if part.strip()]


def _list_docstrings() -> Iterator[str]:
    for source in sources():
        place = source.path.relative_to(ROOT)
        for node in ast.walk(source.tree):
            if isinstance(node, _Documented) and (text := ast.get_docstring(node)):
                yield f"## {place}: {getattr(node, 'name', 'module')}\n\n{text}"


def _list_help_texts() -> Iterator[str]:
    todo = [click.Context(flowstone, info_name="flowstone")]
    while todo:
        context = todo.pop()
        command = context.command
        yield f"## {context.command_path} --help\n\n{command.get_help(context)}"
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                if found is not None:
                    todo.append(click.Context(found, parent=context, info_name=name))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    print(*sample(parser.parse_args().seed), sep="\n\n")
