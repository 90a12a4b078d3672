"""The tasks of the core pass the suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from flowstone.blocks import SqliteDatabase
from flowstone_testing.conformance.tasks import Arguments, Example, TaskSuite


class TestTasks(TaskSuite):
    plugin = "flowstone"

    @pytest.fixture
    def examples(self, tmp_path: Path) -> Mapping[str, Example]:
        def shop() -> SqliteDatabase:
            # The examples name it as it is saved.
            database = SqliteDatabase(path=str(tmp_path / f"{uuid4().hex}.db"))
            database.insert("orders", [{"id": 1, "item": "lamp"}], create=True)
            database.save("shop", overwrite=True)
            return database

        def on_shop(**arguments: object) -> Callable[[], Arguments]:
            return lambda: {"database": shop(), **arguments}

        return {
            "database_execute": on_shop(
                operation="UPDATE orders SET item = ? WHERE id = ?", parameters=["fan", 1]
            ),
            "database_fetch": on_shop(
                operation="SELECT item FROM orders WHERE id = :id", parameters={"id": 1}
            ),
            "database_insert": on_shop(table="orders", rows=[{"id": 2, "item": "sofa"}]),
            "shell_run_command": lambda: {"command": "echo $GREETING", "env": {"GREETING": "hi"}},
        }
