"""The `pull` steps of `flowstone.yaml`: the source of a deployment's code."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from flowstone.code.sources import GitRepository
from flowstone.errors import ConfigurationError, suggest_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowstone.code.sources import CodeSource

    Keys = Mapping[str, object]


class Pull(NamedTuple):
    """The combined result of the steps.

    Attributes:
        source: the source of the code; None for the directory of the file.
        requirements: the file in the code that lists the packages of runs.
        working_dir: the directory in which runs start.
    """

    source: CodeSource | None = None
    requirements: str | None = None
    working_dir: str | None = None


#: The keys of each known step; required ones have a star.
_KEYS = {
    "git_clone": (
        *("repository*", "branch", "commit_sha", "include_submodules", "credentials"),
        "directories",
    ),
    "pull_with_block": ("block_document_name*", "block_type_slug*"),
    "set_working_directory": ("directory*",),
    "pip_install_requirements": ("requirements_file", "directory", "stream_output"),
}
#: Keys whose relative paths start at the directory of the file.
_PLACES = {"git_clone": "repository", "set_working_directory": "directory"}
_NO_STORE = "Use pull_with_block, with the block of an object store."
#: Steps and keys of Prefect's files, and what to use instead.
_REFUSED = {
    "run_shell_script": "Remove it, and do that in the flow.",
    "pull_from_remote_storage": _NO_STORE,
    "pull_from_s3": _NO_STORE,
    "pull_from_gcs": _NO_STORE,
    "pull_from_azure_blob_storage": _NO_STORE,
    "access_token": "Save it in a block, and write, for example, credentials: secret/github",
    "clone_directory_name": "Remove it: each run has its own copy of the code.",
    "requires": "Remove it: requirements list the packages that a run needs.",
}
_BLOCK = re.compile(r"\{\{\s*(?:prefect|flowstone)\.blocks\.([\w-]+)\.([\w-]+)\s*\}\}")
#: The result of an earlier step: here that is the copy of the code.
_DIRECTORY = re.compile(r"\{\{\s*[\w-]+\.directory\s*\}\}/?")


def read_pull(steps: object, folder: Path) -> Pull:
    """Return the combined result of a deployment's steps.

    Args:
        steps: as in the file.
        folder: the directory of the file.

    Raises:
        ConfigurationError: a step or a key is unknown, is refused, or has an invalid value.
    """
    found = Pull()
    if not isinstance(steps, list):
        raise ConfigurationError("pull", "it is not a list of steps", "Write: - git_clone: {…}")
    for step in steps:
        if not isinstance(step, dict) or len(step) != 1:
            raise ConfigurationError("pull", f"{step!r} is not a step", "Write: git_clone: {…}")
        [(name, given)] = step.items()
        short = str(name).rpartition(".")[2]
        if short not in _KEYS:
            raise _make_error(f"the step {short!r}", short, _KEYS)
        keys = dict(given or {})
        keys.pop("id", None)
        _check_keys(short, keys)
        filled = {key: _fill_in(f"{short}: {key}", value) for key, value in keys.items()}
        if (place := _PLACES.get(short)) is not None:
            filled[place] = _find_place(str(filled[place]), folder)
        found = _READERS[short](found, filled)
    if found.source is not None and found.working_dir is not None:
        problem = "runs start in their copy of the code"
        raise ConfigurationError("set_working_directory", problem, "Remove it.")
    return found


def _make_error(what: str, name: str, known: Mapping[str, object]) -> ConfigurationError:
    if name in _REFUSED:
        return ConfigurationError(what, "it is not supported", _REFUSED[name])
    return ConfigurationError(what, "it is not known", suggest_names(name, known).strip())


def _check_keys(step: str, keys: Keys) -> None:
    known = {each.rstrip("*"): each.endswith("*") for each in _KEYS[step]}
    for key in keys.keys() - known:
        raise _make_error(f"{step}: {key!r}", key, known)
    for key, is_needed in known.items():
        if is_needed and not keys.get(key):
            raise ConfigurationError(step, f"{key} is missing", f"Write {key}: …")


def _fill_in(what: str, value: object) -> object:
    """Return a value with its templates filled in."""
    if not isinstance(value, str) or "{{" not in value:
        return value
    if what == "git_clone: credentials" and (block := _BLOCK.fullmatch(value.strip())):
        return f"{block[1]}/{block[2]}"
    if what == "pip_install_requirements: directory" and _DIRECTORY.match(value):
        return _DIRECTORY.sub("", value, 1)
    remedy = "Write the value, or for credentials the reference of a block: secret/github"
    raise ConfigurationError(what, f"{value!r} is a template", remedy)


def _find_place(place: str, folder: Path) -> str:
    """Return a URL as it is, and a path relative to the file."""
    is_address = "://" in place or "@" in place
    return place if is_address else str(folder / Path(place).expanduser())


def _read_git_clone(found: Pull, keys: Keys) -> Pull:
    given = {key: value for key, value in keys.items() if value is not None}
    directories = given.pop("directories", None)
    if directories is not None and not isinstance(directories, list):
        problem = "it is not a list"
        raise ConfigurationError("git_clone: directories", problem, "Write: [flows, lib]")
    repository = GitRepository(
        str(given["repository"]),
        credentials=_read_text(given, "credentials"),
        branch=_read_text(given, "branch"),
        commit_sha=_read_text(given, "commit_sha"),
        include_submodules=bool(given.get("include_submodules")),
        directories=None if directories is None else tuple(map(str, directories)),
    )
    return found._replace(source=repository)


def _read_text(keys: Keys, key: str) -> str | None:
    value = keys.get(key)
    if value is not None and not isinstance(value, str):
        problem = f"{type(value).__name__} is not a string"  # which may be a part of credentials
        raise ConfigurationError(f"git_clone: {key}", problem, 'Put it in quotes: "1234567"')
    return value


def _read_block(found: Pull, keys: Keys) -> Pull:
    return found._replace(source=f"{keys['block_type_slug']}/{keys['block_document_name']}")


def _read_working_directory(found: Pull, keys: Keys) -> Pull:
    return found._replace(working_dir=str(keys["directory"]))


def _read_requirements(found: Pull, keys: Keys) -> Pull:
    file = str(keys.get("requirements_file") or "requirements.txt")
    return found._replace(requirements=str(PurePosixPath(str(keys.get("directory") or ""), file)))


_READERS: dict[str, Callable[[Pull, Keys], Pull]] = {
    "git_clone": _read_git_clone,
    "pull_with_block": _read_block,
    "set_working_directory": _read_working_directory,
    "pip_install_requirements": _read_requirements,
}
