"""Statements with placeholders that their drivers want written otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.blocks.databases import SqlSyntax
from flowstone.blocks.databases.sql_syntax import find_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

POSTGRES = SqlSyntax(nested_comments=True)
MYSQL = SqlSyntax(backslash_escapes=True, dollar_quotes=False, hash_comments=True)
#: What placeholders are: PostgreSQL's ``$1``, or ``?``.
DOLLAR = r"(?<![\w$])\$(?P<place>[1-9]\d*)(?!\w)"
QMARK = r"(?P<place>\?)"


def replace_places(
    operation: str,
    syntax: SqlSyntax,
    pattern: str,
    replace: Callable[[int], str],
    keep: Callable[[str], str] = str,
) -> str:
    """Return a statement with other placeholders, or with what stands for their values.

    Args:
        operation: the statement.
        syntax: of its dialect.
        pattern: what its placeholders are: `DOLLAR` or `QMARK`.
        replace: returns what stands for the value at a place; the first is at 0.
        keep: returns what stands for a part that is no placeholder.
    """
    parts, end, count = [], 0, 0
    for token in find_tokens(operation, syntax, pattern):
        if token.kind != "place":
            continue
        place = count if token.text == "?" else int(token.text[1:]) - 1
        count += 1
        parts += [keep(operation[end : token.start]), replace(place)]
        end = token.end
    return "".join([*parts, keep(operation[end:])])
