"""dbt's results of nodes: each status is one state, and names are those of the project."""

from __future__ import annotations

import pytest

from flowstone.states import StateType
from flowstone_dbt import NodeResult
from flowstone_dbt.nodes import read_freshness, read_result, read_time

STATES = {
    "success": (StateType.COMPLETED, "Completed"),
    "pass": (StateType.COMPLETED, "Completed"),
    "no-op": (StateType.COMPLETED, "Completed"),
    "warn": (StateType.COMPLETED, "Warning"),
    "reused": (StateType.COMPLETED, "Cached"),
    "error": (StateType.FAILED, "Failed"),
    "fail": (StateType.FAILED, "Failed"),
    "runtime error": (StateType.FAILED, "Failed"),
    "partial success": (StateType.FAILED, "Failed"),
    "skipped": (StateType.CANCELLED, "Skipped"),
    "a status of tomorrow": (StateType.FAILED, "Failed"),
}


@pytest.mark.parametrize("status", STATES)
def test_each_status_is_one_state(status: str) -> None:
    node = NodeResult("model.shop.orders", status)
    state = node.make_state()
    assert (state.type, state.name) == STATES[status]
    assert node.succeeded == (state.type is StateType.COMPLETED)
    assert node.failed == (state.type is StateType.FAILED)


@pytest.mark.parametrize(
    ("unique_id", "name"),
    [
        ("model.shop.orders", "orders"),
        ("model.shop.orders.v2", "orders.v2"),
        ("test.shop.unique_orders_id.fed79b3a6e", "unique_orders_id"),
        ("test.shop.prices", "prices"),
        ("source.shop.raw.orders", "raw.orders"),
        ("unit_test.shop.orders.cheap_ones", "orders.cheap_ones"),
        ("operation.shop.shop-on-run-end-0", "shop-on-run-end-0"),
    ],
)
def test_a_node_is_called_as_in_the_project(unique_id: str, name: str) -> None:
    assert NodeResult(unique_id, "success").name == name


def test_rows_that_failed_are_told_once() -> None:
    told = NodeResult("test.shop.prices", "fail", "Got 2 results, configured to fail if != 0", 2)
    assert told.describe() == "test 'prices': Got 2 results, configured to fail if != 0"
    assert NodeResult("test.shop.prices", "fail", None, 1).explain() == "1 row failed"
    assert NodeResult("operation.shop.hook", "error", "no", 1).explain() == "no"


def test_what_the_adapter_counts_is_measured() -> None:
    answer = {"rows_affected": 3, "bytes_billed": 10, "code": "SELECT", "slot_ms": -1}
    node = NodeResult("model.shop.orders", "success", adapter_response=answer)
    assert node.make_measures() == {"rows_affected": 3.0, "bytes_billed": 10.0}


def test_times_are_utc_and_from_the_first_step_to_the_last() -> None:
    node = read_result(
        {
            "unique_id": "model.shop.orders",
            "status": "success",
            "timing": [
                {"started_at": "2026-01-31T00:00:01Z", "completed_at": "2026-01-31T00:00:02Z"},
                {"started_at": "2026-01-31T00:00:02", "completed_at": "2026-01-31T00:00:04.5"},
            ],
        }
    )
    assert node.seconds == 3.5
    assert read_time(None) is None
    assert NodeResult("model.shop.orders", "skipped").seconds is None


def test_the_age_of_a_source_is_told() -> None:
    found = {"unique_id": "source.shop.raw.old", "max_loaded_at_time_ago_in_s": 90_000.0}
    node = read_freshness({**found, "status": "error"})
    assert node.describe() == "source 'raw.old': last loaded 90,000 s ago"
    broken = read_freshness({**found, "status": "runtime error", "error": "no such table"})
    assert (broken.failed, broken.message) == (True, "no such table")
