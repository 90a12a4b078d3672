"""Statements: where their placeholders are, for drivers that want them written otherwise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: What is left as it is: quoted texts and names, comments. Then placeholders.
_TOKEN = r"""
      (?P<text>
        (?<!\w)[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)
      | '(?:{inside}|'')*(?:'|\Z)
      | "(?:[^"]|"")*(?:"|\Z)
      | `[^`]*(?:`|\Z)
      | --[^\n]*
      | /\*.*?(?:\*/|\Z)
      | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
      )
    | {place}
"""
_FLAGS = re.VERBOSE | re.DOTALL
#: PostgreSQL's ``$1``, in its dialect.
DOLLAR = re.compile(
    _TOKEN.format(inside="[^']", place=r"(?<![\w$])\$(?P<place>[1-9]\d*)(?!\w)"), _FLAGS
)
#: ``?`` in standard SQL, and in that of MySQL, where a backslash escapes.
QMARK = re.compile(_TOKEN.format(inside="[^']", place=r"(?P<place>\?)"), _FLAGS)
MYSQL_QMARK = re.compile(_TOKEN.format(inside=r"[^'\\]|\\.", place=r"(?P<place>\?)"), _FLAGS)


def replace_places(
    operation: str,
    pattern: re.Pattern[str],
    replace: Callable[[int], str],
    keep: Callable[[str], str] = str,
) -> str:
    """Return a statement with other placeholders, or with what stands for their values.

    Args:
        operation: the statement.
        pattern: what its placeholders are: `DOLLAR`, `QMARK` or `MYSQL_QMARK`.
        replace: returns what stands for the value at a place; the first is at 0.
        keep: returns what stands for a part that is no placeholder.
    """
    parts, end, count = [], 0, 0
    for token in pattern.finditer(operation):
        if token["place"] is None:
            continue
        place = count if token["place"] == "?" else int(token["place"]) - 1
        count += 1
        parts += [keep(operation[end : token.start()]), replace(place)]
        end = token.end()
    return "".join([*parts, keep(operation[end:])])
