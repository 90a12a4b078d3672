"""A request to cancel, written by another process, ends a run within two seconds."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from flowstone import flow, suspend_flow_run, task
from flowstone.context.current import Services, use_services
from flowstone.errors import CancelSignal, Conflict, NotPausable, RunNotFound
from flowstone.ports import RunStore
from flowstone.records.events import make_change_event
from flowstone.records.runs import Run, RunQuery
from flowstone.states import Cancelling
from flowstone.stores.sqlite import open_sqlite
from flowstone.testing import flowstone_test_harness

SCRIPT = """
import asyncio, sys, threading, time
from flowstone import flow, task

@task
def spin():
    end = time.time() + 60
    while time.time() < end:
        time.sleep(0.01)

@flow
def sleeps():
    print("up", flush=True)
    time.sleep(60)

@flow
def waits():
    future = spin.submit()
    print("up", flush=True)
    future.result()

@flow(retries=3, retry_delay_seconds=60)
def retries():
    print("up", flush=True)
    raise ValueError("again")

@flow
async def awaits():
    print("up", flush=True)
    await asyncio.sleep(60)

@task(retries=1, retry_delay_seconds=60)
def fails():
    print("up", flush=True)
    raise ValueError("again")

@flow
def delays():
    fails.submit().result()

@task
def blocks():
    print("up", flush=True)
    time.sleep(60)

@flow
def holds():
    blocks.submit().result()

@flow
async def holds_up():
    blocks.submit().result()

@flow
async def holds_up_a_part():
    await asyncio.gather(part(), asyncio.sleep(60))

@task
async def part():
    print("up", flush=True)
    time.sleep(60)

@flow
def stubborn():
    print("up", flush=True)
    while True:
        try:
            time.sleep(60)
        except Exception:
            pass

chosen = globals()[sys.argv[1]]
if asyncio.iscoroutinefunction(chosen.fn):
    asyncio.run(chosen())
else:
    chosen()
"""


@contextmanager
def running(home: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, name],
        env={**os.environ, "FLOWSTONE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        yield child
    finally:
        child.kill()
        child.communicate()


def ask_to_cancel(store: RunStore) -> None:
    """Ask as the command line does: again, where the run has moved meanwhile."""
    while True:
        [run] = store.runs(RunQuery(listed=True))
        with suppress(Conflict):
            store.record(make_change_event(run, Cancelling("asked by a test"), run.attempt))
            return


HELD = ["holds", "holds_up", "holds_up_a_part", "delays"]


@pytest.mark.parametrize("name", ["sleeps", "waits", "retries", "awaits", "stubborn", *HELD])
def test_a_run_of_another_process_is_cancelled(tmp_path: Path, name: str) -> None:
    with running(tmp_path, name) as child:
        store = open_sqlite(tmp_path / "flowstone.db")
        ask_to_cancel(store)
        _, errors = child.communicate(timeout=300)
        assert child.returncode != 0
        ends = {found.unit: found.state.name for found in store.runs(RunQuery())}
        assert ends.pop(name.replace("_", "-")) == "Cancelled", errors
        assert set(ends.values()) <= {"Cancelled"}
        [again] = store.runs(RunQuery(listed=True))
        assert again.state.message == "asked by a test"
        store.close()


def test_what_waits_for_its_next_attempt_on_a_thread_is_woken(tmp_path: Path) -> None:
    with running(tmp_path, "delays") as child:
        store = open_sqlite(tmp_path / "flowstone.db")
        ask_to_cancel(store)
        child.communicate(timeout=300)
        reasons = {found.unit: found.state.message for found in store.runs(RunQuery())}
        assert reasons["fails"] == "its flow run was cancelled"
        store.close()


def test_what_could_not_be_stopped_is_said(tmp_path: Path) -> None:
    with running(tmp_path, "holds") as child:
        store = open_sqlite(tmp_path / "flowstone.db")
        ask_to_cancel(store)
        _, errors = child.communicate(timeout=300)
        assert (
            "a submitted task could not be stopped; further output is discarded: blocks-0" in errors
        )
        store.close()


def cancel(services: Services) -> None:
    [run] = services.runs.runs(RunQuery(listed=True))
    services.runs.record(make_change_event(run, Cancelling(), run.attempt))


def test_a_run_on_another_thread_is_cancelled(services: Services) -> None:
    ends: list[Run] = []

    @task
    def spin() -> None:
        while True:
            threading.Event().wait(0.01)

    @flow
    def f() -> None:
        cancel(services)
        spin()

    def drive() -> None:
        try:
            f()
        except BaseException:
            ends.extend(services.runs.runs(RunQuery()))

    thread = threading.Thread(target=drive)
    thread.start()
    thread.join(300)
    assert [run.state.name for run in ends] == ["Cancelled", "Cancelled"]


def test_a_request_that_comes_with_the_end_does_not_hide_the_end(services: Services) -> None:
    @flow
    def f() -> int:
        cancel(services)
        return 5

    with pytest.raises(CancelSignal):
        f()
    [run] = services.runs.runs(RunQuery())
    assert run.state.name == "Completed"


def test_facts_that_were_waiting_are_kept_under_the_request(services: Services) -> None:
    @task
    def quick() -> None: ...

    @flow
    async def f() -> None:
        quick()
        cancel(services)
        quick()
        services.journal.flush()
        await asyncio.sleep(60)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(f())
    assert [run.state.name for run in services.runs.runs(RunQuery())] == [
        "Cancelled", "Completed", "Completed",
    ]  # fmt: skip


SUSPENDED = SCRIPT.replace("chosen()\n", "chosen(return_state=True)\n").replace(
    "asyncio.run(chosen())", "asyncio.run(chosen(return_state=True))"
)


@pytest.mark.parametrize("name", ["sleeps", "waits", "retries", "awaits", "stubborn"])
def test_a_run_of_another_process_suspends_itself(tmp_path: Path, name: str) -> None:
    """What was submitted may finish first, so `waits` is cut down to a short task."""
    script = tmp_path / "program.py"
    script.write_text(SUSPENDED.replace("time.time() + 60", "time.time() + 3"))
    child = subprocess.Popen(
        [sys.executable, str(script), name],
        env={**os.environ, "FLOWSTONE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    store = open_sqlite(tmp_path / "flowstone.db")
    with memory_of(store):
        [run] = store.runs(RunQuery(listed=True))
        suspend_flow_run(flow_run_id=run.id)
        suspend_flow_run(flow_run_id=run.id)  # once more does no harm
        _, errors = child.communicate(timeout=300)
        after = store.run(run.id)
        assert (after.state.name, after.lease) == ("Suspended", None), errors
        assert child.returncode == 0
    later = open_sqlite(tmp_path / "flowstone.db", now=lambda: after.created + 1e9)
    assert later.reap() == []
    later.close()
    store.close()


def test_only_what_goes_on_is_asked_to_suspend_itself(services: Services) -> None:
    with pytest.raises(RunNotFound):
        suspend_flow_run(flow_run_id="no-such-run")
    done()
    [run] = services.runs.runs(RunQuery())
    with pytest.raises(NotPausable, match="it is Completed"):
        suspend_flow_run(flow_run_id=run.id)


@flow
def done() -> None: ...


@contextmanager
def memory_of(store: RunStore) -> Iterator[Services]:
    """Make another process's store the current one."""
    with flowstone_test_harness() as harness, use_services(replace(harness, runs=store)) as current:
        yield current
