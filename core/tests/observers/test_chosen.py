"""Observers that the settings name, and the one that is built in: a file of facts."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowstone import flow, get_run_logger, task
from flowstone.blocks import Secret
from flowstone.bootstrap import open_services
from flowstone.context.current import use_services
from flowstone.errors import UnknownName
from flowstone.observers.events_file import EventsFile
from flowstone.plugins import get_host
from flowstone.records.encoding import decode_event
from flowstone.records.events import make_birth_event
from flowstone.settings import Settings, read_settings
from flowstone_testing.conformance.samples import child_run, line, root_run

if TYPE_CHECKING:
    from flowstone.records.events import Event


def settings(home: Path, *observers: str, **more: Any) -> Settings:
    return Settings(home=home, store="sqlite", observers=observers or ("events-file",), **more)


@task
def work(text: str) -> str:
    get_run_logger().warning("working on %s", text)
    raise ConnectionError(f"cannot log in with {text}")


@flow(flow_run_name="run-of-{text}")
def careless(text: str) -> None:
    work.submit(text).result()


@flow
def hello() -> str:
    return "hello"


def read(path: Path) -> list[Event]:
    return [decode_event(json.loads(text)) for text in path.read_text().splitlines()]


def test_the_events_file_is_what_the_store_has(tmp_path: Path) -> None:
    services = open_services(settings(tmp_path))
    with use_services(services), closing(services):
        hello()
        hello()
        kept = [event for _, event in services.runs.events()]
    assert read(tmp_path / "events.jsonl") == kept
    assert (tmp_path / "events.jsonl").stat().st_mode & 0o777 == 0o600


def test_it_is_where_the_settings_say(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "facts.jsonl"
    environ = {
        "FLOWSTONE_HOME": str(tmp_path),
        "FLOWSTONE_OBSERVERS": "events-file, events-file",
        "FLOWSTONE_OBSERVERS_EVENTS_FILE": str(path),
    }
    services = open_services(read_settings(environ))
    with use_services(services), closing(services):
        hello()
    assert [event.kind for event in read(path)] == [
        "FlowRunStarted", "LogWritten", "LogWritten", "FlowRunCompleted",
    ]  # fmt: skip


def test_canaries_are_not_in_the_file(tmp_path: Path) -> None:
    canary = f"canary'{secrets.token_hex(8)}\u00e4\n\"x"
    Secret(value=canary)
    services = open_services(settings(tmp_path))
    with use_services(services), closing(services), pytest.raises(ConnectionError):
        careless(canary)
    text = (tmp_path / "events.jsonl").read_text()
    assert "canary" not in text
    for wanted in ("working on ********", "cannot log in with ********", "run-of-********"):
        assert wanted in text


def test_an_unknown_name_is_told_with_near_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"an observer named 'event-file'. Did you mean") as it:
        open_services(settings(tmp_path, "event-file"))
    assert "events-file" in str(it.value)


WRITES = """
import sys
from pathlib import Path
from flowstone.observers.events_file import EventsFile
from flowstone.settings import Settings
from flowstone_testing.conformance.samples import line, root_run

file, root = EventsFile(Settings(home=Path(sys.argv[1])), largest=500_000), root_run()
for _ in range(20):
    file.observe([line(root, "x" * 1000) for _ in range(10)])
"""


def test_many_processes_write_one_file(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", WRITES, str(tmp_path)]
    processes = [subprocess.Popen(argv) for _ in range(3)]
    assert [process.wait(300) for process in processes] == [0, 0, 0]
    path = tmp_path / "events.jsonl"
    assert len(read(tmp_path / "events.jsonl.1")) + len(read(path)) == 3 * 20 * 10


def test_a_large_file_is_put_aside(tmp_path: Path) -> None:
    file = EventsFile(Settings(home=tmp_path), largest=3000)
    root = root_run()
    events = [
        make_birth_event(root),
        *(make_birth_event(child_run(root, f"child-{n}")) for n in range(30)),
    ]
    for event in events:
        file.observe([event])
    file.observe([line(root, "x" * 9000)])
    path = tmp_path / "events.jsonl"
    old = read(tmp_path / "events.jsonl.1")
    assert len(read(path)) == 1
    assert old == events[-len(old) :]
    assert sorted(found.name for found in tmp_path.iterdir()) == [path.name, f"{path.name}.1"]


def test_it_comes_in_by_the_door_of_plugins() -> None:
    offer = get_host().offer("observer", "events-file")
    assert offer.plugin.distribution == "flowstone"
    assert get_host().load("observer", "events-file") is EventsFile
