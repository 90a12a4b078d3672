"""The environment variables that Great Expectations sets, restored afterwards."""

from __future__ import annotations

import os
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The variable that its SQL engine sets for Snowflake, whatever the database is.
_PARTNER = "SF_PARTNER"
_guard = Lock()


class _Before:
    """The value before the first of the current users."""

    value: str | None = None
    users = 0


@contextmanager
def leave_environment() -> Iterator[None]:
    """Restore the variable that the SQL engine sets, after the last thread that uses it."""
    with _guard:
        if not _Before.users:
            _Before.value = os.environ.get(_PARTNER)
        _Before.users += 1
    try:
        yield
    finally:
        with _guard:
            _Before.users -= 1
            if not _Before.users:
                _restore(_Before.value)


def _restore(value: str | None) -> None:
    if value is None:
        os.environ.pop(_PARTNER, None)
    else:
        os.environ[_PARTNER] = value
