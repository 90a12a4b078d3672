"""The summary of a command: a table of its nodes, as an artifact of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.artifacts import create_table_artifact

if TYPE_CHECKING:
    from flowstone_dbt.results import DbtResult


def save_summary(result: DbtResult, key: str) -> None:
    """Save a table of the nodes of a command.

    Args:
        result: the result of the command.
        key: the key of the artifact.
    """
    rows = [
        {
            "node": node.name,
            "type": node.resource_type,
            "status": node.status,
            "seconds": None if node.seconds is None else round(node.seconds, 2),
            "rows": node.adapter_response.get("rows_affected"),
            "message": node.explain(),
        }
        for node in sorted(result.nodes, key=lambda each: (not each.failed, each.unique_id))
    ]
    counts = ", ".join(f"{count} {status}" for status, count in sorted(result.count().items()))
    create_table_artifact(rows, key, f"dbt {' '.join(result.args)}: {counts}")
