"""The rule for names: lower-case names in Python stand for upper-case names in Snowflake.

Snowflake converts unquoted names to upper case. So `orders` in Python is the table that
``CREATE TABLE orders`` creates, and its column ``ID`` is returned as `id`. Every other name, such
as `Orders` or `order date`, is used exactly as written.
"""

from __future__ import annotations

import re

_LOWER = re.compile(r"[a-z_][a-z0-9_$]*")
_UPPER = re.compile(r"[A-Z_][A-Z0-9_$]*")


def unfold_name(name: str) -> str:
    """Return Snowflake's form of a name in Python."""
    return name.upper() if _LOWER.fullmatch(name) else name


def quote_name(name: str) -> str:
    """Return a name quoted for statements."""
    escaped = unfold_name(name).replace('"', '""')
    return f'"{escaped}"'


def quote_path(path: str) -> str:
    """Return ``table``, ``schema.table`` or ``database.schema.table``, each part quoted."""
    return ".".join(map(quote_name, path.split(".")))


def fold_name(name: str) -> str:
    """Return Python's form of a name in Snowflake."""
    return name.lower() if _UPPER.fullmatch(name) else name


def quote_text(text: str) -> str:
    """Return a text as an SQL literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
