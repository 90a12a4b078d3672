"""Faults of drivers that tests of Arrow streams, upserts, scripts and files are named for."""

from __future__ import annotations

#: Faults of drivers that have tables of Arrow.
ARROW_FAULTS = {
    "a batch left out": (
        """
        def open_arrow(self, c, o, v, size):
            reader = super().open_arrow(c, o, v, size)
            return pa.RecordBatchReader.from_batches(reader.schema, list(reader)[:2])
        """,
        "test_batches_come_out_in_order",
    ),
    "no columns where nothing is": (
        """
        def open_arrow(self, c, o, v, size):
            table = super().open_arrow(c, o, v, size).read_all()
            return (table if len(table) else pa.table({})).to_reader(size)
        """,
        "test_an_empty_stream_has_columns",
    ),
    "a reader that holds the table": (
        """
        open_, max_idle_connections = [], 0
        def connect(self):
            connection = super().connect()
            connection.execute("PRAGMA journal_mode=DELETE")
            return connection
        def open_arrow(self, c, o, v, size):
            cursor = self.query(c, o, v)
            cursor.fetchmany(1)
            Driver.open_.append(cursor)
            return super().open_arrow(c, o, v, size)
        """,
        "test_a_stream_of_arrow_may_be_left",
    ),
    "one reader at a time": (
        """
        last = None
        def open_arrow(self, c, o, v, size):
            reader = super().open_arrow(c, o, v, size)
            Driver.last = [reader]
            def read():
                for batch in reader:
                    if not Driver.last: return
                    yield batch
            return pa.RecordBatchReader.from_batches(reader.schema, read())
        def execute(self, c, o, v):
            Driver.last = []
            return super().execute(c, o, v)
        """,
        "test_others_run_while_a_stream_of_arrow_is_open",
    ),
    "all batches at once": (
        """
        def open_arrow(self, c, o, v, size):
            return super().open_arrow(c, o, v, 10**9)
        """,
        "test_many_batches_stream_in_little_memory",
    ),
    "every batch but the last": (
        """
        def insert_arrow(self, c, table, data):
            super().insert_arrow(c, table, data.slice(0, max(1, len(data) - 1)))
        """,
        "test_what_speaks_arrow_is_inserted test_a_stream_goes_from_table_to_table",
    ),
}

#: Faults of other drivers.
DRIVER_FAULTS = {
    "rows added twice": (
        """
        def merge(self, c, table, staged, columns, keys):
            names = ", ".join(map(self.quote_name, columns))
            added = f"INSERT OR IGNORE INTO {table} ({names}) SELECT {names} FROM {staged}"
            self.execute(c, added, ())
        """,
        "test_rows_are_added_or_updated",
    ),
    "rows replaced whole": (
        """
        def merge(self, c, table, staged, columns, keys):
            names = ", ".join(map(self.quote_name, columns))
            self.execute(c, f"REPLACE INTO {table} ({names}) SELECT {names} FROM {staged}", ())
        """,
        "test_other_columns_stay",
    ),
    "a stage that commits": (
        """
        def stage(self, c, table):
            self.commit(c, None)
            self.begin(c, None)
            return super().stage(c, table)
        def commit(self, c, savepoint):
            if savepoint is None or c.in_transaction: super().commit(c, None)
        def begin(self, c, savepoint):
            if not c.in_transaction: super().begin(c, None)
        def rollback(self, c, savepoint):
            if c.in_transaction: super().rollback(c, None)
        """,
        "test_an_upsert_is_all_or_none",
    ),
    "semicolons that end quotes": (
        "def split_script(self, script): return script.split(';')",
        "test_a_script_runs_in_order",
    ),
    "files of texts": (
        """
        def quote_name(self, name): return super().quote_name(name.upper())
        class Loud(Cursor):
            @property
            def description(self): return [("x",) for c in self.cursor.description]
        def query(self, c, o, v): return self.Loud(super().query(c, o, v))
        """,
        "test_files_go_out_and_come_in",
    ),
    "a native load that commits": (
        """
        def insert(self, c, table, columns, rows):
            super().insert(c, table, columns, rows)
            c.commit()
            c.execute("BEGIN IMMEDIATE")
        """,
        "test_files_that_do_not_fit_add_nothing test_tables_of_an_iterator_are_alike",
    ),
}

#: Faults of blocks.
BLOCK_FAULTS = {
    "any size": (
        """
        def stream_arrow(self, operation, parameters=None, batch_rows=1000):
            yield from super().stream_arrow(operation, parameters, max(1, batch_rows))
        """,
        "test_a_batch_has_rows",
    ),
    "a twin of one batch": (
        """
        async def astream_arrow(self, operation, parameters=None, batch_rows=1000):
            yield next(self.stream_arrow(operation, parameters, batch_rows))
        """,
        "test_the_twin_streams_the_same",
    ),
    "keys that are the first": (
        """
        def upsert(self, table, rows, keys, *, create=False):
            try: return super().upsert(table, rows, keys, create=create)
            except RowsInvalid: return 0
        """,
        "test_keys_that_tell_nothing_are_refused",
    ),
    "a script that goes on": (
        """
        def execute_script(self, script):
            counts = []
            for statement in script.split("; "):
                try: counts.append(self.execute(statement))
                except DatabaseError as error: told = error
            raise told
        """,
        "test_a_script_ends_at_an_error",
    ),
    "a script apart": (
        """
        def execute_script(self, script):
            path = self.path
            with type(self).__mro__[1](path=path) as other: return other.execute_script(script)
        """,
        "test_a_script_is_part_of_a_transaction",
    ),
    "a script's twin of its own": (
        "async def aexecute_script(self, script): return [0]",
        "test_the_twin_runs_the_same",
    ),
    "files written over": (
        """
        def unload(self, operation, store, folder, parameters=None):
            for info in list(store.list_objects(folder)): store.delete_object(info.path)
            return super().unload(operation, store, folder, parameters)
        """,
        "test_files_are_never_written_over",
    ),
}
