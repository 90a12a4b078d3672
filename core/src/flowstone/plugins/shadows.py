"""The user's files that are imported in place of modules of the standard library."""

from __future__ import annotations

import os
import sys


def find_shadows() -> dict[str, str]:
    """Return the imported modules with a name of the standard library, and another file.

    A file counts where a search for modules would find it: beside the script, in the current
    directory.
    """
    # Texts, no paths: `pathlib` imports much that may be hidden itself.
    ours = _cut_last(os.__file__)
    entries = set(sys.path)
    found = {}
    for name in sys.stdlib_module_names & sys.modules.keys():
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.endswith(".py"):
            where = _cut_last(file.removesuffix(f"{os.sep}__init__.py"))
            if where in entries and where != ours:
                found[name] = file
    return found


def _cut_last(path: str) -> str:
    return path.rpartition(os.sep)[0]


def describe_shadows() -> str:
    """Return what to do about such files; nothing where there is none."""
    return " ".join(
        f"{file} has the name of the standard module {name!r}, and is imported in its place: "
        "rename it."
        for name, file in sorted(find_shadows().items())
    )
