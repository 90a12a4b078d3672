"""Dask's performance report of a flow run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import fsspec
import pytest

from flowstone import flow, task
from flowstone.errors import ConfigurationError
from flowstone.testing import flowstone_test_harness
from flowstone_dask import DaskTaskRunner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from distributed import LocalCluster
    from tests.services.dask_processes import DaskProcesses


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    with flowstone_test_harness():
        yield


def add_up(runner: DaskTaskRunner) -> int:
    @flow(task_runner=runner)
    def f() -> int:
        return sum(task(abs).map(range(4)).result())

    return f()


def test_it_is_a_page_about_the_tasks(remote: DaskProcesses, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    assert add_up(DaskTaskRunner(address=remote.address, performance_report_path=file)) == 6
    page = file.read_text("utf-8")
    assert "Dask Performance Report" in page
    assert "abs" in page


def test_one_that_fails_at_the_end_is_a_warning(
    remote: DaskProcesses, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner = DaskTaskRunner(address=remote.address, performance_report_path=tmp_path)
    assert add_up(runner) == 6
    assert f"performance report was not written to {tmp_path}" in caplog.text


def test_it_may_be_written_to_a_url(remote: DaskProcesses) -> None:
    url = "memory://reports/report.html"
    assert add_up(DaskTaskRunner(address=remote.address, performance_report_path=url)) == 6
    with fsspec.open(url, "r") as file:
        assert "Dask Performance Report" in file.read()


def test_the_error_of_the_flow_stays(remote: DaskProcesses) -> None:
    @flow(task_runner=DaskTaskRunner(address=remote.address, performance_report_path="no://url"))
    def f() -> None:
        raise KeyError("of the flow")

    with pytest.raises(KeyError, match="of the flow"):
        f()


def test_a_folder_that_does_not_exist_is_reported_first(
    remote: DaskProcesses, tmp_path: Path
) -> None:
    file = tmp_path / "absent" / "report.html"
    with pytest.raises(ConfigurationError, match="the folder of performance_report_path"):
        add_up(DaskTaskRunner(address=remote.address, performance_report_path=file))


def test_a_scheduler_without_bokeh_is_reported_first(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bokeh", None)  # the scheduler is in this process
    file = tmp_path / "report.html"
    with pytest.raises(ConfigurationError, match=r"flowstone-dask\[report\]"):
        add_up(DaskTaskRunner(cluster=cluster, performance_report_path=file))
    assert not file.exists()
