"""Files that shadow modules of the standard library."""

from __future__ import annotations

import os
import sys


def find_shadows() -> dict[str, str]:
    """Return the imported modules that shadow one of the standard library, with their files.

    Only files in a directory of `sys.path` count, such as that of the script.
    """
    # Strings, not paths: what `pathlib` imports may be shadowed itself.
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
    """Return how to fix each shadowed module; an empty string if there is none."""
    return " ".join(
        f"{file} has the name of the standard module {name!r}, and is imported in its place. "
        "Rename the file."
        for name, file in sorted(find_shadows().items())
    )
