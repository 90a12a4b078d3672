"""DbtResult: what a command of dbt did."""

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
    """What a command of dbt did.

    Attributes:
        args: the command and its options.
        success: whether dbt says that it succeeded.
        nodes: how each node ended; those that an earlier attempt did are among them.
        lines: what the command answers: the names of ``ls``, the rows of ``show``.
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
        """Return how many nodes ended in each of dbt's statuses."""
        return dict(Counter(node.status for node in self.nodes))


def raise_failures(result: DbtResult) -> None:
    """Raise an error that names the nodes of a result that failed, if there are any.

    Raises:
        DbtNodesFailed: there are.
    """
    if not result.success:
        raise DbtNodesFailed(f"dbt {find_command(result.args)}", result.failed)
