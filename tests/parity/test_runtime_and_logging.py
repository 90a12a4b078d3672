"""Facts of the current run, contexts and logs, as people use them; see also `test_runs_tell.py`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from tests.parity.conftest import lines, runs

from flowstone import runtime
from flowstone.errors import MissingContextError
from flowstone.logging import get_run_logger

if TYPE_CHECKING:
    from tests.parity.conftest import Program, Script

FLOW_RUN = (
    "id", "tags", "scheduled_start_time", "name", "flow_name", "flow_version", "parameters",
    "parent_flow_run_id", "parent_deployment_id", "root_flow_run_id", "run_count", "api_url",
    "ui_url", "job_variables",
)  # fmt: skip
TASK_RUN = ("id", "tags", "name", "parameters", "run_count", "task_name", "api_url", "ui_url")
DEPLOYMENT = ("id", "name", "parameters", "version", "flow_run_id")


def test_facts_outside_a_run_are_empty() -> None:
    for facts, names in (
        (runtime.flow_run, FLOW_RUN),
        (runtime.task_run, TASK_RUN),
        (runtime.deployment, DEPLOYMENT),
    ):
        found = {name: getattr(facts, name) for name in names}
        empty = {"tags": [], "parameters": {}, "run_count": 0}
        assert found == {name: empty.get(name) for name in names}


def test_facts_inside_runs(program: Program) -> None:
    made = program("""
        import prefect.runtime
        from prefect import flow, tags, task
        from prefect.runtime import deployment, flow_run, task_run

        seen = {}

        @task(name="Load", retries=1, task_run_name="load-it", tags=["own"])
        def load(table, limit=5):
            seen["task"] = (task_run.name, task_run.task_name, task_run.parameters,
                            sorted(task_run.tags), task_run.run_count, task_run.id)
            seen["around"] = (flow_run.name, flow_run.flow_name)
            if task_run.run_count == 1:
                raise ConnectionError("once")

        @flow(flow_run_name="child-run")
        def child():
            seen["child"] = (flow_run.parent_flow_run_id, flow_run.root_flow_run_id)

        @flow(name="Nightly", version="7", flow_run_name="tonight")
        def nightly(day):
            seen["flow"] = (flow_run.name, flow_run.flow_name, flow_run.flow_version,
                            flow_run.parameters, flow_run.tags, flow_run.run_count)
            seen["id"] = flow_run.id
            seen["deployment"] = deployment.name
            load("users")
            child()

        with tags("prod"):
            nightly("monday")
    """)
    seen = made.seen
    assert seen["flow"] == ("tonight", "Nightly", "7", {"day": "monday"}, ["prod"], 1)
    assert seen["around"] == ("tonight", "Nightly")
    name, task_name, parameters, tags, count, run_id = seen["task"]
    assert (name, task_name, parameters) == ("load-it", "Load", {"table": "users", "limit": 5})
    assert (tags, count) == (["own", "prod"], 2)
    assert run_id == runs("Load")[0].id
    assert seen["child"] == (seen["id"], seen["id"])
    assert seen["deployment"] is None


def test_contexts(program: Program) -> None:
    program("""
        from prefect import flow, task
        from prefect.context import FlowRunContext, TaskRunContext, get_run_context, tags

        @task
        def t(x):
            context = get_run_context()
            assert isinstance(context, TaskRunContext)
            assert context.task.name == "t" and context.parameters == {"x": 1}
            assert FlowRunContext.get().flow.name == "f"
            return context.task_run.name

        @flow
        def f():
            context = get_run_context()
            assert isinstance(context, FlowRunContext)
            assert TaskRunContext.get() is None
            with tags("a") as current:
                assert set(current) == {"a"}
                return context.flow_run.name, t(1)

        assert f()[1] == "t-0"
        assert FlowRunContext.get() is None
        try:
            get_run_context()
        except RuntimeError as error:
            outside = error
        assert outside
    """)


def test_loggers(program: Program, caplog: pytest.LogCaptureFixture) -> None:
    program("""
        from prefect import flow, task
        from prefect.logging import (
            LogEavesdropper, disable_run_logger, get_logger, get_run_logger,
        )

        @task
        def t(): get_run_logger().info("in the %s", "task", extra={"rows": 3})

        @flow
        def f():
            logger = get_run_logger()
            logger.debug("too quiet")
            logger.warning("careful")
            get_logger("my_module").warning("beside the run")
            t()

        with LogEavesdropper("flowstone") as heard:
            f()
        assert "careful" in heard.text() and "in the task" in heard.text()
        with disable_run_logger():
            t.fn()
    """)
    assert lines() == ["careful", "in the task"]
    assert ("flowstone.my_module", logging.WARNING, "beside the run") in caplog.record_tuples
    with pytest.raises(MissingContextError):
        get_run_logger()


def test_a_logger_in_a_hook(program: Program) -> None:
    program("""
        from prefect import flow, get_run_logger, task
        from prefect.logging import flow_run_logger, task_run_logger

        def on_end(flow, flow_run, state):
            flow_run_logger(flow_run, flow).info("%s is %s", flow.name, state.name)

        def on_task_end(task, task_run, state):
            task_run_logger(task_run, task).info("%s is %s", task.name, state.name)

        @task(on_completion=[on_task_end])
        def t(): ...

        @flow(on_completion=[on_end])
        def f(): t()

        f()
    """)
    assert lines() == ["t is Completed", "f is Completed"]


def test_settings_of_logs(script: Script) -> None:
    done = script(
        """
        import logging
        from prefect import flow, get_run_logger

        @flow(log_prints=True)
        def f():
            get_run_logger().debug("fine")
            logging.getLogger("their.library").info("theirs")
            logging.getLogger("other").info("not ours")
            print("printed")

        f()
        """,
        FLOWSTONE_LOGGING_LEVEL="DEBUG",
        FLOWSTONE_LOGGING_EXTRA_LOGGERS="their",
    )
    assert done.returncode == 0, done.stderr
    said = [line.split(" | ")[-1] for line in done.stderr.splitlines()]
    assert [line for line in said if not line.startswith(("began", "ended"))] == [
        "fine", "theirs", "printed",
    ]  # fmt: skip
    assert done.stdout == ""


def test_a_bare_function_is_tested(program: Program) -> None:
    program("""
        from prefect import flow, get_run_logger, task
        from prefect.logging import disable_run_logger

        @task
        def t(x):
            get_run_logger().info("x is %s", x)
            return x + 1

        @flow
        def f(x): return t(x)

        with disable_run_logger():
            assert t.fn(1) == 2
        assert f.fn(1) == 2
    """)
