"""Where results are kept, and how they are written, by the settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowstone import flow, task
from flowstone.blocks import LocalDirectory
from flowstone.cache_policies import INPUTS
from flowstone.context.current import Services, use_services
from flowstone.errors import FlowstoneError


def run_with(services: Services, **settings: object) -> None:
    """Run a task that keeps its result, with some settings."""

    @task(cache_policy=INPUTS)
    def compute(x: int) -> dict[str, int]:
        return {"x": x}

    @flow
    def outer() -> None:
        compute(1)

    changed = replace(services, settings=replace(services.settings, **settings))  # type: ignore[arg-type]
    with use_services(changed):
        outer()


def list_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_results_are_files_where_the_settings_say(
    flowstone_services: Services, tmp_path: Path
) -> None:
    run_with(flowstone_services, results_path=tmp_path / "here")
    assert list_files(tmp_path / "here")
    assert not list_files(flowstone_services.settings.home / "storage")


def test_results_are_in_the_store_that_the_settings_name(
    flowstone_services: Services, tmp_path: Path
) -> None:
    LocalDirectory(basepath=tmp_path / "there").save("results")
    run_with(
        flowstone_services,
        result_storage="local-directory/results",
        results_path=tmp_path / "here",
    )
    assert list_files(tmp_path / "there")
    assert not list_files(tmp_path / "here")


def test_results_are_written_as_the_settings_say(
    flowstone_services: Services, tmp_path: Path
) -> None:
    run_with(flowstone_services, results_path=tmp_path / "here", result_serializer="pickle")
    (kept,) = list_files(tmp_path / "here")
    assert b"pickle" in kept.read_bytes()  # as its header says


@pytest.mark.parametrize(
    "settings", [{"result_serializer": "jsom"}, {"result_storage": "local-directory/nowhere"}]
)
def test_a_name_that_nobody_has_is_told(
    flowstone_services: Services, settings: dict[str, object]
) -> None:
    with pytest.raises(FlowstoneError, match=r"jsom|nowhere"):
        run_with(flowstone_services, **settings)
