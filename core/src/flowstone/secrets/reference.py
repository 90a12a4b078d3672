"""References to secrets, as text: ``env:NAME``, ``provider:name#json.path@version``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from inspect import isabstract, isclass
from typing import Any
from urllib.parse import unquote

from pydantic_core import PydanticCustomError

from flowstone import plugins  # its host is loaded on first use
from flowstone.plugins import registry

#: The kind of secret providers in the catalog.
KIND = "secret_provider"
LITERAL = "literal:"
#: The two that every installation has, which need no lookup in plugins.
BUILT_IN = ("env", "file")
#: Not a URL, which has two slashes there, unless it is a file's.
_FORM = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)(?:/([A-Za-z0-9._-]{1,200}))?:(?!//)(.+)")
_FILE = re.compile(r"(file):()(//.+)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A parsed reference.

    Attributes:
        provider: the name of a secret provider.
        block: the name of a saved block of that provider's type; "" for one with no field set.
        rest: the text after the colon.
    """

    provider: str
    block: str
    rest: str

    def parts(self, *, versions: bool) -> tuple[str, list[str], str | None]:
        """Return the secret's name, the keys of the path in its JSON, and its version.

        Args:
            versions: whether the provider has versions; without them, ``@`` has no special meaning.
        """
        rest, version = self.rest, None
        if versions and "@" in rest:
            rest, _, version = rest.rpartition("@")
        name, _, path = rest.partition("#")
        steps = [unquote(step) for step in path.split(".")] if path else []
        return unquote(name), steps, unquote(version) if version is not None else None


def split(text: str) -> Wanted | None:
    """Return the parsed reference if a text has the form of one, with any provider."""
    found = (_FORM.fullmatch(text) or _FILE.fullmatch(text)) if text.isprintable() else None
    return Wanted(found[1], found[2] or "", found[3]) if found else None


def is_reference(text: str) -> bool:
    """Return whether the text of a secret field is a reference, that is, its provider is known.

    Raises:
        ValueError: its provider is similar to a known one, and so was misspelled.
    """
    wanted = split(text)
    if wanted is None or text.startswith(LITERAL):
        return False
    if wanted.provider in BUILT_IN or wanted.provider in (known := providers()):
        return True
    # Takes 2 ms to import; only needed for a text of that form.
    from difflib import get_close_matches

    near = get_close_matches(wanted.provider.lower(), known, n=1, cutoff=0.8)
    if near:
        # Not the rest: the text may be a secret after all.
        problem = (
            f"it looks like a reference, and there is no secret provider {wanted.provider!r}: "
            f"did you mean '{near[0]}:…'? Write '{LITERAL}' before a secret that looks like one"
        )
        raise PydanticCustomError("secret_reference", "{problem}", {"problem": problem})
    return False


def refers(value: object) -> bool:
    """Return whether a value is the text of a reference; False if it is misspelled."""
    try:
        return isinstance(value, str) and is_reference(value)
    except ValueError:
        return False


def is_literal(text: str) -> bool:
    """Return whether a text is marked as not being a reference."""
    return text.startswith(LITERAL)


def escape(text: str) -> str:
    """Escape a text so that it is read back unchanged, and never as a reference."""
    return LITERAL + text if is_literal(text) or split(text) is not None else text


def providers() -> list[str]:
    """Return the names of the secret providers of installed packages and of this process."""
    offered = [offer.name for offer in plugins.get_host().offers(KIND)]
    return sorted({*offered, *(slug for slug, kind in registry.list_defined() if _provides(kind))})


def provider_type(name: str) -> Any:
    """Return the class of a secret provider.

    Raises:
        UnknownName: no installed package has it; the message lists similar names.
        PluginBroken: its package can't be loaded.
    """
    own = dict(registry.list_defined()).get(name)
    return own if _provides(own) else plugins.get_host().load(KIND, name)


def _provides(kind: object) -> bool:
    # By its mark: the interface can't be imported here.
    marked = isclass(kind) and getattr(kind, "_provides_secrets", False) is True
    return marked and not isabstract(kind)
