"""What tables cost on their way from PostgreSQL and into it, beside ADBC alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
from tests.benchmarks.fresh import OURS, Library
from tests.benchmarks.rows import Row
from tests.services.postgres import postgres

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a person would write without us, run as if it were a library.
ADBC = replace(OURS, module="adbc")
#: Each figure is the least of so many, in turn.
ROUNDS = 3
#: How many rows the peer is asked for; it is scaled up.
PEER = 50_000

TABLES = {
    "plain": "SELECT n AS id, 'name ' || n % 1000 AS name, n / 2.0::float8 AS half, "
    "date '2000-01-01' + n % 9000 AS day, timestamptz '2024-01-01' + n * interval '1 s' AS at",
    "typed": "SELECT n AS id, (n * 1.25)::numeric(18, 4) AS amount, "
    "jsonb_build_object('n', n, 'tag', 'x' || n % 7) AS doc, "
    "timestamptz '2024-01-01' + n * interval '1 s' AS at",
}
TARGET = "CREATE TABLE {} (id bigint, name text, half float8, day date, at timestamptz)"


def tables(rows: int, typed: int, written: int, peer: Library | None) -> list[Row]:
    """Measure whole tables out of PostgreSQL as Arrow, and Arrow into it."""
    found = []
    with postgres() as url, psycopg.connect(url, autocommit=True) as admin:
        for name, count, budget in (("plain", rows, 1.2), ("typed", typed, 1.6)):
            select = f"{TABLES[name]} FROM generate_series(1, {{}}) AS n"
            admin.execute(f"CREATE TABLE {name} AS {select.format(count)}".encode())
            admin.execute(f"CREATE TABLE {name}_few AS {select.format(min(count, PEER))}".encode())
            admin.execute(f"VACUUM ANALYZE {name}".encode())
            what = f"PostgreSQL -> Arrow, {count:,} rows, {name}"
            found.append(_compare(what, url, name, count, budget, peer))
        what = f"Arrow -> PostgreSQL, {written:,} rows"

        def empty(table: str) -> None:
            admin.execute(f"DROP TABLE IF EXISTS {table}".encode())
            admin.execute(TARGET.format(table).encode())

        found.append(_compare(what, url, "write", written, 1.2, peer, empty))
    return found


def _compare(
    what: str,
    url: str,
    name: str,
    count: int,
    budget: float,
    peer: Library | None,
    empty: Callable[[str], None] | None = None,
) -> Row:
    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for library in (ADBC, OURS):
            if empty is not None:
                empty(name)
            times.setdefault(library.module, []).append(
                library.run("tables", url, name, name, count)["s"]
            )
    ours, floor = (1000 * min(times[each.module]) for each in (OURS, ADBC))
    row = Row(what, ours, "ms", floor, "ADBC", budget * floor)
    if peer is None:
        return row
    few = min(count, PEER)
    if empty is not None:
        empty(f"{name}_few")
    theirs = peer.run("tables", url, name, f"{name}_few", few)["s"] * count / few
    return row.against(1000 * theirs)


def streams(count: int, peer: Library | None) -> list[Row]:
    """Measure by how much a process grows that streams many rows, after it has streamed a few."""
    with postgres() as url:
        return [
            Row(
                f"memory, {count:,} rows streamed as {how}",
                OURS.run("streams", url, how, count)["kb"] / 1024,
                "MB",
                budget=32,
            )
            for how in ("rows", "arrow")
        ]
