"""Deleting trees of runs, in steps that keep nobody else from writing for long."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from flowstone.records.encoding import dumps
from flowstone.stores.sql.statements import PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.stores.sql.database import SqlConnection, SqlDatabase

# ruff: noqa: S608 - what is put together here are constants of this file
#: So many roots leave the lists in one step.
_ROOTS = 200
#: So many rows are deleted in one step: some 20 ms.
_ROWS = 2000
_NAMED = "IN (SELECT value FROM json_each(?))"
_ENDED = f"SELECT id FROM runs WHERE id {_NAMED} AND parent_id IS NULL AND ended IS NOT NULL"
_PLANNED = "SELECT root_id FROM deletions LIMIT ?"
#: What is listed goes with its root: it could not be shown without it.
_DELETE_LISTED = f"DELETE FROM runs WHERE root_id {_NAMED} AND (kind = 'flow' OR parent_id IS NULL)"
_DELETE_RUNS = f"DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE root_id {_NAMED} LIMIT ?)"
_DELETE_STRAYS = (
    "DELETE FROM strays WHERE run_id IN "
    f"(SELECT run_id FROM events WHERE root_id {_NAMED} AND form < 2)"
)
_NEWEST = "SELECT coalesce(max(seq), 0) FROM events"
_HOLD_NEWEST = (
    f"UPDATE events SET root_id = '', run_id = '', kind = '', form = {PLACEHOLDER}, payload = NULL "
    f"WHERE seq = ? AND root_id {_NAMED}"
)
_DELETE_PLACEHOLDERS = f"DELETE FROM events WHERE root_id = '' AND form = {PLACEHOLDER} AND seq < ?"
_DELETE_FACTS = (
    f"DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE root_id {_NAMED} LIMIT ?)"
)
_FINISH = f"DELETE FROM deletions WHERE root_id {_NAMED}"


def delete_trees(database: SqlDatabase, root_ids: Sequence[str]) -> list[str]:
    """Delete the trees of roots that have ended; return these roots' ids.

    What an earlier call did not come to is deleted too, also where there is no root.
    """
    wanted = list(dict.fromkeys(root_ids))
    gone: list[str] = []
    for start in range(0, len(wanted), _ROOTS):
        some = dumps(wanted[start : start + _ROOTS])
        gone += database.write(partial(_delete_roots, some=some))
        database.write_in_steps(_delete_rest)
    if not wanted:
        database.write_in_steps(_delete_rest)
    return gone


def _delete_roots(connection: SqlConnection, some: str) -> list[str]:
    ended = [row[0] for row in connection.execute(_ENDED, (some,))]
    values = (dumps(ended),)
    connection.execute("INSERT INTO deletions SELECT value FROM json_each(?)", values)
    connection.execute(_DELETE_LISTED, values)
    return ended


def _delete_rest(connection: SqlConnection) -> bool:
    """Delete some rows of what is to be deleted; return whether there may be more."""
    planned = [row[0] for row in connection.execute(_PLANNED, (_ROOTS,))]
    if not planned:
        return False
    some = dumps(planned)
    newest = connection.execute(_NEWEST).fetchall()[0][0]
    connection.execute(_HOLD_NEWEST, (newest, some))
    connection.execute(_DELETE_PLACEHOLDERS, (newest,))
    if connection.execute(_DELETE_RUNS, (some, _ROWS)).rowcount == _ROWS:
        return True
    connection.execute(_DELETE_STRAYS, (some,))
    if connection.execute(_DELETE_FACTS, (some, _ROWS)).rowcount == _ROWS:
        return True
    connection.execute(_FINISH, (some,))
    return True
