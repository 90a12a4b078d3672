"""The official packages, installed or not, and what each one offers.

`load_known_packages.json` is generated from the packages by ``make api``.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TypedDict


class KnownPackage(TypedDict):
    """A known package.

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
    """Return the known packages by the names of their distributions."""
    file = Path(__file__).with_name("known_packages.json")
    found: dict[str, KnownPackage] = json.loads(file.read_text("utf-8"))
    return found


def find_package_offering(kind: str, name: str) -> str | None:
    """Return the known package that has an offer of that kind and name."""
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
