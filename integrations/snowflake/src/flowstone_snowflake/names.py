"""The one rule for names: lower-case names in Python are Snowflake's usual, upper-case ones.

Snowflake folds names that are not quoted to upper case. So `orders` here is the table that
``CREATE TABLE orders`` makes there, and its column ``ID`` comes back as `id`. Every other name, as
`Orders` or `order date`, means exactly itself.
"""

from __future__ import annotations

import re

_LOWER = re.compile(r"[a-z_][a-z0-9_$]*")
_UPPER = re.compile(r"[A-Z_][A-Z0-9_$]*")


def unfold_name(name: str) -> str:
    """Return a name of Python's as Snowflake has it."""
    return name.upper() if _LOWER.fullmatch(name) else name


def quote_name(name: str) -> str:
    """Return a name as it stands in a statement, always quoted."""
    escaped = unfold_name(name).replace('"', '""')
    return f'"{escaped}"'


def quote_path(path: str) -> str:
    """Return ``table``, ``schema.table`` or ``database.schema.table``, each part quoted."""
    return ".".join(map(quote_name, path.split(".")))


def fold_name(name: str) -> str:
    """Return a name of Snowflake's as it is written in Python."""
    return name.lower() if _UPPER.fullmatch(name) else name


def quote_text(text: str) -> str:
    """Return a text as a literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
