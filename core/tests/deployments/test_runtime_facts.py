from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flowstone.context.runtime import deployment, flow_run
from flowstone.deployments import run_deployment
from flowstone.deployments.documents import load_deployment, save_deployment
from flowstone.flow_runs.executions import execute_scheduled_run

from .flows import say_where

if TYPE_CHECKING:
    from flowstone.context.current import Services


def test_a_run_knows_its_deployment(services: Services) -> None:
    save_deployment(say_where.to_deployment("x", parameters={"who": "Ann"}, version="7"))
    due = datetime(2026, 3, 1, tzinfo=UTC)
    run = run_deployment("x", {"who": "Bob"}, scheduled_time=due, timeout=0)
    assert execute_scheduled_run(run.id).result() == {
        "id": load_deployment("x").id,
        "name": "x",
        "version": "7",
        "parameters": {"who": "Ann"},
        "flow_run_id": run.id,
        "due": due,
    }


def test_a_run_that_was_called_has_none(services: Services) -> None:
    found = say_where("Ann")
    assert (found["id"], found["name"], found["version"]) == (None, None, None)
    assert (found["parameters"], found["flow_run_id"]) == ({}, None)
    assert (deployment.name, flow_run.id) == (None, None)
