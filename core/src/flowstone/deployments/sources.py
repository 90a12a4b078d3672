"""Flows from sources: pin their code, and read their properties."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flowstone.calls.sourced_flow import SourcedFlow
from flowstone.code.sources import open_source
from flowstone.deployments.declarations import describe_source
from flowstone.deployments.flow_source import read_flow_source
from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from flowstone.code.sources import CodeSource
    from flowstone.records.deployments import Deployment


def source_flow(source: CodeSource, entrypoint: str) -> SourcedFlow:
    """Return a flow with the current code of a source; see `Flow.from_source`."""
    return SourcedFlow(read_source(source, entrypoint))


def read_source(source: CodeSource, entrypoint: str) -> Deployment:
    """Return a deployment of a flow with the current code of a source, without a name and options.

    Raises:
        ConfigurationError, ObjectNotFound, StorageError: as for `Flow.from_source`.
    """
    with open_source(source) as (folder, code):
        found = read_flow_source(entrypoint, folder, code.source)
    place, _, name = found.entrypoint.rpartition(":")
    if place.endswith(".py"):
        if not Path(place).is_relative_to(folder):
            problem = f"it is not in {code.source}"
            remedy = "Name a file by its path there."
            raise ConfigurationError(f"entrypoint {entrypoint!r}", problem, remedy)
        place = Path(place).relative_to(folder).as_posix()
    return replace(describe_source(found), entrypoint=f"{place}:{name}", code=code)
