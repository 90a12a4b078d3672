"""The packages that are made beside the core, and what each would bring, were it installed.

`load_known_packages.json` is made of the packages themselves by ``make api``.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TypedDict


class KnownPackage(TypedDict):
    """What is known of a package.

    Attributes:
        summary: what it is for, in a sentence.
        exports: the public names of its module.
        offers: the names that it offers of each kind: ``block``, ``task``, ``command`` …
    """

    summary: str
    exports: list[str]
    offers: dict[str, list[str]]


@cache
def load_known_packages() -> dict[str, KnownPackage]:
    """Return the known packages by the name of their distribution."""
    file = Path(__file__).with_name("known_packages.json")
    found: dict[str, KnownPackage] = json.loads(file.read_text("utf-8"))
    return found


def find_package_offering(kind: str, name: str) -> str | None:
    """Return the known package that offers something of a kind by that name."""
    for package, known in load_known_packages().items():
        if name in known["offers"].get(kind, ()):
            return package
    return None


def find_package_exporting(name: str) -> str | None:
    """Return the known package whose module has that public name."""
    for package, known in load_known_packages().items():
        if name in known["exports"]:
            return package
    return None
