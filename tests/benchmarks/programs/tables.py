"""A table of PostgreSQL as Arrow, or Arrow into one, by a connector or by ADBC alone."""

import json
import sys
from importlib import import_module
from time import perf_counter
from typing import Any

import pyarrow as pa

name, url, way, table, count = *sys.argv[1:5], int(sys.argv[5])
QUERY = f"SELECT * FROM {table}"


def read_by_adbc() -> pa.Table:
    dbapi = import_module("adbc_driver_postgresql.dbapi")
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(QUERY)
        return cursor.fetch_arrow_table()


def write_by_adbc(rows: pa.Table) -> None:
    dbapi = import_module("adbc_driver_postgresql.dbapi")
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(table, rows, mode="append")
        connection.commit()


def connect() -> Any:
    library = import_module(f"{name}_sqlalchemy")
    driver = "postgresql+psycopg://" if name == "prefect" else "postgresql://"
    return library.SqlAlchemyConnector(connection_info=driver + url.partition("://")[2])


def read() -> pa.Table:
    if name == "adbc":
        return read_by_adbc()
    with connect() as database:
        if name == "prefect":
            rows = database.fetch_all(QUERY)
            return pa.table([pa.array(values) for values in zip(*rows, strict=True)], names=NAMES)
        return database.fetch_arrow(QUERY)


def write(rows: pa.Table) -> None:
    if name == "adbc":
        write_by_adbc(rows)
        return
    with connect() as database:
        if name == "prefect":
            marks = ", ".join(f":{each}" for each in rows.column_names)
            database.execute_many(f"INSERT INTO {table} VALUES ({marks})", rows.to_pylist())
        else:
            database.insert(table, rows)


def make_rows() -> pa.Table:
    numbers = pa.array(range(count), pa.int64())
    names = pa.array([f"name {number % 1000}" for number in range(count)])
    halves = pa.array([number / 2 for number in range(count)])
    days = pa.array([number % 20_000 for number in range(count)], pa.int32()).cast(pa.date32())
    times = pa.array(range(count), pa.int64()).cast(pa.timestamp("us", "UTC"))
    return pa.table({"id": numbers, "name": names, "half": halves, "day": days, "at": times})


NAMES = ["id", "name", "half", "day", "at"] if way == "plain" else ["id", "amount", "doc", "at"]
given = make_rows() if way == "write" else None
began = perf_counter()
if given is not None:
    write(given)
else:
    assert read().num_rows == count
print(json.dumps({"s": perf_counter() - began}))
