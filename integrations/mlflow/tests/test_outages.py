"""An unavailable server, a killed program, and a crashed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.services.mlflow import MortalServer

from flowstone import flow
from flowstone_mlflow import (
    MlflowTracking,
    TrackingUnavailable,
    current_run_id,
    log_artifact,
    log_metrics,
    log_params,
    mlflow_task,
    set_tags,
)
from flowstone_testing.ports import reserve_closed_port

from .conftest import EXPERIMENT, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FLOWSTONE = str(Path(sys.executable).with_name("flowstone"))
PROGRAM = """
import pathlib, sys, time
from flowstone import flow
from flowstone_mlflow import log_metrics, log_params, mlflow_task, set_tags

@mlflow_task(persist_result=False)
def train(depth: int) -> None:
    log_params({"depth": depth})
    log_metrics({"loss": depth})

@flow(flow_run_name="search")
def search(wait: str | None = None) -> None:
    set_tags({"team": "growth"})
    train.map(range(3)).result()
    if wait:
        pathlib.Path(wait).touch()
        time.sleep(600)

if __name__ == "__main__":
    search(*sys.argv[1:])
"""


AGAIN = """
import pathlib, sys, time
from flowstone import flow
from flowstone_mlflow import current_run_id, log_metrics

@flow(flow_run_name="again", persist_result=False)
def again(mark: str, how: str) -> None:
    path = pathlib.Path(mark)
    if path.exists():
        log_metrics({"loss": 0.5})
        print("logged to", current_run_id())
        return
    path.touch()
    if how == "wait":
        time.sleep(600)
    raise ValueError("not yet")

if __name__ == "__main__":
    again(*sys.argv[1:])
"""


def until(holds: Callable[[], Any], seconds: float = 120.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
    return value


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[MortalServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = MortalServer(folder)
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def program(tmp_path: Path, place: Place) -> Callable[..., subprocess.Popen[str]]:
    """Return what starts the program, or a command of Flowstone, with the observer."""
    (tmp_path / "search.py").write_text(PROGRAM)

    def start(
        *words: str, uri: str | None = None, entry: str = "search.py", block: str = ""
    ) -> subprocess.Popen[str]:
        environment = {
            "FLOWSTONE_LOGGING_LOG_PRINTS": "true",
            "FLOWSTONE_MLFLOW_BLOCK": block,
            **os.environ,
            "FLOWSTONE_HOME": str(tmp_path / "home"),
            "FLOWSTONE_OBSERVERS": "mlflow",
            "FLOWSTONE_LEASE_SECONDS": "5",
            "MLFLOW_TRACKING_URI": uri or place.tracking.find_uri(),
            "MLFLOW_EXPERIMENT_NAME": EXPERIMENT,
        }
        command = [sys.executable if words[0] == entry else FLOWSTONE, *words]
        return subprocess.Popen(
            command, cwd=tmp_path, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    return start


def finish(process: subprocess.Popen[str]) -> str:
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    return said


@mlflow_task
def train(depth: int) -> None:
    log_params({"depth": depth})
    log_metrics({"loss": depth})


@flow(flow_run_name="search")
def search(file: Path) -> None:
    set_tags({"team": "growth"})
    log_artifact(file)
    train.map(range(3)).result()


def test_an_absent_server_neither_fails_nor_slows_a_flow(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = MlflowTracking(
        tracking_uri=f"http://127.0.0.1:{reserve_closed_port()}", experiment=EXPERIMENT
    )
    file = tmp_path / "report.txt"
    file.write_text("rows")

    @flow
    def impatient() -> None:
        with pytest.raises(TrackingUnavailable):
            current_run_id()

    with nowhere.observe():
        search(file)
        impatient()
    assert "does not answer" in caplog.text
    assert "is kept in" in caplog.text
    with pytest.raises(TrackingUnavailable), nowhere.observe(required=True):
        search(file)


@pytest.mark.slow
@pytest.mark.check
def test_a_server_that_dies_and_comes_back_gets_everything_once(
    mortal: MortalServer, tmp_path: Path
) -> None:
    tracking = MlflowTracking(tracking_uri=mortal.url, experiment=EXPERIMENT)
    file = tmp_path / "report.txt"
    file.write_text("rows")

    @flow(flow_run_name="outer")
    def outer() -> str:
        run_id = current_run_id()  # the server is there
        mortal.kill()
        search(file)
        log_metrics({"after": 1.0})
        mortal.start()
        return run_id

    mortal.start()
    with tracking.observe():
        run_id = outer()
    found = Place(tracking).runs()
    assert sorted(found) == ["outer", "search", "train-0", "train-1", "train-2"]
    assert found["outer"].info.run_id == run_id
    assert found["outer"].data.metrics == {"after": 1.0}
    assert found["search"].data.tags["mlflow.parentRunId"] == run_id
    assert Place(tracking).files(found["search"]) == ["report.txt"]
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert [found[f"train-{depth}"].data.metrics["loss"] for depth in range(3)] == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.check
def test_what_a_program_leaves_is_sent_by_a_command_once(
    place: Place, program: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    nowhere = f"http://127.0.0.1:{reserve_closed_port()}"
    said = finish(program("search.py", uri=nowhere))
    # On a busy machine, the program ends before its first attempt to send has failed.
    assert "did not receive all data of 1 flow run" in said
    home = tmp_path / "home/mlflow"
    (left,) = home.iterdir()
    assert {path.stat().st_mode & 0o077 for path in home.rglob("*")} == {0}
    refused = program("mlflow", "send", uri=nowhere)
    assert "Check the address" in refused.communicate(timeout=300)[0]
    assert refused.returncode == 1
    # The server is back, here at another address.
    import pickle

    with_place = place.tracking.pin()
    (left / "tracking").write_bytes(pickle.dumps(with_place))
    said = finish(program("mlflow", "send"))
    assert f"{left.name}  {place.tracking.find_uri()}  4 run(s): all" in said
    assert "Nothing is left" in finish(program("mlflow", "send"))
    found = place.runs()
    assert sorted(found) == ["search", "train-0", "train-1", "train-2"]
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert list(home.iterdir()) == []


@pytest.mark.slow
@pytest.mark.check
def test_a_run_that_is_found_dead_ends_failed_in_mlflow_too(
    place: Place, program: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    running = tmp_path / "running"
    process = program("search.py", str(running))
    until(running.exists)
    until(lambda: len(place.list_runs()) == 4)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout and process.stdout.close()
    assert place.runs()["search"].info.status == "RUNNING"
    finish(program("run", "ls"))
    if place.runs()["search"].info.status != "FAILED":  # reported, on a busy machine, and kept
        finish(program("mlflow", "send"))
    found = place.runs()
    assert found["search"].info.status == "FAILED"
    assert sorted(found) == ["search", "train-0", "train-1", "train-2"]
    assert found["search"].data.tags["flowstone.state"] == "Crashed"


@pytest.mark.slow
@pytest.mark.parametrize("on_retry", ["new", "resume"])
@pytest.mark.parametrize("is_killed", [True, False])
@pytest.mark.check
def test_a_retry_in_a_new_process_goes_on_in_mlflow(
    place: Place,
    program: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    on_retry: str,
    is_killed: bool,
) -> None:
    (tmp_path / "again.py").write_text(AGAIN)
    tracking = place.tracking.model_copy(update={"on_retry": on_retry})
    (tmp_path / "save.py").write_text(
        "from flowstone_mlflow import MlflowTracking\n"
        f"MlflowTracking(**{tracking.model_dump(exclude_none=True)!r}).save('models')\n"
    )
    finish(program("save.py", entry="save.py"))
    running = tmp_path / "running"
    options = {"entry": "again.py", "block": "models"}
    process = program("again.py", str(running), "wait" if is_killed else "fail", **options)
    if is_killed:
        until(running.exists)
        until(lambda: len(place.list_runs()) == 1)
        process.kill()
        process.communicate()
    else:
        assert "not yet" in process.communicate(timeout=300)[0]
        assert process.returncode == 1
    finish(program("mlflow", "send", **options))
    (first,) = place.list_runs()
    said = finish(program("run", "retry", "again", **options))
    finish(program("mlflow", "send", **options))
    found = place.list_runs()
    statuses = [run.info.status for run in found]
    if on_retry == "new":
        assert statuses == ["FAILED", "FINISHED"], said
        assert [run.data.tags["flowstone.attempt"] for run in found] == ["1", "2"]
    else:
        assert statuses == ["FINISHED"], said
        assert found[0].info.run_id == first.info.run_id
    assert found[-1].data.metrics["loss"] == 0.5
    assert found[-1].data.params == found[0].data.params
    assert found[-1].info.run_id in said  # current_run_id() of the retry


@pytest.mark.slow
@pytest.mark.check
def test_two_programs_at_once_make_the_tables_of_a_new_database(
    program: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path}/new/m.db"
    both = [program("search.py", uri=uri), program("search.py", uri=uri)]
    said = [finish(each) for each in both]
    finish(program("mlflow", "send"))
    assert not any("does not answer" in each or "can't be updated" in each for each in said), said
    place = Place(MlflowTracking(tracking_uri=uri, experiment=EXPERIMENT))
    names = sorted(run.info.run_name for run in place.list_runs())
    assert names == sorted(["search", "train-0", "train-1", "train-2"] * 2)
    assert {run.info.status for run in place.list_runs()} == {"FINISHED"}


@pytest.mark.slow
@pytest.mark.check
def test_a_database_is_whole_though_its_first_program_was_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from flowstone_mlflow import MlflowTracking\n"
        "MlflowTracking(tracking_uri=sys.argv[1]).client()"
    )
    words = [sys.executable, "-c", code, f"sqlite:///{tmp_path}/m.db"]
    killed = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    while not any(tmp_path.glob(".m.db.new*")):
        assert killed.poll() is None
        time.sleep(0.001)
    killed.kill()
    killed.wait()
    assert not (tmp_path / "m.db").exists()
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    assert [path.name for path in tmp_path.glob("*m.db*")] == ["m.db"]


def test_a_spool_with_half_a_line_is_read_up_to_it(tmp_path: Path) -> None:
    from flowstone_mlflow.spool import Spool

    spool = Spool("root", tmp_path)
    spool.append("run", 1, {"params": {"a": "1"}})
    path = tmp_path / "root/run.1.jsonl"
    path.write_bytes(path.read_bytes() + b'{"params": {"b"')
    records, offset = spool.read("run", 1, 0)
    assert records == [{"params": {"a": "1"}}]
    path.write_bytes(path.read_bytes() + b': "2"}}\n')
    assert spool.read("run", 1, offset)[0] == [{"params": {"b": "2"}}]
    assert json.loads(path.read_text().splitlines()[1]) == {"params": {"b": "2"}}
