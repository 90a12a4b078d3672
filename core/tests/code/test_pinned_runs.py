"""Runs execute the code that they were created with, in real processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowstone import flow
from flowstone.code.snapshots import KEPT
from flowstone.context.current import use_services
from flowstone.deployments import run_deployment
from flowstone.deployments.checks import check_deployment
from flowstone.deployments.code_upkeep import remove_unneeded_code
from flowstone.deployments.documents import load_deployment, save_deployment
from flowstone.deployments.server import DeploymentServer
from flowstone.errors import ConfigurationError, NotRepeatable
from flowstone.flow_runs.executions import execute_scheduled_run
from flowstone.flow_runs.restarts import retry_flow_run
from flowstone.records.events import make_change_event
from flowstone.records.runs import RunQuery
from flowstone.records.states import Cancelled
from flowstone.workers import Worker, create_work_pool
from flowstone_testing.conformance.clock import SteppedClock

from .conftest import write_project

if TYPE_CHECKING:
    from flowstone.context.current import Services
    from flowstone_testing.programs import Home


@pytest.mark.slow
def test_what_is_queued_keeps_its_code(kept: Services, home: Home, project: Path) -> None:
    create_work_pool("p", job_variables={"stream_output": False})
    outs = [home.path / name for name in ("first", "second", "third")]
    deployed = flow.from_source(project, "etl.py:etl").deploy("x", work_pool_name="p")
    first = run_deployment("etl/x", {"out": str(outs[0])}, timeout=0)
    write_project(project, "new")
    second = run_deployment("etl/x", {"out": str(outs[1])}, timeout=0)
    flow.from_source(project, "etl.py:etl").deploy("x", work_pool_name="p")
    third = run_deployment("etl/x", {"out": str(outs[2])}, timeout=0)
    write_project(project, "deleted")
    for path in sorted(project.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    Worker("p").start(run_once=True)

    runs = {run.id: run for run in kept.runs.runs(RunQuery(roots=True))}
    assert {run.state.name for run in runs.values()} == {"Completed"}
    words = [out.read_text().split() for out in outs]
    assert [word[:2] for word in words] == [["old", "old"], ["old", "old"], ["new", "new"]]
    for _, _, folder in words:  # each had its own copy, where it has started
        assert Path(folder).is_relative_to(kept.settings.home)
        assert not Path(folder).exists()
    codes = [runs[each.id].recipe for each in (first, second, third)]
    snapshots = [each.code.snapshot for each in codes if each is not None and each.code is not None]
    assert deployed.code is not None
    assert snapshots[:2] == [deployed.code.snapshot] * 2
    assert load_deployment("x").code == getattr(codes[2], "code", None)
    assert deployed.code.source == str(project)


@pytest.mark.slow
def test_a_run_has_the_environment_of_its_deployment(
    kept: Services, home: Home, project: Path, wheel: Path
) -> None:
    create_work_pool("p", job_variables={"stream_output": False})
    (project / "helpers/words.py").write_text(
        "import sys\n\nfrom greeting import WORD\n\nassert '/environments/' in sys.prefix\n"
    )
    out = home.path / "out"
    flow.from_source(project, "etl.py:etl").deploy(
        "x", work_pool_name="p", requirements=[f"greeting @ {wheel.as_uri()}"]
    )
    run = run_deployment("etl/x", {"out": str(out)}, timeout=0)
    Worker("p").start(run_once=True)
    assert kept.runs.run(run.id).state.name == "Completed", kept.runs.run(run.id).state
    assert out.read_text().startswith("hello old ")


@pytest.mark.slow
def test_a_source_is_served(kept: Services, home: Home, project: Path) -> None:
    made = save_deployment(flow.from_source(project, "etl.py:etl").to_deployment("x"))
    write_project(project, "new")
    run = run_deployment("etl/x", {"out": str(home.path / "out")}, timeout=0)
    server = DeploymentServer([made], limit=1)
    server.step()
    server.stop()
    server.run_until_stopped()
    assert kept.runs.run(run.id).state.name == "Completed"
    assert (home.path / "out").read_text().startswith("old old ")


def list_snapshots(services: Services) -> set[str]:
    found = (services.settings.home / "code").glob("*.tar.gz")
    return {path.name.removesuffix(".tar.gz") for path in found}


def test_code_is_kept_for_deployments_and_unfinished_runs(
    services: Services, project: Path
) -> None:
    clock = SteppedClock(services.clock.time())
    with use_services(replace(services, clock=clock)):
        found, versions = [], []
        for word in ("queued", "unused", "deployed"):
            write_project(project, word)
            made = flow.from_source(project, "etl.py:etl").to_deployment("x")
            assert made.code is not None
            versions.append(made.code.snapshot)
            found.append(save_deployment(made))
            if word == "queued":
                run_deployment("etl/x", {"out": "a"}, timeout=0)
        remove_unneeded_code(clock.now)
        assert list_snapshots(services) == set(versions)
        clock.now += KEPT + 60
        remove_unneeded_code(clock.now)
        assert list_snapshots(services) == {versions[0], versions[2]}
        for each in services.runs.runs(RunQuery(roots=True)):
            services.runs.record(make_change_event(each, Cancelled(), each.attempt))
        clock.now += 60
        remove_unneeded_code(clock.now)  # within the hour
        assert list_snapshots(services) == {versions[0], versions[2]}
        clock.now += 3600
        remove_unneeded_code(clock.now)
        assert list_snapshots(services) == {versions[2]}


def test_a_run_whose_code_is_gone_has_failed_and_can_be_told_where_it_is(
    kept: Services, project: Path, tmp_path: Path
) -> None:
    save_deployment(flow.from_source(project, "etl.py:etl").to_deployment("x"))
    run = run_deployment("etl/x", {"out": str(tmp_path / "out")}, timeout=0)
    for archive in (kept.settings.home / "code").glob("*.tar.gz"):
        archive.unlink()
    with pytest.raises(ConfigurationError, match="it is missing from your home"):
        execute_scheduled_run(run.id)
    assert kept.runs.run(run.id).state.name == "Failed"
    with pytest.raises(NotRepeatable, match="Or pass its new location: --entrypoint"):
        retry_flow_run(run.id)
    (project / "one.py").write_text(
        "from flowstone import flow\n\n\n@flow\ndef etl(out: str) -> None: ...\n"
    )
    ended = retry_flow_run(run.id, entrypoint=f"{project / 'one.py'}:etl")
    assert ended.name == "Completed"


def test_what_a_run_writes_beside_its_code_is_told(
    home: Home, project: Path, kept: Services
) -> None:
    (project / "etl.py").write_text(
        "from pathlib import Path\n\nfrom flowstone import flow\n\n\n@flow\n"
        "def etl() -> None:\n    Path('result.csv').write_text('1')\n"
    )
    save_deployment(flow.from_source(project, "etl.py:etl").to_deployment("x"))
    run = run_deployment("etl/x", timeout=0)
    done = home.run("run", "execute", run.id)
    assert "files that the run wrote beside its code were deleted: result.csv." in done.err
    assert list((kept.settings.home / "code" / "copies").iterdir()) == []


def test_a_check_has_the_code_of_the_deployment(kept: Services, project: Path) -> None:
    found = flow.from_source(project, "etl.py:etl")
    save_deployment(found.to_deployment("x"))
    (project / "etl.py").write_text("broken(")
    report = check_deployment("etl/x")
    assert report.problems == []
    assert Path(report.directory).is_relative_to(kept.settings.home)
    wanted = [f"greeting @ {project.as_uri()}/none.whl"]
    save_deployment(found.to_deployment("x", requirements=wanted))
    (problem,) = check_deployment("etl/x").problems
    assert problem.subject == "environment"
