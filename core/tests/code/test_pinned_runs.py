"""Runs execute the code that they were created with, in real processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowstone import flow
from flowstone.deployments import run_deployment
from flowstone.deployments.documents import load_deployment
from flowstone.records.runs import RunQuery
from flowstone.workers import Worker, create_work_pool

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
