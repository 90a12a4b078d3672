"""The environments of runs whose deployments list requirements."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from flowstone.blocks.jobs.processes import run_command
from flowstone.code.environments import (
    create_environment,
    find_environment,
    find_python,
    install_lock,
    install_packages,
    list_own_requirements,
)
from flowstone.code.requirements import check_requirements, check_requirements_file
from flowstone.code.snapshots import copy_snapshot, read_snapshot
from flowstone.context.current import services
from flowstone.errors import ConfigurationError, suggest_names
from flowstone.records.runs import Environment

if TYPE_CHECKING:
    from flowstone.records.runs import CodeVersion

PROJECT, LOCK = "pyproject.toml", "uv.lock"
#: A line of a requirements file that refers to other files: an option, a path, a URL of a file.
_REFERS = re.compile(rb"^\s*(-r|-c|--requirement|--constraint|\.|/)|@\s*file:", re.MULTILINE)
_EDITABLE = re.compile(rb"^\s*(-e|--editable)\b", re.MULTILINE)
#: What a project says of packages that are directories of it.
_PATH = re.compile(rb"\bpath\s*=")


def read_requirements(given: object) -> Environment:
    """Return the environment for a deployment's option.

    Args:
        given: requirements as for pip, or the name of a file in the code that lists them.

    Raises:
        ConfigurationError: they are not valid.
    """
    if isinstance(given, str):
        path = PurePosixPath(given)
        if path.suffix != ".txt" and path.name not in {PROJECT, LOCK}:
            problem = f"{given!r} is not a requirements file"
            remedy = f"Name a .txt file, {PROJECT} or {LOCK}; or pass a list of requirements."
            raise ConfigurationError("requirements", problem, remedy)
        return Environment(file=str(path))
    if not isinstance(given, Iterable):
        remedy = "Pass a list of requirements, or the name of a file."
        raise ConfigurationError("requirements", f"{given!r} is not a list", remedy)
    listed = tuple(given)
    check_requirements(listed)
    return Environment(listed)


def check_environment_file(environment: Environment, code: CodeVersion | None) -> None:
    """Check that the code has the file that lists the packages of its environment.

    Raises:
        ConfigurationError: it does not, or the file is not valid.
    """
    if environment.file is not None:
        if code is None or code.snapshot is None:
            problem = f"{environment.file!r} is a file of code that no longer exists"
            remedy = "Pass a list of requirements, or deploy the flow."
            raise ConfigurationError("requirements", problem, remedy)
        for name, content in _read_files(environment.file, code.snapshot).items():
            check_requirements_file(name, content)


def is_in_environment(environment: Environment, code: CodeVersion | None) -> bool:
    """Return whether this process has the environment of a run.

    Raises:
        ConfigurationError: the file that describes it no longer exists.
    """
    return _find(environment, code).resolve() == Path(sys.prefix).resolve()


def make_run_environment(environment: Environment, code: CodeVersion | None) -> Path:
    """Return the directory of a run's environment, creating it if needed.

    It contains the running version of Flowstone, or the one in a lock file.

    Raises:
        ConfigurationError: it can't be created; the message says why.
    """
    made = _find(environment, code)

    def install() -> None:
        if environment.file is None:
            install_packages(made, *environment.requirements, *list_own_requirements())
        else:
            _install_file(made, environment.file, _get_snapshot(code))

    return create_environment(made, install)


def _find(environment: Environment, code: CodeVersion | None) -> Path:
    """Return the path of an environment, which depends on everything that affects it."""
    cache = services().settings.home / "environments"
    file = environment.file
    if file is None:
        return find_environment(cache, *sorted(environment.requirements), *list_own_requirements())
    own = [] if PurePosixPath(file).name == LOCK else list_own_requirements()
    return find_environment(cache, file, _hash(file, _get_snapshot(code)), *own)


def _get_snapshot(code: CodeVersion | None) -> str:
    assert code is not None
    assert code.snapshot is not None  # see `check_environment_file`
    return code.snapshot


def _install_file(made: Path, file: str, snapshot: str) -> None:
    with TemporaryDirectory(prefix="flowstone-code-") as directory:
        folder = Path(directory, "code")
        copy_snapshot(snapshot, folder)
        place = folder / file
        if place.name == LOCK:
            install_lock(made, place.parent)
        else:
            own = list_own_requirements()
            install_packages(made, "-r", place.name, *own, cwd=place.parent)
    if run_command([str(find_python(made)), "-c", "import flowstone"]).returncode:
        remedy = "Add it to the dependencies of the project, and lock them again."
        raise ConfigurationError("environment", f"{file} has no flowstone", remedy)


def _read_files(file: str, snapshot: str) -> dict[str, bytes]:
    """Return the files that an environment's file depends on, by their names."""
    files = {each.path: each.content for each in read_snapshot(snapshot)}
    names = [file]
    if PurePosixPath(file).name == LOCK:
        names.append(str(PurePosixPath(file).with_name(PROJECT)))
    for name in names:
        if name not in files:
            near = [each for each in files if each.endswith((".txt", PROJECT, LOCK))]
            remedy = suggest_names(name, near).strip() or "Correct the path."
            raise ConfigurationError("requirements", f"the code has no file {name!r}", remedy)
    if file.endswith(".txt") and _EDITABLE.search(files[file]):
        problem = f"{file} has an editable package, whose files are deleted when the run ends"
        raise ConfigurationError("requirements", problem, "Name its path without -e.")
    return {name: files[name] for name in names}


def _hash(file: str, snapshot: str) -> str:
    """Return a hash of a file and everything that it refers to."""
    contents = _read_files(file, snapshot).values()
    refers = _REFERS if file.endswith(".txt") else _PATH
    if any(map(refers.search, contents)):
        return snapshot
    return sha256(b"\0".join(contents)).hexdigest()
