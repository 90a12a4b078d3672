"""Object paths: the one normalisation, and the folder of a block applied exactly once."""

from __future__ import annotations

import os.path
from pathlib import Path, PurePath

from flowstone.errors import InvalidName, PathEscapes

ObjectPath = str | PurePath


def parts(path: ObjectPath) -> list[str]:
    """Return the parts of a path: empty ones and ``.`` dropped, ``..`` resolved.

    Raises:
        PathEscapes: a ``..`` leads out of where the path begins.
    """
    text = path.as_posix() if isinstance(path, PurePath) else path
    if "\0" in text:
        raise InvalidName("object", text, "it has a NUL character")
    found: list[str] = []
    for part in text.split("/"):
        if part == "..":
            if not found:
                raise PathEscapes(
                    repr(text), "it leads out of the block's folder", "Drop the '..'."
                )
            found.pop()
        elif part not in {"", "."}:
            found.append(part)
    return found


def folder_key(folder: ObjectPath, path: ObjectPath = "") -> str:
    """Return the prefix of a folder's keys: empty, or ending in one slash."""
    both = [*parts(folder), *parts(path)]
    return "/".join(both) + "/" if both else ""


def object_key(folder: ObjectPath, path: ObjectPath) -> str:
    """Return the key of an object in a folder.

    Raises:
        InvalidName: the path names the folder itself.
        PathEscapes: the path leads out of the folder.
    """
    named = parts(path)
    if not named:
        raise InvalidName("object", str(path), "it names the folder itself; add a file name")
    return "/".join([*parts(folder), *named] if folder else named)


def local_path(root: Path, relative: str) -> Path:
    """Return where an object belongs in a local folder.

    Raises:
        PathEscapes: its name would lead out of the folder.
    """
    named = relative.split("/")
    if ".." in named or relative.startswith("/") or os.path.isabs(relative):  # noqa: PTH117 - said of text
        raise PathEscapes(
            repr(relative), f"it would be written outside {root}", "Rename the object."
        )
    return root.joinpath(*parts(relative))
