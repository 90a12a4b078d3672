"""DbtResult: the result of a dbt command."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstone_dbt.commands import find_command
from flowstone_dbt.errors import DbtNodesFailed

if TYPE_CHECKING:
    from flowstone_dbt.nodes import NodeResult


@dataclass(frozen=True)
class DbtResult:
    """The result of a dbt command.

    Attributes:
        args: the command and its options.
        success: whether dbt reports success.
        nodes: the result of each node, including those of earlier attempts.
        lines: the output of the command: the names of ``ls``, the rows of ``show``.
    """

    args: tuple[str, ...]
    success: bool
    nodes: tuple[NodeResult, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def failed(self) -> list[NodeResult]:
        """The nodes that failed."""
        return [node for node in self.nodes if node.failed]

    def count(self) -> dict[str, int]:
        """Return the number of nodes for each of dbt's statuses."""
        return dict(Counter(node.status for node in self.nodes))


def raise_failures(result: DbtResult) -> None:
    """Raise an error that names the failed nodes of a result, if there are any.

    Raises:
        DbtNodesFailed: nodes failed.
    """
    if not result.success:
        raise DbtNodesFailed(f"dbt {find_command(result.args)}", result.failed)
