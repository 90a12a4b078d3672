"""Deletes trees of runs, in steps that don't block other writers for long."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from flowstone.records.encoding import dumps
from flowstone.stores.sql.statements import PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.stores.sql.database import SqlConnection, SqlDatabase
    from flowstone.stores.sql.dialect import Dialect

# ruff: noqa: S608 - what is put together here are constants of this file, and of the dialect
#: Maximum number of roots that are removed from lists in one step.
_ROOTS = 200
#: Maximum number of rows that are deleted in one step: about 20 ms.
_ROWS = 2000
_PLANNED = "SELECT root_id FROM deletions LIMIT ?"
_NEWEST = "SELECT coalesce(max(seq), 0) FROM events"
_DELETE_PLACEHOLDERS = f"DELETE FROM events WHERE root_id = '' AND form = {PLACEHOLDER} AND seq < ?"


class _Statements(NamedTuple):
    """Statements about trees, with a JSON array of their roots' ids as the parameter."""

    find_ended: str
    plan: str
    delete_listed: str
    delete_runs: str
    delete_strays: str
    hold_newest: str
    delete_facts: str
    finish: str


def _make_statements(dialect: Dialect) -> _Statements:
    texts = dialect.select_texts()
    named = f"IN ({texts})"
    of_trees = f"WHERE root_id {named}"
    return _Statements(
        f"SELECT id FROM runs WHERE id {named} AND parent_id IS NULL AND ended IS NOT NULL",
        f"INSERT INTO deletions {texts}",
        # Listed runs are deleted with their root, as they could not be shown without it.
        f"DELETE FROM runs {of_trees} AND (kind = 'flow' OR parent_id IS NULL)",
        f"DELETE FROM runs WHERE id IN (SELECT id FROM runs {of_trees} LIMIT ?)",
        f"DELETE FROM strays WHERE run_id IN (SELECT run_id FROM events {of_trees} AND form < 2)",
        "UPDATE events SET root_id = '', run_id = '', kind = '', "
        f"form = {PLACEHOLDER}, payload = NULL WHERE seq = ? AND root_id {named}",
        f"DELETE FROM events WHERE seq IN (SELECT seq FROM events {of_trees} LIMIT ?)",
        f"DELETE FROM deletions {of_trees}",
    )


def delete_trees(database: SqlDatabase, root_ids: Sequence[str]) -> list[str]:
    """Delete the trees of roots that have ended; return these roots' ids.

    Rows that an earlier call left are deleted too, even if their root no longer exists.
    """
    statements = _make_statements(database.dialect)
    delete_rest = partial(_delete_rest, statements=statements)
    wanted = list(dict.fromkeys(root_ids))
    gone: list[str] = []
    for start in range(0, len(wanted), _ROOTS):
        some = dumps(wanted[start : start + _ROOTS])
        gone += database.write(partial(_delete_roots, statements=statements, some=some))
        database.write_in_steps(delete_rest)
    if not wanted:
        database.write_in_steps(delete_rest)
    return gone


def _delete_roots(connection: SqlConnection, statements: _Statements, some: str) -> list[str]:
    ended = [row[0] for row in connection.execute(statements.find_ended, (some,))]
    values = (dumps(ended),)
    connection.execute(statements.plan, values)
    connection.execute(statements.delete_listed, values)
    return ended


def _delete_rest(connection: SqlConnection, statements: _Statements) -> bool:
    """Delete some of the rows to delete; return whether there may be more."""
    planned = [row[0] for row in connection.execute(_PLANNED, (_ROOTS,))]
    if not planned:
        return False
    some = dumps(planned)
    newest = connection.execute(_NEWEST).fetchall()[0][0]
    connection.execute(statements.hold_newest, (newest, some))
    connection.execute(_DELETE_PLACEHOLDERS, (newest,))
    if connection.execute(statements.delete_runs, (some, _ROWS)).rowcount == _ROWS:
        return True
    connection.execute(statements.delete_strays, (some,))
    if connection.execute(statements.delete_facts, (some, _ROWS)).rowcount == _ROWS:
        return True
    connection.execute(statements.finish, (some,))
    return True
