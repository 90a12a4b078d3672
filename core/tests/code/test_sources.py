"""Flows of sources: directories, object stores, and what is none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.services.repositories import git

from flowstone import Flow, flow
from flowstone.blocks import LocalDirectory, Secret
from flowstone.code.snapshots import MOST_BYTES
from flowstone.errors import (
    BucketMissing,
    ConfigurationError,
    ObjectNotFound,
    ParameterTypeError,
    UnknownName,
)
from flowstone.records.deployments import decode_deployment, encode_deployment

if TYPE_CHECKING:
    from flowstone.calls.sourced_flow import SourcedFlow
    from flowstone.context.current import Services


def test_a_directory_is_a_source(services: Services, project: Path) -> None:
    found = flow.from_source(str(project), "etl.py:etl")
    assert (found.name, found.entrypoint) == ("etl", "etl.py:etl")
    assert found.code is not None
    assert found.code.source == str(project)
    assert Flow.from_source(project, "etl.py").code == found.code
    assert asyncio.run(flow.afrom_source(project, "etl.py:etl")).code == found.code
    assert "etl.py:etl" in repr(found)


def test_a_module_of_a_source_is_an_entrypoint(services: Services, project: Path) -> None:
    (project / "helpers/flows.py").write_text(
        "from flowstone import flow\nfrom .words import WORD\n\n"
        "@flow\ndef say(times: int = 1) -> str:\n    return WORD * times\n"
    )
    found = flow.from_source(project, "helpers.flows:say")
    assert found.entrypoint == "helpers.flows:say"
    assert found(times=2) == "oldold"
    assert found.load().name == "say"


def test_a_deployment_of_a_source_has_its_code(services: Services, project: Path) -> None:
    found = flow.from_source(project, "etl.py:etl")
    made = found.to_deployment("x", parameters={"out": "a"}, cron="@daily")
    assert (made.full_name, made.code) == ("etl/x", found.code)
    assert decode_deployment(encode_deployment(made)) == made
    with pytest.raises(ParameterTypeError, match="no such parameter"):
        found.to_deployment("x", parameters={"in": "a"})


def test_an_object_store_is_a_source(services: Services, project: Path) -> None:
    block = LocalDirectory(basepath=project)
    block.save("flows")
    found = [flow.from_source(each, "etl.py:etl") for each in (block, "local-directory/flows")]
    codes = [each.code for each in found]
    assert codes == [codes[0]] * 2
    assert codes[0] is not None
    assert codes[0].source == "local-directory/flows"
    local = flow.from_source(project, "etl.py:etl").code
    assert local is not None
    assert codes[0].snapshot == local.snapshot


def test_a_repository_is_known_by_its_address(services: Services, project: Path) -> None:
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "one")
    found = flow.from_source(f"file://{project}", "etl.py:etl")
    assert found.code is not None
    assert found.code.source == f"file://{project} at {git(project, 'rev-parse', 'HEAD')}"


def source(of: object, entrypoint: str = "etl.py:etl") -> SourcedFlow:
    return flow.from_source(of, entrypoint)  # type: ignore[arg-type]


def test_what_is_no_source_is_told(services: Services, project: Path) -> None:
    Secret(value="abcdefg").save("token")
    with pytest.raises(ConfigurationError, match="no such directory"):
        source("no/such/place")
    with pytest.raises(ConfigurationError, match="there is no such directory"):
        source(project / "none")
    with pytest.raises(ConfigurationError, match="it is a Secret, not a ObjectStore"):
        source("secret/token")
    with pytest.raises(ConfigurationError, match="the type Secret has no code"):
        source(Secret(value="abcdefg"))
    with pytest.raises(ObjectNotFound):
        source("local-directory/none")
    with pytest.raises(UnknownName):
        source("gopher://place")
    with pytest.raises(BucketMissing):
        source(LocalDirectory(basepath=project / "none"))


def test_an_entrypoint_is_in_its_source(services: Services, project: Path) -> None:
    store = LocalDirectory(basepath=project)
    with pytest.raises(ConfigurationError, match="there is no file none"):
        source(store, "none.py:etl")
    with pytest.raises(ConfigurationError, match="has no function 'elt' with @flow"):
        source(store, "etl.py:elt")
    (project.parent / "outside.py").write_text((project / "etl.py").read_text())
    for entrypoint in ("../outside.py:etl", f"{project.parent}/outside.py:etl"):
        with pytest.raises(ConfigurationError, match=f"it is not in {project}"):
            source(project, entrypoint)


def test_a_large_store_is_refused_before_it_is_downloaded(
    services: Services, project: Path
) -> None:
    with (project / "model.bin").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(ConfigurationError, match=r"most of them in 'model\.bin'"):
        source(LocalDirectory(basepath=project))
