from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from flowstone import flow, task
from flowstone.blocks.object_stores import ObjectPath
from flowstone.cache_policies import INPUTS
from flowstone.context.current import Services
from flowstone.errors import ConfigurationError
from flowstone.locking import MemoryLockManager
from flowstone.transactions import (
    CommitMode,
    Transaction,
    atransaction,
    get_transaction,
    transaction,
)
from flowstone_testing.objects import MemoryObjects


@pytest.fixture(autouse=True)
def place(services: Services, tmp_path: Path) -> Path:
    return tmp_path


class Ledger:
    """Tasks that write down what happens to them."""

    def __init__(self, **options: Any) -> None:
        self.lines: list[str] = []

        @task(**options)
        def write(name: str) -> str:
            self.lines.append(f"did {name}")
            return name

        @write.on_commit
        def committed(txn: Transaction) -> None:
            self.lines.append(f"kept {txn.get('task_run_name')}")

        @write.on_rollback
        def undone(txn: Transaction) -> None:
            self.lines.append(f"undid {txn.get('task_run_name')}")

        self.write = write


def test_a_block_that_ends_is_committed_in_order() -> None:
    ledger = Ledger()

    @flow
    def f() -> None:
        with transaction() as txn:
            ledger.write("a")
            ledger.write("b")
            assert ledger.lines == ["did a", "did b"]
            assert get_transaction() is txn
        assert txn.is_committed()
        assert get_transaction() is None

    f()
    assert ledger.lines == ["did a", "did b", "kept write-0", "kept write-1"]


def test_a_block_that_raises_is_rolled_back_backwards() -> None:
    ledger = Ledger()

    @flow
    def f() -> None:
        with transaction() as txn:
            ledger.write("a")
            ledger.write("b")
            undone.append(txn)
            raise ValueError("no")

    undone: list[Transaction] = []
    with pytest.raises(ValueError, match="no"):
        f()
    assert undone[0].is_rolled_back()
    assert ledger.lines == ["did a", "did b", "undid write-1", "undid write-0"]


def test_results_are_kept_at_the_commit_only(place: Path) -> None:
    ledger = Ledger(cache_policy=INPUTS, result_storage=place)

    @flow
    def f(fail: bool) -> None:
        with transaction():
            ledger.write("a")
            assert not fail or not list(place.iterdir())
            if fail:
                raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        f(True)
    assert not list(place.iterdir())
    f(False)
    assert len(list(place.iterdir())) == 1
    f(False)
    assert ledger.lines.count("did a") == 2


def test_a_task_in_no_transaction_is_its_own() -> None:
    ledger = Ledger()
    ledger.write("a")
    assert ledger.lines[0] == "did a"
    assert ledger.lines[1].startswith("kept write-")


def test_nested_transactions_wait_for_the_outer_one() -> None:
    ledger = Ledger()

    @flow
    def f() -> None:
        with transaction() as outer:
            with transaction() as inner:
                ledger.write("a")
            assert not inner.is_committed()
            with transaction(commit_mode=CommitMode.EAGER):
                ledger.write("b")
            assert ledger.lines[-1] == "kept write-1"
            outer.set("x", 1)
            assert inner.get("x") == 1
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        f()
    assert ledger.lines[-2:] == ["undid write-1", "undid write-0"]


def test_off_is_committed_by_hand() -> None:
    ledger = Ledger()
    with transaction(commit_mode="OFF") as txn:
        ledger.write("a")
        txn.commit()
    with transaction(commit_mode="OFF"):
        ledger.write("b")
    assert [line.split()[0] for line in ledger.lines] == ["did", "kept", "did", "undid"]


def test_a_key_remembers(place: Path) -> None:
    for expected in (False, True):
        with transaction(key="load-monday", store=place) as txn:
            assert txn.is_committed() is expected
            if not txn.is_committed():
                assert txn.read() is None
                txn.stage({"rows": 3})
            else:
                assert txn.read() == {"rows": 3}
    with transaction(key="load-monday", store=place, overwrite=True) as txn:
        assert not txn.is_committed()
        txn.stage({"rows": 4})
    with transaction(key="load-monday", store=place) as txn:
        assert txn.read() == {"rows": 4}


def test_a_commit_hook_that_raises_undoes_everything() -> None:
    ledger = Ledger()

    @task
    def other() -> None: ...

    @other.on_commit
    def fails(txn: Transaction) -> None:
        raise KeyError("no")

    with pytest.raises(KeyError), transaction() as txn:
        ledger.write("a")
        other()
    assert txn.is_rolled_back()
    assert [line.split()[0] for line in ledger.lines] == ["did", "kept", "undid"]


def test_a_rollback_hook_that_raises_does_not_stop_the_others() -> None:
    ledger = Ledger()

    @task
    def other() -> None: ...

    @other.on_rollback
    def fails(txn: Transaction) -> None:
        raise KeyError("no")

    with pytest.raises(ValueError, match="stop"), transaction():
        ledger.write("a")
        other()
        raise ValueError("stop")
    assert ledger.lines[-1].startswith("undid")


def test_serializable_blocks_run_one_at_a_time(place: Path) -> None:
    inside: list[int] = []
    locks = MemoryLockManager()

    def enter() -> None:
        with transaction(
            key="k", store=place, isolation_level="SERIALIZABLE", overwrite=True, lock_manager=locks
        ):
            inside.append(1)
            assert sum(inside) == 1
            inside.append(-1)

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert len(inside) == 16
    with (
        pytest.raises(ConfigurationError, match="needs a key"),
        transaction(isolation_level="SERIALIZABLE"),
    ):
        pass


def test_serializable_async_blocks_run_one_at_a_time_on_one_loop(place: Path) -> None:
    inside: list[int] = []

    async def enter() -> None:
        async with atransaction(
            key="k", store=place, isolation_level="SERIALIZABLE", overwrite=True
        ):
            inside.append(1)
            await asyncio.sleep(0)
            assert sum(inside) == 1
            inside.append(-1)

    async def all_of_them() -> None:
        await asyncio.gather(*(enter() for _ in range(3)))

    asyncio.run(all_of_them())
    assert len(inside) == 6


def test_async_blocks_and_submitted_tasks() -> None:
    ledger = Ledger()

    @flow
    async def f() -> None:
        async with atransaction():
            await ledger.write.submit("a")
            ledger.write("b")

    asyncio.run(f())
    assert ledger.lines == ["did a", "did b", "kept write-0", "kept write-1"]


def test_nothing_is_remembered_under_that_name() -> None:
    with transaction() as txn:
        assert txn.get("x", 3) == 3
        with pytest.raises(ConfigurationError, match="nothing was set under 'x'"):
            txn.get("x")


@pytest.mark.parametrize("value", [[1], {"a": [1]}, threading.Lock(), None])
def test_what_is_remembered_is_the_object_and_no_copy(value: object) -> None:
    with transaction() as outer:
        outer.set("x", value)
        with transaction() as inner:
            assert inner.get("x") is outer.get("x") is value
        outer.set("x", 2)
        assert inner.get("x") == 2


def test_what_is_rolled_back_is_not_found_as_committed(place: Path) -> None:
    ledger = Ledger(cache_policy=INPUTS, result_storage=place)

    def fails(txn: Transaction) -> None:
        raise KeyError("no")

    with pytest.raises(KeyError), transaction(key="load", store=place) as txn:
        ledger.write("a")
        txn.stage(1, on_commit_hooks=[fails])
    assert txn.is_rolled_back()
    assert not list(place.iterdir())
    with transaction(key="load", store=place) as txn:
        assert not txn.is_committed()
        ledger.write("a")
    assert ledger.lines.count("did a") == 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_a_commit_that_is_broken_into_is_undone(place: Path, stop: type[BaseException]) -> None:
    ledger = Ledger()

    def breaks(txn: Transaction) -> None:
        raise stop

    with pytest.raises(stop), transaction(key="load", store=place) as txn:
        ledger.write("a")
        txn.stage(1, on_commit_hooks=[breaks])
    assert txn.is_rolled_back()
    assert ledger.lines == ["did a", "kept " + ledger.lines[1][5:], "undid " + ledger.lines[2][6:]]
    assert not list(place.iterdir())


class Lying(MemoryObjects):
    """Says that it could not be written, though it was."""

    def write_path(self, path: ObjectPath, content: bytes, **options: Any) -> str:
        super().write_path(path, content, **options)
        raise ValueError("who knows")


class Cut(MemoryObjects):
    """Is interrupted when it has written."""

    def write_path(self, path: ObjectPath, content: bytes, **options: Any) -> str:
        super().write_path(path, content, **options)
        raise KeyboardInterrupt


def test_what_is_kept_is_committed_whatever_the_storage_says() -> None:
    undone: list[Transaction] = []
    with transaction(key="load", store=Lying(place="lying")) as txn:
        txn.stage(1, [undone.append])
    assert txn.is_committed()
    with (
        pytest.raises(KeyboardInterrupt),
        transaction(key="load", store=Cut(place="cut")) as txn,
    ):
        txn.stage(1, [undone.append])
    assert txn.is_committed()
    assert not undone


def test_what_was_committed_by_hand_is_not_undone_by_its_block() -> None:
    ledger = Ledger()
    with pytest.raises(ValueError, match="stop"), transaction() as txn:
        ledger.write("a")
        txn.commit()
        raise ValueError("stop")
    assert txn.is_committed()
    assert [line.split()[0] for line in ledger.lines] == ["did", "kept"]


def test_a_transaction_does_not_wait_for_itself() -> None:
    with (
        transaction(key="k", isolation_level="SERIALIZABLE"),
        transaction(),
        transaction(key="other", isolation_level="SERIALIZABLE"),
        pytest.raises(ConfigurationError, match="around it holds the key 'k' already"),
    ):
        transaction(key="k", isolation_level="SERIALIZABLE").__enter__()
    with transaction(key="k", isolation_level="SERIALIZABLE") as again:
        assert again.is_committed()


def test_a_key_is_a_text() -> None:
    with pytest.raises(ConfigurationError, match="5 is not a string"):
        transaction(key=5).__enter__()  # type: ignore[arg-type]


def test_what_was_rolled_back_inside_stays_so(place: Path) -> None:
    ledger = Ledger(cache_policy=INPUTS, result_storage=place)
    with transaction() as outer:
        with transaction(commit_mode="OFF") as inner:
            ledger.write("a")
        ledger.write("b")
    assert (outer.is_committed(), inner.is_rolled_back()) == (True, True)
    assert [line.split()[0] for line in ledger.lines] == ["did", "undid", "did", "kept"]
    assert len([path for path in place.rglob("*") if path.is_file()]) == 1
