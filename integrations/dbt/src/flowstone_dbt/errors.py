"""The errors of dbt: commands that failed, with the nodes that did."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flowstone.errors import JobFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowstone_dbt.nodes import NodeResult

#: Nodes that an error names; the others are counted.
NAMED = 5


class DbtError(JobFailed):
    """dbt could not do what it was asked for.

    Attributes:
        problem: what went wrong, with dbt's own words.
    """

    def __init__(self, problem: str, remedy: str, *, where: str = "dbt") -> None:
        super().__init__(where, problem.rstrip(". \n"), remedy)


class DbtNodesFailed(DbtError):
    """A command of dbt ended with nodes that failed.

    Attributes:
        nodes: those that failed.
    """

    def __init__(self, where: str, nodes: Sequence[NodeResult]) -> None:
        self.nodes = tuple(nodes)
        named = "; ".join(node.describe() for node in self.nodes[:NAMED])
        more = len(self.nodes) - NAMED
        problem = f"{named}; and {more} more" if more > 0 else named
        remedy = "Look at the logs of these task runs; a retry runs only what has not succeeded."
        super().__init__(problem, remedy, where=where)


#: What dbt says, and what to do about it.
REMEDIES = (
    (
        r"Could not find adapter type ['\"]?(\w+)",
        'Install it: `pip install "flowstone-dbt[{0}]"`, or `dbt-{0}`.',
    ),
    (
        r"Could not find profile named",
        "Pass a profile of blocks, or `profiles_dir`, the folder of your profiles.yml.",
    ),
    (r"does not have a target named", "Pass `target`, one of those that it names."),
    (r"No such option|No such command|Missing (argument|option)", "Look at `dbt --help`."),
    (
        r"Could not set lock on file|database is locked",
        "Close the other process or connection that has the file open.",
    ),
    (r"[Cc]ould not find selector", "Name one of selectors.yml, or use `select`."),
    (r"run `dbt deps`|dbt deps", "Run the command `deps` first."),
    (r"No space left on device", "Free some space there."),
)


def explain_error(ended: Mapping[str, Any], where: str) -> DbtError:
    """Return our error for one of dbt's own.

    Args:
        ended: its name and its words.
        where: the command.
    """
    words = " ".join(str(ended.get("message") or ended.get("error") or "").split())
    for pattern, remedy in REMEDIES:
        if found := re.search(pattern, words):
            return DbtError(words, remedy.format(*found.groups()), where=where)
    return DbtError(words, "Correct what dbt names, and run it again.", where=where)
