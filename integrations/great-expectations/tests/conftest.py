"""Orders, some of them invalid; a store for them; and runs of flows in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from great_expectations import expectations as gxe
from great_expectations.data_context.data_context.context_factory import set_context

from flowstone import flow
from flowstone.blocks import LocalDirectory
from flowstone.context import current
from flowstone.records.runs import Run, RunQuery
from flowstone.testing import flowstone_test_harness

if TYPE_CHECKING:
    from pathlib import Path

    from great_expectations.expectations.expectation import Expectation


@pytest.fixture(autouse=True)
def _memory() -> Iterator[None]:
    with flowstone_test_harness():
        yield


@pytest.fixture(autouse=True)
def _no_context() -> Iterator[None]:
    """Each test starts without a current context, like most flows."""
    set_context(None)
    yield
    set_context(None)


@pytest.fixture
def store(tmp_path: Path) -> LocalDirectory:
    (tmp_path / "store").mkdir()
    return LocalDirectory(basepath=tmp_path / "store")


@pytest.fixture
def orders() -> pd.DataFrame:
    """Ten orders: number 3 has no customer, 3 and 7 have a negative price."""
    return pd.DataFrame(
        {
            "id": range(10),
            "customer": ["ann", "bob", "cy", None, "di", "ed", "flo", "gus", "hal", "ida"],
            "price": [1.0, 2.0, 3.0, -4.0, 5.0, 6.0, 7.0, -8.0, 9.0, 10.0],
        }
    )


@pytest.fixture
def expected() -> list[Expectation]:
    """The expectations of the orders, which fail."""
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        gxe.ExpectColumnValuesToNotBeNull(column="customer"),
        gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0),
    ]


def run_in_flow(work: Callable[[], object], **options: Any) -> Run:
    """Do work in a flow and return its run."""

    @flow(**options)
    def main() -> None:
        work()

    main(return_state=True)
    return current.services().runs.runs(RunQuery(listed=True, newest_first=True))[0]


def list_tasks(root: Run) -> list[Run]:
    """Return the task runs of a flow run."""
    current.services().journal.flush()
    tree = current.services().runs.runs(RunQuery(root_id=root.id))
    return [run for run in tree if run.kind == "task"]


def list_facts(root: Run, *kinds: str) -> list[Any]:
    """Return the records of some kinds of a flow run and its tasks."""
    current.services().journal.flush()
    events = current.services().runs.events(0, root_id=root.root_id, kinds=kinds)
    return [event.payload for _, event in events]
