"""The errors of dbt commands and nodes."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import yaml

from flowstone.errors import JobFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from flowstone_dbt.nodes import NodeResult

#: Adapters that are extras of this package.
EXTRAS = frozenset({"bigquery", "duckdb", "postgres", "snowflake"})
#: Maximum number of nodes that an error names; the others are counted.
NAMED = 5


class DbtError(JobFailed):
    """A dbt command could not be run.

    Attributes:
        problem: what went wrong, with dbt's message.
    """

    def __init__(self, problem: str, remedy: str, *, where: str = "dbt") -> None:
        super().__init__(where, problem.rstrip(".?! \n"), remedy)


class DbtNodesFailed(DbtError):
    """A dbt command ended with failed nodes.

    Attributes:
        nodes: the nodes that failed.
    """

    def __init__(self, where: str, nodes: Sequence[NodeResult]) -> None:
        self.nodes = tuple(nodes)
        named = "; ".join(node.describe() for node in self.nodes[:NAMED])
        more = len(self.nodes) - NAMED
        problem = f"{named}; and {more} more" if more > 0 else named
        remedy = (
            "See the logs of these task runs. A retry runs only the nodes that did not succeed."
        )
        super().__init__(problem, remedy, where=where)


#: dbt's message, what it means, and the remedy.
REMEDIES = (
    (
        r"No module named '?dbt\b",
        "dbt is not installed in the environment of that interpreter",
        "Add dbt-core to `requirements`, or install it.",
    ),
    (
        r"Could not find profile named '([^']+)'",
        "there is no profile {0!r}",
        "Pass a profile of blocks, or `profiles_dir`, the folder of your profiles.yml.",
    ),
    (
        r"does not have a target named '([^']+)'",
        "there is no target {0!r}",
        "Set `target` to one of the targets of the profile.",
    ),
    (
        r"trying to read your profiles\.yml",
        "profiles.yml is not valid YAML",
        "Correct that file; its lines are hidden, as they may contain a password.",
    ),
    (r"Error reading \w+: (\S+)", "{0} is not valid YAML", "Correct that file."),
    (r"No such option", "dbt has no such option", "See `dbt --help`."),
    (r"No such command", "dbt has no such command", "See `dbt --help`."),
    (r"Missing (?:argument|option)", "an option is missing", "See `dbt --help`."),
    (
        r"Could not set lock on file|database is locked",
        "the database is locked",
        "Close the other process or connection that has the file open.",
    ),
    (
        r"[Cc]onnection refused|could not translate host name|timeout expired",
        "the database can't be reached",
        "Check that it runs, and the host and port in the profile.",
    ),
    (
        r"Cannot open file",
        "the file of the database can't be opened",
        "Check the path in the profile; its directory must exist.",
    ),
    (
        r"[Cc]ould not find selector named (\S+?),",
        "there is no selector {0!r}",
        "Use one from selectors.yml, or `select`.",
    ),
    (
        r"no comparison manifest",
        "there is no manifest to compare with",
        "Set `state` to the artifacts of an earlier run.",
    ),
    (
        r"Run \"dbt deps\"|run `dbt deps`",
        "packages of the project are not installed",
        "Run the command `deps` first.",
    ),
    (r"Env var required", "an environment variable is not set", "Set it, or pass it in `env`."),
    (
        r"No space left on device|Disk quota exceeded|File too large",
        "the disk is full, or the file is too large",
        "Free some space there.",
    ),
    (
        r"Permission denied|Read-only file system",
        "dbt has no write permission",
        "Check the permissions of the directory.",
    ),
)
_ADAPTER = re.compile(r"Could not find adapter type ['\"]?(\w+)")
#: A file of the project, and a name in it that does not exist.
_REFERENCE = re.compile(r"\(([^()\s]+)\) depends on a (?:node|source) named '([^']+)'")
#: Lines of a YAML file that dbt quotes.
_QUOTED = re.compile(r"-{10,}(?:\s*\d+ *\|.*)+")
#: Prefix of dbt's error messages.
_FILLER = re.compile(r"^(?:\[ERROR\]: )?(?:Encountered an error:\s*)?")
#: Files that dbt reads before any others, and does not name in errors.
_FIRST_FILES = ("dbt_project.yml", "packages.yml", "dependencies.yml", "selectors.yml")


def hide_profiles(text: str) -> str:
    """Return dbt's message without lines of a profiles.yml, which may contain a password."""
    return _QUOTED.sub("", text) if "profiles.yml" in text else text


def explain_error(ended: Mapping[str, Any], where: str, project: Path | None = None) -> DbtError:
    """Return the error for an error of dbt.

    Args:
        ended: its name and message.
        where: the command.
        project: the directory of the project, to find the line if dbt does not name it.
    """
    text = hide_profiles(str(ended.get("message") or ended.get("error") or ""))
    words = " ".join(_FILLER.sub("", text).split())
    problem, remedy = _explain(words, project)
    return DbtError(f"{problem}: {words}" if problem else words, remedy, where=where)


def _explain(words: str, project: Path | None) -> tuple[str, str]:
    if found := _ADAPTER.search(words):
        adapter = found[1]
        install = f"flowstone-dbt[{adapter}]" if adapter in EXTRAS else f"dbt-{adapter}"
        remedy = f'Install it: `pip install "{install}"`.'
        return f"the adapter {adapter!r} is not installed", remedy
    for pattern, problem, remedy in REMEDIES:
        if found := re.search(pattern, words):
            return problem.format(*found.groups()), remedy
    if found := _REFERENCE.search(words):
        line = _find_line(project, found[1], found[2])
        return f"{found[1]}{line} refers to {found[2]!r}, which does not exist", "Correct the name."
    if "Syntax error near line" in words and project is not None:
        for name in _FIRST_FILES:
            if _is_broken(project / name):
                return f"{name} is not valid YAML", "Correct that file."
    return "", "Fix the error that dbt reports, and run it again."


def _find_line(project: Path | None, file: str, name: str) -> str:
    with suppress(OSError, UnicodeDecodeError):
        lines = (project / file).read_text("utf-8").splitlines() if project else []
        for number, line in enumerate(lines, 1):
            if name in line:
                return f", line {number},"
    return ""


def _is_broken(path: Path) -> bool:
    try:
        yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError:
        return True
    except (OSError, UnicodeDecodeError):
        return False
    return False
