"""The database suite bites: a provider with one fault fails the tests that are named for it."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest

# Loaded before pytester takes its snapshot of modules, so that there is one of each.
from flowstone_testing.conformance.database import DatabaseSuite

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

SOURCE = """
import datetime, sqlite3
import pytest
from flowstone.blocks import SqliteDatabase
from flowstone.blocks.databases.driver import Driver
from flowstone.errors import *
from flowstone_testing.conformance.database import DatabaseSuite

stuck = []

class Cursor:
    def __init__(self, cursor): self.cursor = cursor
    @property
    def description(self): return self.cursor.description
    def fetchmany(self, size): return self.cursor.fetchmany(size)
    def close(self): self.cursor.close()

class Mutant(SqliteDatabase):
{body}

class TestMutant(DatabaseSuite):
    keeps = frozenset()
    patience = 2

    @pytest.fixture
    def database(self, tmp_path):
        with Mutant(path=str(tmp_path / "a.db"), busy_seconds=2) as database:
            yield database
            for connection in stuck: sqlite3.Connection.interrupt(connection)
"""

FAULTS = {
    "none": ("", ""),
    "no count": (
        "def _execute(self, c, o, v): super()._execute(c, o, v); return 1",
        "test_rows_are_changed_and_counted",
    ),
    "short batches": (
        """
        class Short(Cursor):
            def fetchmany(self, size): return self.cursor.fetchmany(max(1, size - 1))
        def _query(self, c, o, v): return self.Short(super()._query(c, o, v))
        """,
        "test_rows_are_tuples_in_order",
    ),
    "a row of nothing": (
        """
        class Never(Cursor):
            def fetchmany(self, size): return self.cursor.fetchmany(size) or [(None, None)]
        def _query(self, c, o, v): return self.Never(super()._query(c, o, v))
        """,
        "test_nothing_found_is_nothing",
    ),
    "the wrong placeholders": (
        "_style = 'format'",
        "test_parameters_go_by_place_and_by_name",
    ),
    "text in quotes changed": (
        "def _query(self, c, o, v): return super()._query(c, o.replace('%', '%%'), v)",
        "test_text_in_quotes_and_comments_is_left_alone",
    ),
    "values in the text": (
        """
        def _execute(self, c, o, v):
            for value in v: o = o.replace("?", repr(value), 1)
            return super()._execute(c, o, ())
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
        def _begin(self, c, savepoint): pass
        def _commit(self, c, savepoint): pass
        def _rollback(self, c, savepoint): pass
        """,
        """
        test_many_go_all_or_none test_an_error_rolls_back test_an_insert_is_all_or_none
        test_others_do_not_see_it_before_its_end test_transactions_of_threads_do_not_mix
        """,
    ),
    "numbers rounded": (
        "def _adapted(self, v): return int(v) if isinstance(v, float) else super()._adapted(v)",
        "test_common_types_come_back_as_they_went",
    ),
    "times cut": (
        """
        def _adapted(self, v):
            return str(v.date()) if isinstance(v, datetime.datetime) else super()._adapted(v)
        """,
        "test_declared_types_come_back_as_they_went",
    ),
    "big numbers wrapped": (
        "def _adapted(self, v): return v % 2**63 if isinstance(v, int) else super()._adapted(v)",
        "test_a_number_too_big_is_refused_or_kept",
    ),
    "text ends at a zero": (
        "def _adapted(self, v): return v.split('\\0')[0] if isinstance(v, str) else v",
        "test_a_zero_byte_is_kept_or_refused",
    ),
    "many statements": (
        """
        def _execute(self, c, o, v):
            return sum(super(Mutant, self)._execute(c, part, v) for part in o.split("; "))
        """,
        "test_one_statement_at_a_time",
    ),
    "all rows at once": (
        """
        def _query(self, c, o, v):
            from flowstone.blocks.databases.sqlite import _Read
            return _Read(super()._query(c, o, v))
        """,
        "test_many_rows_stream_in_little_memory",
    ),
    "a cursor that stays open": (
        """
        open_ = []
        class Open(Cursor):
            def close(self): Mutant.open_.append(self.cursor)
        def _connect(self, anchor):
            connection = super()._connect(anchor)
            connection.execute("PRAGMA journal_mode=DELETE")
            return connection
        def _query(self, c, o, v): return self.Open(super()._query(c, o, v))
        """,
        "test_a_stream_may_be_left",
    ),
    "one result at a time": (
        """
        last = None
        def _query(self, c, o, v):
            Mutant.last = super()._query(c, o, v)
            return Mutant.last
        def _execute(self, c, o, v):
            if self.last is not None: self.last.close()
            return super()._execute(c, o, v)
        """,
        "test_others_run_while_a_stream_is_open",
    ),
    "a twin of its own": (
        "async def afetch_all(self, operation, parameters=None): return []",
        "test_twins_do_the_same",
    ),
    "columns in any order": (
        """
        def _insert(self, c, table, columns, rows):
            super()._insert(c, table, sorted(columns), rows)
        """,
        "test_dicts_are_inserted",
    ),
    "nulls that are texts": (
        "def _adapted(self, v): return '' if v is None else super()._adapted(v)",
        "test_frames_are_inserted",
    ),
    "names in capitals": (
        """
        class Loud(Cursor):
            @property
            def description(self): return [(c[0].upper(),) for c in self.cursor.description]
        def _query(self, c, o, v): return self.Loud(super()._query(c, o, v))
        """,
        "test_tables_come_out test_empty_tables_have_columns",
    ),
    "a table made twice": (
        """
        def _create(self, c, table, columns):
            self._execute(c, f"CREATE TABLE {table} ({', '.join(columns)})", ())
        """,
        "test_a_table_is_made_if_asked",
    ),
    "names not quoted": (
        "def _quoted(self, name): return f'\"{name}\"'",
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
        "def _insert(self, c, t, columns, rows): super()._insert(c, t, columns, rows[:999])",
        "test_many_rows_go_in_batches",
    ),
    "a commit that is none": (
        "def _commit(self, c, savepoint): super()._rollback(c, savepoint)",
        "test_a_transaction_is_committed test_a_transaction_works_in_async_code",
    ),
    "savepoints that are none": (
        """
        def _rollback(self, c, savepoint):
            if savepoint is None: super()._rollback(c, savepoint)
        """,
        "test_one_inside_another_is_taken_back_alone",
    ),
    "an inner error that ends all": (
        """
        def _rollback(self, c, savepoint): super()._rollback(c, None)
        """,
        "test_an_error_of_a_statement_can_be_met_inside",
    ),
    "errors without the statement": (
        """
        def _refused(self, error, statement):
            told = super()._refused(error, statement)
            return type(told)(told.where, told.problem, told.remedy)
        """,
        "test_a_wrong_statement_is_told_with_itself",
    ),
    "one error for all": (
        """
        def _refused(self, error, statement):
            return QueryInvalid(self._where(), str(error), "Mend it.", statement)
        """,
        "test_a_missing_table_is_told test_a_broken_constraint_is_told",
    ),
    "errors that quote": (
        """
        def _told(self, error, operation, values):
            told = super()._told(error, operation, values)
            told.values = list(values)
            return told
        """,
        "test_values_are_in_no_error",
    ),
    "an error that leaves a transaction": (
        """
        def _execute(self, c, o, v):
            try: return super()._execute(c, o, v)
            except sqlite3.Error: c.execute("BEGIN IMMEDIATE"); raise
        """,
        "test_errors_leave_it_usable",
    ),
    "a connection for its thread": (
        """
        def _connect(self, anchor):
            return sqlite3.connect(self.path, isolation_level=None)
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
        def _query(self, c, o, v):
            if (o, *v) not in self.kept:
                self.kept[o, *v] = super()._query(c, o, v).fetchall()
            return self.Kept(self.kept[o, *v])
        """,
        "test_a_database_that_is_shared_is_seen_at_once",
    ),
    "queries that go on": (
        "def _interrupt(self, c): stuck.append(c)",
        """
        test_a_cancelled_coroutine_stops_its_query test_a_task_s_timeout_stops_its_query
        test_cancel_stops_what_runs
        """,
    ),
    "a close that commits": (
        """
        @staticmethod
        def _disconnect(c):
            if c.in_transaction: c.commit()
            c.close()
        """,
        "test_a_transaction_that_is_stopped_is_rolled_back",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_databases(pytester: pytest.Pytester, fault: str) -> None:
    body, tests = FAULTS[fault]
    pytester.makepyfile(SOURCE.format(body=indent(dedent(body), "    ") if body else "    pass"))
    quiet = ("-p", "no:cacheprovider", "-q", "--timeout=300")
    if not tests:
        assert pytester.runpytest_inprocess(*quiet).parseoutcomes().keys() == {"passed"}
    for test in tests.split():
        outcome = pytester.runpytest_inprocess(*quiet, "-k", test).parseoutcomes()
        assert outcome.get("failed") or outcome.get("errors"), f"{test} does not bite"


def test_each_standard_test_has_a_mutant() -> None:
    standard = {name for name in dir(DatabaseSuite) if name.startswith("test_")}
    assert {test for _, tests in FAULTS.values() for test in tests.split()} == standard
