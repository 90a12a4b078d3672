"""Transactions, as people write them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.parity.conftest import lines

from flowstone.transactions import CommitMode, IsolationLevel, TransactionState

if TYPE_CHECKING:
    from tests.parity.conftest import Program, Script


def test_a_failure_undoes_what_was_done_before(program: Program) -> None:
    program("""
        import os
        from prefect import flow, task
        from prefect.transactions import transaction

        @task
        def write_file(name, contents):
            with open(name, "w") as file:
                file.write(contents)

        @write_file.on_rollback
        def remove_file(txn):
            os.unlink(txn.get("name"))

        @task
        def quality_test(name):
            with open(name) as file:
                if len(file.readlines()) < 2:
                    raise ValueError("Not enough data!")

        @flow
        def pipeline(contents):
            with transaction() as txn:
                txn.set("name", "side-effect.txt")
                write_file("side-effect.txt", contents)
                quality_test("side-effect.txt")

        assert pipeline("one line", return_state=True).is_failed()
        assert not os.path.exists("side-effect.txt")
        pipeline("two\\nlines")
        assert os.path.exists("side-effect.txt")
    """)


def test_commits(program: Program) -> None:
    made = program("""
        from prefect import flow, task
        from prefect.transactions import get_transaction, transaction

        order = []

        @task
        def work(name):
            order.append(name)

        @work.on_commit
        def kept(txn): order.append("kept")

        @flow
        def f():
            assert get_transaction() is None
            with transaction() as outer:
                assert outer.is_active() and get_transaction() is outer
                work("a")
                with transaction() as inner:
                    assert inner.parent is outer
                    work("b")
                assert not inner.is_committed()
            assert outer.is_committed() and inner.is_committed()

        f()
    """)
    assert made.order == ["a", "b", "kept", "kept"]


@pytest.mark.parametrize(
    ("mode", "order"), [("EAGER", "work kept end"), ("LAZY", "work end kept"), ("OFF", "work end")]
)
def test_commit_modes(program: Program, mode: str, order: str) -> None:
    made = program(f"""
        from prefect import task
        from prefect.transactions import CommitMode, transaction

        order = []

        @task
        def work(): order.append("work")

        @work.on_commit
        def kept(txn): order.append("kept")

        with transaction():
            with transaction(commit_mode=CommitMode.{mode}):
                work()
            order.append("end")
    """)
    assert " ".join(made.order) == order


def test_a_key_makes_it_happen_once(script: Script) -> None:
    text = """
        from prefect import flow, task
        from prefect.transactions import transaction

        @task
        def download(): return "data"

        @flow
        def pipeline(key):
            with transaction(key=key) as txn:
                if txn.is_committed():
                    print("was written before:", txn.read())
                    return
                txn.stage(download())
                print("written")

        pipeline("the-file")
    """
    assert script(text).stdout == "written\n"
    assert script(text).stdout == "was written before: data\n"


def test_one_at_a_time(program: Program) -> None:
    made = program("""
        import threading
        from pathlib import Path
        from prefect import flow, task
        from prefect.locking.memory import MemoryLockManager
        from prefect.transactions import IsolationLevel, transaction

        winners = []
        locks = MemoryLockManager()

        @task
        def download(): return threading.current_thread().name

        @flow
        def pipeline(key):
            with transaction(key=key, isolation_level=IsolationLevel.SERIALIZABLE,
                             store=Path("kept"), lock_manager=locks) as txn:
                if txn.is_committed():
                    return
                data = download()
                winners.append(data)

        threads = [threading.Thread(target=pipeline, args=["race"]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
    """)
    assert len(made.winners) == 1


def test_values_hooks_and_states(program: Program) -> None:
    made = program("""
        from pathlib import Path
        from prefect.transactions import Transaction, transaction

        seen = []

        def commit_hook(txn: Transaction): seen.append("commit")
        def rollback_hook(txn: Transaction): seen.append("rollback")

        with transaction() as outer:
            outer.set("shared", 1)
            with transaction() as inner:
                assert inner.get("shared") == 1
                assert inner.get("missing", None) is None
                inner.stage("v", on_commit_hooks=[commit_hook], on_rollback_hooks=[rollback_hook])
                assert inner.is_staged()
        try:
            with transaction() as failed:
                failed.stage("v", [rollback_hook], [commit_hook])
                raise KeyError
        except KeyError:
            pass
        with transaction() as by_hand:
            by_hand.stage(1)
            assert by_hand.commit() and not by_hand.commit()
        with transaction(key="k", store=Path("kept")) as first:
            first.stage("one")
        with transaction(key="k", store=Path("kept"), overwrite=True) as second:
            assert not second.is_committed()
            second.stage("two")
        with transaction(key="k", store=Path("kept")) as third:
            value = third.read()
        with transaction(key="n", store=Path("kept"), write_on_commit=False) as unwritten:
            unwritten.stage(1)
        with transaction(key="n", store=Path("kept")) as again:
            nothing = again.read()
    """)
    assert made.seen == ["commit", "rollback"]
    assert made.failed.is_rolled_back()
    assert made.outer.is_committed()
    assert (made.value, made.nothing) == ("two", None)


def test_tasks_find_the_transaction_around_them(program: Program) -> None:
    made = program("""
        from prefect import flow, task
        from prefect.transactions import get_transaction, transaction

        seen = []

        @task
        def read(): return get_transaction().get("rows")

        @task
        def write():
            get_transaction().set("path", "out.csv")

        @write.on_rollback
        def undo(txn): seen.append(txn.get("path"))

        @flow
        def f():
            with transaction() as txn:
                txn.set("rows", 3)
                write()
                seen.append((read(), read.submit().result()))
                raise ValueError

        f(return_state=True)
    """)
    assert made.seen == [(3, 3), "out.csv"]


def test_async_blocks(program: Program) -> None:
    made = program("""
        from prefect import flow, task
        from prefect.transactions import atransaction

        seen = []

        @task
        async def work(x): return x

        @work.on_rollback
        def undo(txn): seen.append("undone")

        @flow
        async def f():
            async with atransaction() as txn:
                txn.set("a", 1)
                await work(1)
                raise ValueError("no")
    """)
    assert asyncio.run(made.f(return_state=True)).is_failed()
    assert made.seen == ["undone"]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("block", ["with transaction()", "async with atransaction()"])
def test_async_hooks_on_a_loop(program: Program, block: str, fails: bool) -> None:
    """An async block awaits them on its own loop, so that they can use what lives there."""
    made = program(f"""
        import asyncio
        from prefect import flow, task
        from prefect.transactions import atransaction, transaction

        seen, loops = [], set()

        @task
        async def work():
            loops.add(asyncio.get_running_loop())

        @work.on_commit
        async def keep(txn):
            await asyncio.sleep(0)
            loops.add(asyncio.get_running_loop())
            seen.append("kept")

        @work.on_rollback
        async def undo(txn):
            await asyncio.sleep(0)
            loops.add(asyncio.get_running_loop())
            seen.append("undone")

        @flow
        async def f():
            {block}:
                await work()
                if {fails}:
                    raise ValueError("no")
    """)
    assert asyncio.run(made.f(return_state=True)).is_failed() is fails
    assert made.seen == ["undone" if fails else "kept"]
    assert len(made.loops) == (1 if block.startswith("async") else 2)


def test_an_async_hook_of_a_task_alone(program: Program) -> None:
    made = program("""
        from prefect import task

        seen = []

        @task
        async def work(): return 1

        @work.on_commit
        async def keep(txn): seen.append("kept")
    """)
    assert asyncio.run(made.work()) == 1
    assert made.seen == ["kept"]


def test_a_result_store_says_where_and_what_locks(program: Program) -> None:
    made = program("""
        import threading
        from pathlib import Path
        from prefect import flow, task
        from prefect.locking.memory import MemoryLockManager
        from prefect.results import ResultStore
        from prefect.transactions import IsolationLevel, transaction

        winners = []

        @task
        def download():
            return threading.current_thread().name

        @flow
        def pipeline(store):
            with transaction(
                key="race", isolation_level=IsolationLevel.SERIALIZABLE, store=store
            ) as txn:
                if txn.is_committed():
                    return txn.read()
                winners.append(download())
                txn.stage(winners[0])

        store = ResultStore(
            result_storage=Path("kept"), serializer="json", lock_manager=MemoryLockManager()
        )
        threads = [threading.Thread(target=pipeline, args=(store,), name=n) for n in "ab"]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        value = pipeline(store)
        files = [path.name for path in Path("kept").iterdir()]
        content = Path("kept/race").read_text().splitlines()[-1]
    """)
    assert made.winners == [made.value]
    assert made.files == ["race"]
    assert made.content == f'"{made.value}"'


def test_a_transaction_keeps_its_value_where_its_flow_does(program: Program) -> None:
    made = program("""
        from pathlib import Path
        from prefect import flow
        from prefect.results import get_result_store
        from prefect.transactions import transaction

        @flow(result_storage=Path("results").absolute(), result_serializer="json")
        def f():
            with transaction(key="mine") as txn:
                txn.stage([1])
            stores.append(get_result_store())

        stores = []
        f()
        names = {path.name for path in Path("results").iterdir()}
        outside = get_result_store()
    """)
    assert "mine" in made.names
    (store,) = made.stores
    assert store.result_storage.name == "results"
    assert (store.serializer, made.outside.result_storage) == ("json", None)


@pytest.mark.parametrize("key", ["../out", "day\n1", "x" * 3000])
def test_any_text_is_a_key(program: Program, key: str) -> None:
    made = program(
        """
        from pathlib import Path
        from prefect.transactions import transaction

        def once():
            with transaction(key=key, store=Path("a/kept")) as txn:
                if txn.is_committed():
                    return txn.read()
                txn.stage(1)

        values = once(), once()
        files = [path.parent.name for path in Path("a").rglob("*") if path.is_file()]
        """,
        key=key,
    )
    assert made.values == (None, 1)
    assert made.files == ["kept"]


def test_a_failing_commit_hook_undoes_all(program: Program) -> None:
    """Better on purpose: elsewhere it is logged, and what was half committed stays."""
    made = program("""
        from prefect import flow, task
        from prefect.transactions import transaction

        seen = []

        @task
        def work(): ...

        @work.on_commit
        def broken(txn): raise OSError("disk full")

        @work.on_rollback
        def undo(txn): seen.append("undone")

        @flow
        def f():
            with transaction():
                work()

        state = f(return_state=True)
    """)
    assert made.state.message == "OSError: disk full"
    assert made.seen == ["undone"]


def test_a_failing_rollback_hook_is_logged(program: Program) -> None:
    program("""
        from prefect import flow, task
        from prefect.transactions import transaction

        @task
        def work(): ...

        @work.on_rollback
        def broken(txn): raise OSError("disk full")

        @flow
        def f():
            with transaction():
                work()
                raise KeyError("k")

        f(return_state=True)
    """)
    assert any("disk full" in line for line in lines())


def test_names_of_modes_levels_and_states() -> None:
    assert {mode.name for mode in CommitMode} == {"EAGER", "LAZY", "OFF"}
    assert {level.name for level in IsolationLevel} == {"READ_COMMITTED", "SERIALIZABLE"}
    assert {state.name for state in TransactionState} == {
        "PENDING", "ACTIVE", "STAGED", "COMMITTED", "ROLLED_BACK",
    }  # fmt: skip
