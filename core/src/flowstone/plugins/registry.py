"""Block types by slug: those that this process has defined, and those of packages."""

from __future__ import annotations

import re
import sys
from operator import attrgetter, itemgetter
from typing import Any
from weakref import ref

from flowstone import plugins  # its host is loaded on first use
from flowstone.errors import ConfigurationError, InvalidName, UnknownName
from flowstone.settings import read_settings

_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")

#: The classes of each slug, the newest last. Weak references, so that a class from a test or a
#: notebook cell can be freed; then the previous one is used again.
_defined: dict[str, list[ref[type]]] = {}


def define(slug: str, kind: type[Any]) -> None:
    """Register a class by its slug; the newest class with a slug is used.

    A class whose name begins with an underscore is a base class: it is never saved, and its slug
    may belong to another class.

    Raises:
        ConfigurationError: its `schema_version` is not valid.
    """
    version = kind.schema_version
    if type(version) is not int or version < 1:
        problem = f"{version!r} is not a version"
        remedy = "Start at 1, and add 1 whenever the fields change."
        raise ConfigurationError(f"{kind.__name__}.schema_version", problem, remedy)
    if not kind.__name__.startswith("_"):
        alive = [found for found in _defined.get(slug, ()) if found() is not None]
        _defined[slug] = [*alive, ref(kind)]


def list_defined() -> list[tuple[str, type[Any]]]:
    """Return the block types that this process has defined or loaded, with their slugs."""
    found = [(slug, _find_defined(slug)) for slug in list(_defined)]
    return [(slug, kind) for slug, kind in found if kind is not None]


def _find_defined(slug: str) -> type | None:
    """Return the newest class with a slug, preferably one that can be found in its module.

    Unpickling a class first creates an empty copy. If the class exists, the copy is dropped, but it
    may not be collected at once.
    """
    alive = [kind for found in _defined.get(slug, ()) if (kind := found()) is not None]
    return next(filter(_is_in_its_module, reversed(alive)), alive[-1] if alive else None)


def _is_in_its_module(kind: type) -> bool:
    try:
        return attrgetter(kind.__qualname__)(sys.modules[kind.__module__]) is kind
    except (AttributeError, KeyError):
        return False


def find_block_type(slug: str) -> Any:
    """Return the block class with a slug.

    Raises:
        UnknownName: no class of this process, no module of the setting FLOWSTONE_IMPORT and no
            installed package has it.
        ConfigurationError: such a module can't be imported.
        PluginBroken: its package can't be loaded.
    """
    if found := _find_defined(slug):
        return found
    import_own_modules()
    if found := _find_defined(slug):
        return found
    try:
        return plugins.get_host().load("block", slug)
    except UnknownName as error:
        if error.package is None:
            error.add_note(HOW_TO_FIND)
        raise


#: How to make the type of a saved block known.
HOW_TO_FIND = (
    "If you defined the type yourself, import its module: use `flowstone -m MODULE …`, or set "
    "FLOWSTONE_IMPORT=MODULE."
)


def list_own() -> list[tuple[str, type]]:
    """Return the block types that don't belong to a package, with their slugs, by name.

    Raises:
        ConfigurationError: a module of the setting FLOWSTONE_IMPORT can't be imported.
    """
    import_own_modules()
    packages = {plugin.module.partition(".")[0] for plugin in plugins.get_host().plugins()}
    return sorted(
        (
            (slug, kind)
            for slug, kind in list_defined()
            if kind.__module__.partition(".")[0] not in packages
        ),
        key=itemgetter(0),
    )


def import_own_modules() -> None:
    """Import the modules of the setting FLOWSTONE_IMPORT, unless they are imported already.

    Raises:
        ConfigurationError: one can't be imported.
    """
    for place in read_settings().imports:
        if place not in _imported:
            # Takes 10 ms to import; only needed with such a setting.
            from flowstone.plugins.modules import import_code

            import_code(place, "FLOWSTONE_IMPORT")
            _imported.add(place)


_imported: set[str] = set()


def to_kebab(name: str) -> str:
    """Return ``local-directory`` for ``LocalDirectory`` and for ``Local Directory``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name)
    return re.sub(r"[^a-z0-9]+", "-", spaced.lower()).strip("-")


def slugify(title: str) -> str:
    """Return ``oauth-login`` for ``OAuth Login``: words stay whole."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def check_name(what: str, name: object) -> str:
    """Return a name if it is valid for saving.

    Raises:
        InvalidName: it is empty, too long, or has characters that are not allowed.
    """
    if isinstance(name, str) and _NAME.fullmatch(name) and name.strip("."):
        return name
    if name is None and what == "block":
        raise InvalidName(what, "", "it was not saved before, so it has none yet")
    rule = "use 1 to 200 letters, digits, '-', '_' and '.', and not only dots"
    raise InvalidName(what, str(name), rule)
