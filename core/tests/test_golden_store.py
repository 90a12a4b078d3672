"""A store that was written before the core's modules were laid out anew: all of it still loads.

It was written by the code of that time from `golden_store/flows.py`: runs, logs, artifacts and
documents are in `flowstone.db.sql`, and what the runs have kept, by every serializer, in `storage`.
"""

from __future__ import annotations

import platform
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from flowstone import resume_flow_run
from flowstone.blocks import (
    Block,
    Check,
    LocalDirectory,
    Note,
    ObjectInfo,
    Report,
    Secret,
    SecretDict,
    Variable,
)
from flowstone.blocks.jobs.provider import JobStatus
from flowstone.bootstrap import open_services
from flowstone.cli.app import flowstone
from flowstone.context.current import Services, use_services
from flowstone.errors import MissingResult, ObjectNotFound
from flowstone.records.events import Event, LogLine
from flowstone.records.limits import Limit
from flowstone.records.runs import Run, RunQuery
from flowstone.results.policies import INPUTS, TASK_SOURCE
from flowstone.results.result_store import ResultFiles
from flowstone.serializers import AutomaticSerializer
from flowstone.serializers.moves import MODULES, NAMES
from flowstone.settings import Settings
from flowstone.states import StateType

from .golden_store.flows import VALUES, OldLogin, Parcel

#: Distributions of their own now.
ELSEWHERE = {"flowstone_duckdb.database", "flowstone_email.notifier", "flowstone_slack.notifier"}
GOLDEN = Path(__file__).parent / "golden_store"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Restore the store; what is pickled in it says that this Python has written it."""
    with closing(sqlite3.connect(tmp_path / "flowstone.db")) as database:
        database.executescript((GOLDEN / "flowstone.db.sql").read_text("utf-8"))
    shutil.copytree(GOLDEN / "storage", tmp_path / "storage")
    ours = ".".join(platform.python_version_tuple()[:2])
    for file in (tmp_path / "storage").iterdir():
        content = file.read_bytes()
        file.write_bytes(content.replace(b'"python":"3.11"', f'"python":"{ours}"'.encode(), 1))
    return tmp_path


@pytest.fixture
def golden(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.setenv("GOLDEN_PASSWORD", "what the reference leads to")
    settings = Settings(home=home, secret_key="the key of the golden store")
    services = open_services(settings)
    with use_services(services), closing(services):
        yield services


def kept(services: Services, key: str) -> Any:
    """Return what a run has kept by a key."""
    storage = LocalDirectory(basepath=str(services.settings.home / "storage"))
    return ResultFiles(storage, AutomaticSerializer(), services).read_value(key, key)


def show(*arguments: str) -> str:
    done = CliRunner().invoke(flowstone, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_runs_and_what_belongs_to_them_are_shown(golden: Services) -> None:
    listed = show("run", "ls")
    for flow, state in (
        ("keeps", "Completed"),
        ("fails", "Failed"),
        ("waits", "Suspended"),
        ("packs", "Completed"),
    ):
        assert any(flow in line and state in line for line in listed.splitlines())
    run = next(run for run in golden.runs.runs(RunQuery()) if run.unit == "keeps")
    assert "keep-compressed-json-gzip" in show("run", "show", run.id)
    assert "all are kept" in show("run", "logs", run.id)
    assert "serializers" in show("artifact", "ls")
    assert "What was kept." in show("artifact", "show", "report")
    assert "gpu" in show("limit", "ls")


@pytest.mark.parametrize("name", VALUES)
def test_results_of_each_serializer_are_read(golden: Services, name: str) -> None:
    assert kept(golden, name.replace("/", "-")) == VALUES[name]


@pytest.mark.parametrize("name", ["arrow", "parquet"])
def test_tables_are_read(golden: Services, name: str) -> None:
    pytest.importorskip("pyarrow")
    assert kept(golden, name).to_pydict() == {"n": [1, 2]}


def assert_is_the_login(login: Block) -> None:
    assert isinstance(login, OldLogin)
    assert login.password == SecretStr("sealed-password")
    assert login.pin is not None
    assert login.pin.get_secret_value() == b"sealed-pin"
    assert login.by_reference is not None
    assert repr(login.by_reference) == "SecretStr('env:GOLDEN_PASSWORD')"
    assert login.by_reference.get_secret_value() == "what the reference leads to"
    assert login.looks_like_a_reference is not None
    assert login.looks_like_a_reference.get_secret_value() == "env:NOTHING"
    assert isinstance(login.table, SecretDict)
    table = {"clear": "sealed-in-table", "referred": "what the reference leads to"}
    assert login.table.get_secret_value() == {**table, "deep": {"n": 5}}
    assert [each.get_secret_value() for each in login.many] == [
        "sealed-of-many",
        "what the reference leads to",
    ]
    assert login.shared == Secret(value="shared and sealed")


def test_documents_are_loaded(golden: Services) -> None:
    assert_is_the_login(Block.load("old-login/login"))
    assert Block.load("local-directory/raw") == LocalDirectory(basepath="/nowhere")
    assert Variable.load("rows") == Variable("rows", {"limit": 5}, ("golden",))
    assert "env:GOLDEN_PASSWORD" in show("block", "show", "old-login/login")
    before = golden.documents.get("block:old-login", "login").body["fields"]["by_reference"]
    OldLogin.load("login").save("login", overwrite=True)
    after = golden.documents.get("block:old-login", "login").body["fields"]["by_reference"]
    assert before == after
    assert_is_the_login(Block.load("old-login/login"))


def test_a_pickle_finds_what_has_moved(golden: Services) -> None:
    parcel = kept(golden, "parcel")
    assert isinstance(parcel, Parcel)
    things = parcel.things
    secret, directory, login = things["blocks"]
    assert (secret.get(), directory) == ({"a": 1}, LocalDirectory(basepath="/nowhere"))
    assert_is_the_login(login)
    assert things["masked"] == [
        SecretStr("sealed-password"),
        login.pin,
        SecretDict({"a": "sealed-alone"}),
        login.looks_like_a_reference,
    ]
    assert things["references"] == [login.by_reference, login.table]
    reference, table = (each.get_secret_value() for each in things["references"])
    assert reference == table["referred"] == "what the reference leads to"
    completed, failed = things["states"]
    assert (completed.type, completed.data) == (StateType.COMPLETED, 5)
    assert (failed.message, repr(failed.data)) == ("it did", "ValueError('why')")
    assert things["variable"] == Variable.load("rows")
    assert things["document"] == golden.documents.get("variable", "rows")
    assert things["limit"] == Limit("gpu", 2)
    assert things["artifact"].markdown == "# Kept"
    assert things["records"] == [
        ObjectInfo("a/b", 3, datetime(2026, 1, 2, tzinfo=UTC), "e"),
        Check(True, "in", 0.5),
        Note("body", "subject"),
    ]
    assert things["report"] == Report(JobStatus.COMPLETED)
    assert isinstance(things["run"], Run)
    assert things["run"].unit == "fails"
    assert isinstance(things["event"], Event)
    assert things["event"].payload == LogLine(20, "old", "a line")
    assert type(things["policies"][0]) is type(INPUTS + TASK_SOURCE)
    missing, gone = things["errors"]
    assert isinstance(missing, ObjectNotFound)
    assert "Did you mean 'rows'?" in str(missing)
    assert isinstance(gone, MissingResult)


def test_a_suspended_run_is_resumed(golden: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN.parents[2])  # where the run's entrypoint is found
    (run,) = golden.runs.runs(RunQuery(states=("Suspended",)))
    state = resume_flow_run(run.id, {"by": "Ada", "rows": "3"})
    assert state.result() == "42 by Ada, 3"
    assert golden.runs.run(run.id).state.name == "Completed"


def test_every_move_leads_somewhere() -> None:
    for place in set(MODULES.values()) - ELSEWHERE:
        assert import_module(place).__name__ == place
    for now in NAMES.values():
        place, _, name = now.partition(":")
        assert attrgetter(name)(import_module(place))
