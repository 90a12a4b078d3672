"""The tables, as numbered migrations: new ones are added, existing ones never change."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstone.stores.sql.database import SqlConnection
    from flowstone.stores.sql.dialect import Dialect

_FIRST = (
    # One row for each event. The row in `runs` has the attributes that a run was created with, so
    # a creation event only has those that change; `payload` is NULL if it would add nothing.
    """
    CREATE TABLE events (
      seq {cursor},
      id {text} NOT NULL,
      root_id {text} NOT NULL,
      run_id {text} NOT NULL,
      kind {text} NOT NULL,
      at {real} NOT NULL,
      form {integer} NOT NULL,
      version {integer},
      attempt {integer},
      payload {text}
    )
    """,
    # Makes appending idempotent, and reading the events of one tree fast.
    "CREATE UNIQUE INDEX events_of_tree ON events (root_id, id)",
    """
    CREATE TABLE runs (
      id {text} NOT NULL PRIMARY KEY,
      kind {text} NOT NULL,
      name {text} NOT NULL,
      unit {text} NOT NULL,
      root_id {text} NOT NULL,
      parent_id {text},
      state_type {text} NOT NULL,
      state_name {text} NOT NULL,
      state_message {text},
      state_at {real} NOT NULL,
      version {integer} NOT NULL,
      attempt {integer} NOT NULL,
      created {real} NOT NULL,
      started {real},
      ended {real},
      tags {text},
      unit_version {text},
      parameters {text},
      inputs {text},
      lease_token {text},
      lease_holder {text},
      lease_until {real}
    ) {keyed}
    """,
    "CREATE INDEX runs_of_tree ON runs (root_id, id)",
    "CREATE INDEX runs_unfinished ON runs (root_id) WHERE ended IS NULL",
    "CREATE INDEX runs_listed ON runs (id) WHERE kind = 'flow' OR parent_id IS NULL",
    # Runs with a change that came before their creation; nearly always empty.
    "CREATE TABLE strays (run_id {text} NOT NULL PRIMARY KEY) {keyed}",
    """
    CREATE TABLE documents (
      kind {text} NOT NULL,
      name {text} NOT NULL,
      body {text} NOT NULL,
      version {integer} NOT NULL,
      created {real} NOT NULL,
      updated {real} NOT NULL,
      PRIMARY KEY (kind, name)
    ) {keyed}
    """,
)

_SECOND = (
    # Finds artifacts among millions of other events; small, as there are few.
    "CREATE INDEX events_of_artifacts ON events (form) WHERE form = 3",
)

_THIRD = (
    # One row for each lease of slots under a limit, and one for each process that waits for one.
    """
    CREATE TABLE slots (
      limit_name {text} NOT NULL,
      token {text} NOT NULL,
      occupy {integer} NOT NULL,
      holder {text} NOT NULL,
      owner {text} NOT NULL,
      run_id {text},
      since {real} NOT NULL,
      until {real} NOT NULL,
      is_rate {integer} NOT NULL,
      PRIMARY KEY (limit_name, token)
    ) {keyed}
    """,
    "CREATE INDEX slots_of_token ON slots (token)",
    """
    CREATE TABLE wishes (
      limit_name {text} NOT NULL,
      holder {text} NOT NULL,
      since {real} NOT NULL,
      until {real} NOT NULL,
      PRIMARY KEY (limit_name, holder)
    ) {keyed}
    """,
)

_FOURTH = (
    # How a root flow run can be executed again, as JSON; NULL for all others.
    "ALTER TABLE runs ADD COLUMN recipe {text}",
)

_FIFTH = (
    # Finds external work and measures of a tree among millions of other events.
    "CREATE INDEX events_of_records ON events (root_id) WHERE form = 4",
)

_SIXTH = (
    # Trees whose root has been deleted, and whose other rows are being deleted in steps.
    "CREATE TABLE deletions (root_id {text} NOT NULL PRIMARY KEY) {keyed}",
)

_SEVENTH = (
    # The deployment of the run, and its due time; NULL for a run that was called.
    "ALTER TABLE runs ADD COLUMN deployment {text}",
    "ALTER TABLE runs ADD COLUMN scheduled_time {real}",
    "CREATE INDEX runs_of_deployment ON runs (deployment, id) WHERE deployment IS NOT NULL",
    # Finds due runs among all that have ended; a run leaves the index when it ends.
    """
    CREATE INDEX runs_scheduled ON runs (deployment, scheduled_time)
    WHERE scheduled_time IS NOT NULL AND ended IS NULL
    """,
)

#: Migration number n is at index n - 1; the dialect replaces the parts in braces.
MIGRATIONS = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH, _SEVENTH)
CURRENT = len(MIGRATIONS)


def migrate(connection: SqlConnection, found: int, dialect: Dialect) -> None:
    """Migrate the tables from a schema version to the current one.

    The caller opens the transaction, and stores the version of the schema.
    """
    for statements in MIGRATIONS[found:]:
        for statement in statements:
            connection.execute(statement.format_map(dialect.types))
