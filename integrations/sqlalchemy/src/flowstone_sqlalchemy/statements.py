"""Rewriting of placeholders in statements for drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.blocks.databases import SqlSyntax
from flowstone.blocks.databases.sql_syntax import find_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

POSTGRES = SqlSyntax(nested_comments=True)
MYSQL = SqlSyntax(backslash_escapes=True, dollar_quotes=False, hash_comments=True)
#: Patterns of placeholders: PostgreSQL's ``$1``, or ``?``.
DOLLAR = r"(?<![\w$])\$(?P<place>[1-9]\d*)(?!\w)"
QMARK = r"(?P<place>\?)"


def replace_places(
    operation: str,
    syntax: SqlSyntax,
    pattern: str,
    replace: Callable[[int], str],
    keep: Callable[[str], str] = str,
) -> str:
    """Return a statement with other placeholders, or with literals for their values.

    Args:
        operation: the statement.
        syntax: the syntax of its dialect.
        pattern: the pattern of its placeholders: `DOLLAR` or `QMARK`.
        replace: returns the replacement for the value at a position, from 0.
        keep: returns the replacement for a part that is not a placeholder.
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
