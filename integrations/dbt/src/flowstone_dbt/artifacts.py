"""dbt's artifacts: the manifest, the results of a command, the freshness of sources."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from flowstone_dbt.nodes import NodeResult, read_freshness, read_result

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


#: Seconds to wait for a file that dbt is writing.
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Manifest:
    """The nodes of a project.

    Attributes:
        parents: the ids of the nodes that each node depends on.
        ephemeral: the ids of ephemeral models, which have no results.
    """

    parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ephemeral: frozenset[str] = frozenset()

    def find_inputs(self, unique_id: str) -> list[str]:
        """Return the inputs of a node: its parents, and the parents of ephemeral ones."""
        found: list[str] = []
        for parent in self.parents.get(unique_id, ()):
            found += self.find_inputs(parent) if parent in self.ephemeral else [parent]
        return found


def read_manifest(path: Path) -> Manifest:
    """Read ``manifest.json``; return an empty manifest if it is missing."""
    content = _read(path)
    nodes = content.get("nodes", {})
    return Manifest(
        {name: tuple(parents) for name, parents in content.get("parent_map", {}).items()},
        frozenset(
            name
            for name, node in nodes.items()
            if node.get("config", {}).get("materialized") == "ephemeral"
        ),
    )


def read_results(folder: Path) -> list[NodeResult] | None:
    """Read ``run_results.json`` and ``sources.json``; None if both are missing."""
    results, sources = _read(folder / "run_results.json"), _read(folder / "sources.json")
    if not results and not sources:
        return None
    return [
        *map(read_result, results.get("results", ())),
        *map(read_freshness, sources.get("results", ())),
    ]


def _read(path: Path) -> dict[str, Any]:
    end = monotonic() + PATIENCE
    while True:
        try:
            content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:  # dbt is writing it
            if monotonic() > end:
                raise
            sleep(0.02)
        else:
            return content
