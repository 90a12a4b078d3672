"""The tables, as numbered migrations: one is added, none is ever changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstone.stores.sql.database import SqlConnection

#: "Flow" in ASCII; the file's header carries it, so that a foreign file is known unopened.
APPLICATION_ID = 0x466C6F77

_FIRST = (
    # One row for each fact. The runs row has what a run was born with, so the fact of a birth
    # keeps only what changes later; `payload` is NULL where the other columns say it all.
    """
    CREATE TABLE events (
      seq INTEGER PRIMARY KEY,
      id TEXT NOT NULL,
      root_id TEXT NOT NULL,
      run_id TEXT NOT NULL,
      kind TEXT NOT NULL,
      at REAL NOT NULL,
      form INTEGER NOT NULL,
      version INTEGER,
      attempt INTEGER,
      payload TEXT
    )
    """,
    # Makes appending idempotent, and reading the facts of one tree quick.
    "CREATE UNIQUE INDEX events_of_tree ON events (root_id, id)",
    """
    CREATE TABLE runs (
      id TEXT NOT NULL PRIMARY KEY,
      kind TEXT NOT NULL,
      name TEXT NOT NULL,
      unit TEXT NOT NULL,
      root_id TEXT NOT NULL,
      parent_id TEXT,
      state_type TEXT NOT NULL,
      state_name TEXT NOT NULL,
      state_message TEXT,
      state_at REAL NOT NULL,
      version INTEGER NOT NULL,
      attempt INTEGER NOT NULL,
      created REAL NOT NULL,
      started REAL,
      ended REAL,
      tags TEXT,
      unit_version TEXT,
      parameters TEXT,
      inputs TEXT,
      lease_token TEXT,
      lease_holder TEXT,
      lease_until REAL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX runs_of_tree ON runs (root_id, id)",
    "CREATE INDEX runs_unfinished ON runs (root_id) WHERE ended IS NULL",
    "CREATE INDEX runs_listed ON runs (id) WHERE kind = 'flow' OR parent_id IS NULL",
    # Runs of which a change has come before the birth; nearly always empty.
    "CREATE TABLE strays (run_id TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID",
    """
    CREATE TABLE documents (
      kind TEXT NOT NULL,
      name TEXT NOT NULL,
      body TEXT NOT NULL,
      version INTEGER NOT NULL,
      created REAL NOT NULL,
      updated REAL NOT NULL,
      PRIMARY KEY (kind, name)
    ) WITHOUT ROWID
    """,
)

_SECOND = (
    # So that artifacts are found among millions of other facts; small, as they are few.
    "CREATE INDEX events_of_artifacts ON events (form) WHERE form = 3",
)

_THIRD = (
    # One row for each lease of slots under a limit, and one for each process that waits for one.
    """
    CREATE TABLE slots (
      limit_name TEXT NOT NULL,
      token TEXT NOT NULL,
      occupy INTEGER NOT NULL,
      holder TEXT NOT NULL,
      owner TEXT NOT NULL,
      run_id TEXT,
      since REAL NOT NULL,
      until REAL NOT NULL,
      is_rate INTEGER NOT NULL,
      PRIMARY KEY (limit_name, token)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX slots_of_token ON slots (token)",
    """
    CREATE TABLE wishes (
      limit_name TEXT NOT NULL,
      holder TEXT NOT NULL,
      since REAL NOT NULL,
      until REAL NOT NULL,
      PRIMARY KEY (limit_name, holder)
    ) WITHOUT ROWID
    """,
)

_FOURTH = (
    # How a root flow run can be executed again, as JSON; NULL for all others.
    "ALTER TABLE runs ADD COLUMN recipe TEXT",
)

_FIFTH = (
    # So that work elsewhere and measures of a tree are found among millions of other facts.
    "CREATE INDEX events_of_records ON events (root_id) WHERE form = 4",
)

_SIXTH = (
    # Trees whose root has been deleted, and whose other rows are being deleted in steps.
    "CREATE TABLE deletions (root_id TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID",
)

#: Migration number n stands at n - 1; the file's `user_version` is the last one applied.
MIGRATIONS = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH)
CURRENT = len(MIGRATIONS)


def migrate(connection: SqlConnection, found: int) -> None:
    """Bring the tables from a schema to the current one; the caller has the transaction."""
    for statements in MIGRATIONS[found:]:
        for statement in statements:
            connection.execute(statement)
    # PRAGMA takes no parameters.
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {CURRENT}")
