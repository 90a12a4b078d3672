"""Pin the code of a deployment: store its current version."""

from __future__ import annotations

import sys
import sysconfig
from importlib.metadata import packages_distributions, version
from pathlib import Path

from flowstone.code.snapshots import save_snapshot
from flowstone.errors import ConfigurationError
from flowstone.records.runs import CodeVersion


def pin_directory(folder: Path, package: str = "", *, is_workdir: bool) -> CodeVersion:
    """Store the files of a directory.

    Args:
        folder: the directory.
        package: the name of a directory in it, to store only that.
        is_workdir: whether runs start in their copy of it.

    Raises:
        ConfigurationError: there is no such directory, it is too large, or can't be read.
    """
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        problem = "there is no such directory"
        raise ConfigurationError(f"the code {str(folder)!r}", problem, "Correct the path.")
    return CodeVersion(str(folder / package), save_snapshot(folder, package), is_workdir)


def pin_entrypoint(entrypoint: str) -> tuple[str, CodeVersion]:
    """Store the code of a flow in a local file or module.

    That is the directory of the file, or the outermost package of the module. The code of an
    installed package is not pinned.

    Args:
        entrypoint: ``/path/to/file.py:flow`` or ``package.module:flow``.

    Returns:
        The entrypoint in that code, and its version.

    Raises:
        ConfigurationError: the directory is too large, or can't be read.
    """
    place = entrypoint.rpartition(":")[0]
    if place.endswith(".py"):
        return pin_flow_file(entrypoint, Path(place).parent)
    folder = _find_root(place)
    if folder is None:
        return entrypoint, CodeVersion(_describe_package(place))
    package = place.partition(".")[0]
    return entrypoint, pin_directory(folder, package, is_workdir=False)


def pin_flow_file(entrypoint: str, project: Path) -> tuple[str, CodeVersion]:
    """Store the code of a flow's project; for a file outside of it, the file's directory.

    Args:
        entrypoint: ``/path/to/file.py:flow``, or ``package.module:flow`` of the project.
        project: the directory of the project.

    Returns:
        The entrypoint in that code, and its version.

    Raises:
        ConfigurationError: the directory is too large, or can't be read.
    """
    place, _, name = entrypoint.rpartition(":")
    if not place.endswith(".py"):
        return entrypoint, pin_directory(project, is_workdir=False)
    file = Path(place)
    folder = project if file.is_relative_to(project) else file.parent
    inside = file.relative_to(folder).as_posix()
    return f"{inside}:{name}", pin_directory(folder, is_workdir=False)


def _find_root(module: str) -> Path | None:
    """Return the parent directory of a module's outermost package; None for an installed one.

    The module has been imported already, since the flow is defined in it.
    """
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        file = getattr(sys.modules.get("__main__"), "__file__", None)  # for `python -m`
    if file is None:
        return None
    path = Path(file).absolute()
    parts = module.split(".")
    count = len(parts) if path.stem == "__init__" else len(parts) - 1
    root = path.parents[count]
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return None if str(root) in installed else root


def _describe_package(module: str) -> str:
    top = module.partition(".")[0]
    for distribution in packages_distributions().get(top, ()):
        return f"the installed package {distribution} {version(distribution)}"
    return f"the installed module {top}"
