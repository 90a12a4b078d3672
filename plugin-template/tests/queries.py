"""The service's databases: SQLite with sessions, each with its transaction and rows."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from pathlib import Path
from threading import Lock
from typing import Any

from flowstone_template.database import decode, encode


class Session:
    def __init__(self, file: Path) -> None:
        self.lock = Lock()
        self.stopped = False
        self._rows: dict[int, sqlite3.Cursor] = {}
        self._connection = sqlite3.connect(
            file, timeout=30, isolation_level=None, check_same_thread=False
        )
        self._connection.set_progress_handler(lambda: self.stopped, 1000)
        self._connection.execute("PRAGMA journal_mode=WAL").close()

    def execute(self, statement: str, rows: list[list[Any]]) -> int:
        changed = 0
        for values in rows:
            cursor = self._connection.execute(_some(statement), values)
            changed += max(0, cursor.rowcount)
            cursor.close()
        return changed

    def query(self, statement: str, values: list[Any]) -> dict[str, Any]:
        cursor = self._connection.execute(_some(statement), values)
        number = len(self._rows)
        self._rows[number] = cursor
        return {"number": number, "columns": cursor.description}

    def fetch(self, number: int, size: int) -> list[Any]:
        return self._rows[number].fetchmany(size)

    def forget(self, number: int) -> None:
        self._rows[number].close()

    def leave(self) -> None:
        self._connection.close()


class Databases:
    """All databases of the service, as files in a directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._sessions: dict[str, Session] = {}

    def take(self, handler: Any, database: str, name: str, what: str) -> None:
        content = decode(handler.rfile.read(int(handler.headers["content-length"])))
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = Session(self._folder / f"{database}.db")
            session = self._sessions[name]
        if what in {"stop", "leave"}:
            session.stopped = True
        try:
            answer = None
            if what != "stop":
                with session.lock:
                    answer = getattr(session, what)(**content)
        except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError) as error:
            words = str(error).encode("utf-8", "replace")
            handler.begin(400, len(words), x_problem=_problem(error))
            handler.wfile.write(words)
        else:
            handler.send(encode(answer))
        if what == "leave":
            with self._lock:
                del self._sessions[name]

    def close(self) -> None:
        with self._lock:
            for session in self._sessions.values():
                session.stopped = True
                with session.lock:
                    session.leave()
            self._sessions.clear()


_PROBLEMS = defaultdict(
    lambda: "wrong-statement",
    {
        sqlite3.SQLITE_BUSY: "busy",
        sqlite3.SQLITE_CONSTRAINT: "constraint",
        sqlite3.SQLITE_INTERRUPT: "stopped",
    },
)


def _problem(error: Exception) -> str:
    if str(error).startswith("no such table"):
        return "no-such-table"
    return _PROBLEMS[getattr(error, "sqlite_errorcode", 0) & 0xFF]


def _some(statement: str) -> str:
    if not statement.strip():
        raise sqlite3.OperationalError("there is no statement")
    return statement
