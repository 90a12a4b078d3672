"""How lines of logs are shown: coloured by level, or as JSON."""

from __future__ import annotations

import io
import json
import logging
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING, Any

import pytest

from flowstone import flow, get_run_logger, task
from flowstone.logging import JsonFormatter, run_logger
from flowstone.logging.formatting import LineFormatter
from flowstone.records.redaction import MASK, register
from flowstone.settings import wants_color

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("flowstone_services")

CANARY = "json-canary-51ab77"


@contextmanager
def json_lines() -> Iterator[list[dict[str, Any]]]:
    """Collect what a program without logging of its own writes to standard error."""
    root, stream, lines = logging.getLogger(), io.StringIO(), list[dict[str, Any]]()
    handlers, root.handlers[:] = root.handlers[:], []  # pytest has some
    run_logger.configure("DEBUG", as_json=True)
    try:
        with redirect_stderr(stream):
            yield lines
    finally:
        run_logger.configure("INFO")
        root.handlers[:] = handlers
        lines += map(json.loads, stream.getvalue().splitlines())


@task(task_run_name="loads-{number}")
def load(number: int, token: str = "") -> int:
    get_run_logger().info("row %d\nof %s", number, token, extra={"token": {token: [token]}})
    if number > 1:
        raise ValueError(f"refused with {token}")
    return number


@flow(flow_run_name="nightly")
def etl(token: str) -> None:
    load(1, token)
    load(2, token, return_state=True)


def test_json_lines_name_the_run_and_mask_secrets() -> None:
    several = f'with "quotes" {CANARY}\nand lines'
    register(CANARY)
    register(several)
    with json_lines() as lines:
        etl(several)
        etl(CANARY)
    said = next(line for line in lines if line["message"].startswith("row 1"))
    assert said["level"] == "INFO"
    assert said["logger"] == "flowstone.runs"
    assert said["message"] == f"row 1\nof {MASK}"
    assert said["fields"] == {"token": {MASK: [MASK]}}
    assert said["time"].endswith("Z")
    names = {key: said[key] for key in ("flow_run_name", "flow_name", "task_run_name", "task_name")}
    assert names == {
        "flow_run_name": "nightly",
        "flow_name": "etl",
        "task_run_name": "loads-1",
        "task_name": "load",
    }
    assert said["run_id"] == said["task_run_id"] != said["flow_run_id"]
    began = lines[0]
    assert began["message"] == "began: a run of flow 'etl'"
    assert began["run_id"] == began["flow_run_id"]
    assert "task_run_id" not in began
    failed = next(line for line in lines if line["level"] == "ERROR")
    assert failed["message"] == f"ended Failed: ValueError: refused with {MASK}"
    assert failed["traceback"].endswith(f"ValueError: refused with {MASK}")
    assert CANARY not in str(lines)


def test_the_formatter_serves_other_handlers() -> None:
    register(CANARY)
    record = logging.makeLogRecord(
        {
            "name": "mine",
            "msg": f"%s {CANARY}",
            "args": ("ünï",),
            "levelno": 30,
            "levelname": "WARNING",
            "rows": float("nan"),
            "other": object,
        }
    )
    said = json.loads(JsonFormatter().format(record), parse_constant=pytest.fail)
    assert said["message"] == f"ünï {MASK}"
    assert said["fields"]["rows"] == "nan"
    assert "run_id" not in said
    record.args = ("too", "many")
    assert "can't be formatted" in json.loads(JsonFormatter().format(record))["message"]


@pytest.mark.parametrize(
    ("level", "code"),
    [(5, "2"), (10, "2"), (20, "32"), (30, "33"), (35, "33"), (40, "31"), (50, "1;31")],
)
def test_a_level_has_its_colour(level: int, code: str) -> None:
    record = logging.makeLogRecord(
        {"msg": "text", "levelno": level, "levelname": logging.getLevelName(level)}
    )
    assert f"\x1b[{code}m{record.levelname}" in LineFormatter(colors=True).format(record)
    assert "\x1b" not in LineFormatter().format(record)


def test_the_environment_may_want_no_colour() -> None:
    assert wants_color({"TERM": "xterm"})
    assert wants_color({"NO_COLOR": ""})
    assert not wants_color({"NO_COLOR": "1"})
    assert not wants_color({"TERM": "dumb"})
