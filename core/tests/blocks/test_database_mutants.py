"""The database suite bites: a provider with one fault fails the tests that are named for it."""

from __future__ import annotations

import re
from importlib import import_module
from textwrap import dedent, indent

import pytest

# Loaded before pytester takes its snapshot of modules, so that there is one of each.
from flowstone_testing.conformance.database import DatabaseSuite

from .database_table_faults import ARROW_FAULTS, BLOCK_FAULTS, DRIVER_FAULTS

for name in ("flowstone.blocks.databases.sqlite", "pandas", "polars", "pyarrow"):
    import_module(name)

pytestmark = [pytest.mark.slow, pytest.mark.check]  # of the kit, which few changes touch

pytest_plugins = ["pytester"]

SOURCE = """
import datetime, sqlite3
import pyarrow as pa
import pytest
from flowstone.blocks import SqliteDatabase
from flowstone.blocks.databases import ArrowDriver, SqliteDriver
from flowstone.errors import *
from flowstone_testing.conformance.database import DatabaseSuite

stuck = []

class Cursor:
    def __init__(self, cursor): self.cursor = cursor
    @property
    def description(self): return self.cursor.description
    def fetchmany(self, size): return self.cursor.fetchmany(size)
    def close(self): self.cursor.close()

class ArrowSqliteDriver(SqliteDriver, ArrowDriver):
    def open_arrow(self, c, operation, values, size):
        cursor = self.query(c, operation, values)
        names = [name for name, *_ in cursor.description]
        def make(rows):
            columns = zip(*rows) if rows else [[] for _ in names]
            return pa.record_batch([pa.array(list(column)) for column in columns], names)
        first = make(cursor.fetchmany(size))
        def read():
            yield first
            while rows := cursor.fetchmany(size): yield make(rows).cast(first.schema)
            cursor.close()
        return pa.RecordBatchReader.from_batches(first.schema, read())

    def insert_arrow(self, c, table, data):
        rows = [tuple(map(self.adapt, row.values())) for row in data.to_pylist()]
        self.insert(c, table, data.column_names, rows)

class Driver({base}):
    pass
{driver}

class Mutant(SqliteDatabase):
    def make_driver(self):
        return Driver(self.path, read_only=self.read_only, busy_seconds=self.busy_seconds)
{block}

class TestMutant(DatabaseSuite):
    keeps = frozenset()
    {lacks}
    patience = {patience}

    @pytest.fixture
    def database(self, tmp_path):
        with Mutant(path=str(tmp_path / "a.db"), busy_seconds={patience}) as database:
            yield database
            for connection in stuck: sqlite3.Connection.interrupt(connection)
"""

#: What is wrong with a block; all others are faults of its driver.
OF_BLOCKS = {
    "a load that forgets",
    "a pickle that forgets",
    "a twin of its own",
    "an execute of its own",
    "an insert of its own",
    "another one after closing",
    "errors that quote",
    *BLOCK_FAULTS,
}
#: What is wrong with a driver that has tables of Arrow.
OF_ARROW = {
    "a commit within a table",
    "tables of texts",
    "tables without nulls",
    "tables, their first rows only",
    *ARROW_FAULTS,
}

#: What the class declares to lack, of a driver that says so too, or of one that does not.
LACKS = {
    "none that has transactions": ["transactions = savepoints = False"],
    "none that stops": ["cancels = False"],
    "transactions, not declared": ["transactions = savepoints = False"],
    "savepoints, not declared": ["savepoints = False"],
    "stopping, not declared": ["cancels = False"],
    "keys, not declared": ["constraints = False"],
    "streams, not declared": ["streams = False"],
    "one for all blocks, not declared": ["persists = False"],
}

FAULTS = {
    "none": ("", ""),
    "none that has transactions": ("transactions = savepoints = False", ""),
    "none that stops": ("cancels = False", ""),
    "transactions, not declared": ("", "test_a_transaction_is_committed"),
    "savepoints, not declared": ("", "test_one_inside_another_is_taken_back_alone"),
    "stopping, not declared": ("", "test_cancel_stops_what_runs"),
    "keys, not declared": ("", "test_a_broken_constraint_is_told"),
    "streams, not declared": ("", "test_many_rows_stream_in_little_memory"),
    "one for all blocks, not declared": (
        "",
        "test_a_database_that_is_shared_is_seen_at_once",
    ),
    "transactions, declared and not there": (
        "transactions = False",
        "test_a_transaction_is_committed",
    ),
    "stopping, declared and not there": ("cancels = False", "test_cancel_stops_what_runs"),
    "none, with Arrow": ("", ""),
    "no count": (
        "def execute(self, c, o, v): super().execute(c, o, v); return 1",
        "test_rows_are_changed_and_counted",
    ),
    "short batches": (
        """
        class Short(Cursor):
            def fetchmany(self, size): return self.cursor.fetchmany(max(1, size - 1))
        def query(self, c, o, v): return self.Short(super().query(c, o, v))
        """,
        "test_rows_are_tuples_in_order",
    ),
    "a row of nothing": (
        """
        class Never(Cursor):
            def fetchmany(self, size): return self.cursor.fetchmany(size) or [(None, None)]
        def query(self, c, o, v): return self.Never(super().query(c, o, v))
        """,
        "test_nothing_found_is_nothing",
    ),
    "the wrong placeholders": (
        "placeholder_style = 'format'",
        "test_parameters_go_by_place_and_by_name",
    ),
    "text in quotes changed": (
        "def query(self, c, o, v): return super().query(c, o.replace('%', '%%'), v)",
        "test_text_in_quotes_and_comments_is_left_alone",
    ),
    "values in the text": (
        """
        def execute(self, c, o, v):
            for value in v: o = o.replace("?", repr(value), 1)
            return super().execute(c, o, ())
        """,
        "test_values_are_bound_whatever_is_in_them",
    ),
    "an execute of its own": (
        """
        def execute(self, operation, parameters=None):
            try: return super().execute(operation, parameters)
            except QueryInvalid: return 0
        """,
        "test_parameters_that_do_not_fit_are_refused test_public_methods_are_the_interface_s",
    ),
    "no transactions": (
        """
        def begin(self, c, savepoint): pass
        def commit(self, c, savepoint): pass
        def rollback(self, c, savepoint): pass
        """,
        """
        test_many_go_all_or_none test_an_error_rolls_back test_an_insert_is_all_or_none
        test_others_do_not_see_it_before_its_end test_transactions_of_threads_do_not_mix
        """,
    ),
    "numbers rounded": (
        "def adapt(self, v): return int(v) if isinstance(v, float) else super().adapt(v)",
        "test_common_types_come_back_as_they_went",
    ),
    "times cut": (
        """
        def adapt(self, v):
            return str(v.date()) if isinstance(v, datetime.datetime) else super().adapt(v)
        """,
        "test_declared_types_come_back_as_they_went",
    ),
    "big numbers wrapped": (
        "def adapt(self, v): return v % 2**63 if isinstance(v, int) else super().adapt(v)",
        "test_a_number_too_big_is_refused_or_kept",
    ),
    "text ends at a zero": (
        "def adapt(self, v): return v.split('\\0')[0] if isinstance(v, str) else v",
        "test_a_zero_byte_is_kept_or_refused",
    ),
    "many statements": (
        """
        def execute(self, c, o, v):
            return sum(super(Driver, self).execute(c, part, v) for part in o.split("; "))
        """,
        "test_one_statement_at_a_time",
    ),
    "all rows at once": (
        """
        def query(self, c, o, v):
            from flowstone.blocks.databases.sqlite import FetchedRows
            return FetchedRows(super().query(c, o, v))
        """,
        "test_many_rows_stream_in_little_memory",
    ),
    "a cursor that stays open": (
        """
        open_, max_idle_connections = [], 0
        class Open(Cursor):
            def close(self): Driver.open_.append(self.cursor)
        def connect(self):
            connection = super().connect()
            connection.execute("PRAGMA journal_mode=DELETE")
            return connection
        def query(self, c, o, v): return self.Open(super().query(c, o, v))
        """,
        "test_a_stream_may_be_left",
    ),
    "one result at a time": (
        """
        last = None
        def query(self, c, o, v):
            Driver.last = super().query(c, o, v)
            return Driver.last
        def execute(self, c, o, v):
            if self.last is not None: self.last.close()
            return super().execute(c, o, v)
        """,
        "test_others_run_while_a_stream_is_open",
    ),
    "a twin of its own": (
        "async def afetch_all(self, operation, parameters=None): return []",
        "test_twins_do_the_same",
    ),
    "columns in any order": (
        """
        def insert(self, c, table, columns, rows):
            super().insert(c, table, sorted(columns), rows)
        """,
        "test_dicts_are_inserted",
    ),
    "nulls that are texts": (
        "def adapt(self, v): return '' if v is None else super().adapt(v)",
        "test_frames_are_inserted",
    ),
    "names in capitals": (
        """
        class Loud(Cursor):
            @property
            def description(self): return [(c[0].upper(),) for c in self.cursor.description]
        def query(self, c, o, v): return self.Loud(super().query(c, o, v))
        """,
        "test_tables_come_out test_empty_tables_have_columns",
    ),
    "tables of texts": (
        """
        def fetch_arrow(self, c, o, v):
            table = super().fetch_arrow(c, o, v)
            return table.cast(pa.schema([(name, pa.string()) for name in table.column_names]))
        """,
        "test_tables_have_the_values_of_rows",
    ),
    "tables without nulls": (
        """
        def insert_arrow(self, c, table, data):
            columns = [each.fill_null("") if each.null_count else each for each in data.columns]
            super().insert_arrow(c, table, pa.table(columns, data.column_names))
        """,
        "test_frames_are_inserted",
    ),
    "tables, their first rows only": (
        "def insert_arrow(self, c, table, data): super().insert_arrow(c, table, data.slice(0, 1))",
        "test_tables_are_kept_as_rows_are",
    ),
    "a commit within a table": (
        """
        def insert_arrow(self, c, table, data):
            super().insert_arrow(c, table, data)
            self.commit(c, None)
            self.begin(c, None)
        """,
        "test_a_table_goes_in_whole_or_not_at_all",
    ),
    "a table made twice": (
        """
        def create_table(self, c, table, columns):
            self.execute(c, f"CREATE TABLE {table} ({', '.join(columns)})", ())
        """,
        "test_a_table_is_made_if_asked",
    ),
    "names not quoted": (
        "def quote_name(self, name): return f'\"{name}\"'",
        "test_names_are_quoted",
    ),
    "an insert of its own": (
        """
        def insert(self, table, rows, *, create=False):
            try: return super().insert(table, rows, create=create)
            except RowsInvalid: return 0
        """,
        "test_rows_that_do_not_fit_are_refused",
    ),
    "the first rows only": (
        "def insert(self, c, t, columns, rows): super().insert(c, t, columns, rows[:999])",
        "test_many_rows_go_in_batches",
    ),
    "a commit that is none": (
        "def commit(self, c, savepoint): super().rollback(c, savepoint)",
        "test_a_transaction_is_committed test_a_transaction_works_in_async_code",
    ),
    "savepoints that are none": (
        """
        def rollback(self, c, savepoint):
            if savepoint is None: super().rollback(c, savepoint)
        """,
        "test_one_inside_another_is_taken_back_alone",
    ),
    "an inner error that ends all": (
        """
        def rollback(self, c, savepoint): super().rollback(c, None)
        """,
        "test_an_error_of_a_statement_can_be_met_inside",
    ),
    "errors without the statement": (
        """
        def translate_error(self, error, statement):
            told = super().translate_error(error, statement)
            return type(told)(told.where, told.problem, told.remedy)
        """,
        "test_a_wrong_statement_is_told_with_itself",
    ),
    "one error for all": (
        """
        def translate_error(self, error, statement):
            return QueryInvalid(self.where, str(error), "Fix it.", statement)
        """,
        "test_a_missing_table_is_told test_a_broken_constraint_is_told",
    ),
    "errors that quote": (
        """
        def execute(self, operation, parameters=None):
            try: return super().execute(operation, parameters)
            except DatabaseError as error: error.values = parameters; raise
        """,
        "test_values_are_in_no_error",
    ),
    "an error that leaves a transaction": (
        """
        def execute(self, c, o, v):
            try: return super().execute(c, o, v)
            except sqlite3.Error: c.execute("BEGIN IMMEDIATE"); raise
        """,
        "test_errors_leave_it_usable",
    ),
    "a connection for its thread": (
        """
        def connect(self):
            path = self.where.removeprefix("SQLite ")
            return sqlite3.connect(path, isolation_level=None)
        """,
        "test_fifty_mapped_tasks_share_it",
    ),
    "a pickle that forgets": (
        "def __reduce__(self): return Mutant, ()",
        "test_it_travels_as_its_fields",
    ),
    "a load that forgets": (
        """
        @classmethod
        def load(cls, name): return cls()
        """,
        "test_it_is_saved_and_loaded",
    ),
    "another one after closing": (
        "def close(self): super().close(); self.__dict__['path'] += 'x'",
        "test_a_closed_one_opens_again",
    ),
    "answers kept": (
        """
        class Kept:
            description = [("x",)]
            def __init__(self, rows): self.rows = rows
            def fetchmany(self, size):
                rows, self.rows = self.rows, []
                return rows
            def close(self): pass
        kept = {}
        def query(self, c, o, v):
            if (o, *v) not in self.kept:
                self.kept[o, *v] = super().query(c, o, v).fetchall()
            return self.Kept(self.kept[o, *v])
        """,
        "test_a_database_that_is_shared_is_seen_at_once",
    ),
    "queries that go on": (
        "def interrupt(self, c): stuck.append(c)",
        """
        test_a_cancelled_coroutine_stops_its_query test_a_task_s_timeout_stops_its_query
        test_cancel_stops_what_runs
        """,
    ),
    "a close that commits": (
        """
        def disconnect(self, c):
            if c.in_transaction: c.commit()
            c.close()
        """,
        "test_a_transaction_that_is_stopped_is_rolled_back",
    ),
    **ARROW_FAULTS,
    **DRIVER_FAULTS,
    **BLOCK_FAULTS,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_databases(pytester: pytest.Pytester, fault: str) -> None:
    body, tests = FAULTS[fault]
    written = indent(dedent(body), "    ")
    pytester.makepyfile(
        SOURCE.format(
            base="ArrowSqliteDriver" if "Arrow" in fault or fault in OF_ARROW else "SqliteDriver",
            driver="" if fault in OF_BLOCKS else written,
            block=written if fault in OF_BLOCKS else "",
            patience=2 if tests else 30,
            lacks="; ".join(LACKS.get(fault, [])),
        )
    )
    quiet = ("-p", "no:cacheprovider", "-q", "--timeout=300")
    if not tests:  # tables alone, where nothing but tables is another's
        chosen = ("-k", "table or frames or values") if "Arrow" in fault else ()
        outcome = pytester.runpytest_inprocess(*quiet, *chosen).parseoutcomes()
        assert outcome.keys() <= {"passed", "deselected", *(["skipped"] if fault in LACKS else [])}
    for test in tests.split():
        result = pytester.runpytest_inprocess(*quiet, "-k", test)
        outcome, shown = result.parseoutcomes(), str(result.stdout)
        assert outcome.get("failed") or outcome.get("errors"), f"{test} does not bite"
        assert not re.search("ImportError|NameError|Pydantic", shown), "the mutant itself is wrong"


def test_each_standard_test_has_a_mutant() -> None:
    standard = {name for name in dir(DatabaseSuite) if name.startswith("test_")}
    assert FAULTS.keys() >= OF_BLOCKS | OF_ARROW
    assert {test for _, tests in FAULTS.values() for test in tests.split()} == standard
