"""What is kept of flows that stand in files, in packages, and in what is installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from flowstone.calls.entrypoints import load_flow_from_entrypoint
from flowstone.code.pinning import pin_entrypoint
from flowstone.code.snapshots import read_snapshot
from flowstone.flow_runs.pinned_code import load_pinned_flow
from flowstone.records.runs import CodeVersion, RestartInfo

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from flowstone.context.current import Services


def list_paths(code: CodeVersion) -> set[str]:
    assert code.snapshot is not None
    return {each.path for each in read_snapshot(code.snapshot)}


def test_the_directory_of_a_file_is_kept(services: Services, project: Path) -> None:
    entrypoint, code = pin_entrypoint(f"{project}/etl.py:etl")
    assert entrypoint == "etl.py:etl"
    assert code.source == str(project)
    assert not code.is_workdir
    assert list_paths(code) == {"etl.py", "helpers/words.py", "data.txt"}


def test_the_package_of_a_module_is_kept(
    services: Services, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(project)
    (project / "shop_flows/daily").mkdir(parents=True)
    (project / "shop_flows/names.py").write_text("NAME = 'old'\n")
    (project / "shop_flows/daily/load.py").write_text(
        "from flowstone import flow\nfrom ..names import NAME\n\n"
        "@flow\ndef load() -> str:\n    return NAME\n"
    )
    entrypoint = "shop_flows.daily.load:load"
    assert load_flow_from_entrypoint(entrypoint)() == "old"
    same, code = pin_entrypoint(entrypoint)
    assert same == entrypoint
    assert code.source == str(project / "shop_flows")
    assert list_paths(code) == {"shop_flows/names.py", "shop_flows/daily/load.py"}

    (project / "shop_flows/names.py").write_text("NAME = 'new'\n")
    for name in [each for each in sys.modules if each.startswith("shop_flows")]:
        monkeypatch.delitem(sys.modules, name)
    assert load_pinned_flow(RestartInfo(entrypoint, code=code))() == "old"


def test_an_installed_package_is_not_pinned_and_says_so(services: Services) -> None:
    import click.decorators

    entrypoint, code = pin_entrypoint(f"{click.decorators.__name__}:command")
    assert entrypoint == "click.decorators:command"
    assert code.snapshot is None
    assert str(code).startswith("not pinned: the installed package click 8")
