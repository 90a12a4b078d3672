"""PluginSuite: the standard tests of all packages with a plugin."""

# ruff: noqa: S603 - the code is the suite's own

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from inspect import isabstract
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from flowstone.blocks import Block
from flowstone.plugins import Plugin, format_kind, get_host
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

MOST_LINES = 40


class PluginSuite(Suite):
    """Join with class attributes; the package must be installed.

    Attributes:
        plugin: the name of the entry point in group ``flowstone``.
        package: the module whose `__all__` is public: ``flowstone_aws``.
        sdks: heavy or optional modules that listing must not load.
        handed_in: modules of which the package only receives objects, from callers that have them.
    """

    plugin: ClassVar[str]
    package: ClassVar[str]
    sdks: ClassVar[tuple[str, ...]] = ()
    handed_in: ClassVar[frozenset[str]] = frozenset({"pandas", "polars"})

    def test_it_loads(self) -> None:
        """Read the traceback: the plugin module fails, or another package has the same name."""
        assert not self._find_plugin().traceback

    def test_the_module_is_short(self) -> None:
        """Limit the plugin module to hook implementations: tables of names, no code."""
        module = import_module(self._find_plugin().module)
        assert module.__file__
        lines = Path(module.__file__).read_text("utf-8").splitlines()
        assert len([line for line in lines if not line.lstrip().startswith("#")]) <= MOST_LINES

    def test_listing_loads_no_sdk(self) -> None:
        """Find the imports of the named modules, and import them where they are used."""
        module = self._find_plugin().module
        code = (
            f"import sys, {self.package}, {module}\n"
            f"{module}.collection()\n"
            f"print(*(name for name in {self.sdks!r} if name in sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == []

    def test_names_are_sorted(self) -> None:
        """Sort the tables, so that people find names in them."""
        for kind, table in self._find_plugin().collection.tables().items():
            assert list(table) == sorted(table), f"the {format_kind(kind)}s are not sorted"

    def test_everything_it_lists_is_there(self) -> None:
        """Look at the named target: it was renamed, or is abstract.

        Implement all abstract methods of its interface.
        """
        for kind, table in self._find_plugin().collection.tables().items():
            for name in table:
                found = get_host().load(kind, name)
                assert callable(found)
                left = sorted(getattr(found, "__abstractmethods__", ()))
                assert not left, f"{format_kind(kind)} {name!r} does not define {', '.join(left)}"

    def test_blocks_are_listed_under_their_slugs(self) -> None:
        """Look at the type's name, or give it a `_block_type_slug`."""
        for slug in self._find_plugin().collection.blocks:
            assert get_host().load("block", slug).block_type_slug() == slug

    def test_every_public_block_type_is_listed(self) -> None:
        """List the named types: a type that is not listed can't be found by its slug."""
        package = import_module(self.package)
        public = [getattr(package, name) for name in package.__all__]
        types = [
            found
            for found in public
            if isinstance(found, type) and issubclass(found, Block) and not isabstract(found)
        ]
        listed = [get_host().load("block", slug) for slug in self._find_plugin().collection.blocks]
        assert not [found for found in types if found is not Block and found not in listed]

    def test_dependencies_have_lower_bounds(self) -> None:
        """Require the oldest tested version of the named dependencies: ``httpx>=0.28``."""
        bare = [
            line
            for line in self._list_requirements()
            if "@" not in line and not re.search(r"(?<![<!])[=>~]=|>", line.partition(";")[0])
        ]
        assert bare == []

    def test_what_is_imported_is_declared(self) -> None:
        """Add the named distributions to `dependencies`, or to an extra.

        A transitive dependency may be missing from the next version of the one that requires it.
        """
        names = (re.match(r"[\w.-]+", line) for line in self._list_requirements())
        declared = {normalize_name(found.group()) for found in names if found}
        declared |= {pin for name in declared for pin in _find_pins(name)}
        declared.add(normalize_name(self._find_plugin().distribution))
        homes = packages_distributions()
        missing = {
            " or ".join(sorted(set(homes.get(module, [module]))))
            for module in find_imports(import_module(self.package)) - self.handed_in
            if not declared & set(map(normalize_name, [module, *homes.get(module, ())]))
        }
        assert sorted(missing) == []

    def _list_requirements(self) -> list[str]:
        """Return the requirements of the installed distribution, extras included."""
        return requires(self._find_plugin().distribution) or []

    def _find_plugin(self) -> Plugin:
        found = [plugin for plugin in get_host().plugins() if plugin.name == self.plugin]
        assert found, f"no installed package has an entry point {self.plugin!r}: install it"
        return found[0]


def normalize_name(name: str) -> str:
    """Return the normalized name of a distribution."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _find_pins(distribution: str) -> set[str]:
    """Return the dependencies that a distribution pins: pydantic-core for pydantic."""
    try:
        needed = requires(distribution) or []
    except PackageNotFoundError:
        return set()
    pins = (re.match(r"([\w.-]+)==[\d.]+$", line) for line in needed)
    return {normalize_name(found[1]) for found in pins if found}


def find_imports(package: ModuleType) -> set[str]:
    """Return the top-level modules that a package imports, without its own and Python's."""
    folders = [Path(path) for path in getattr(package, "__path__", ())]
    files = [file for folder in folders for file in folder.rglob("*.py")]
    files = files or [Path(str(package.__file__))]
    found = {name for file in files for name in _iterate_imports(ast.parse(file.read_bytes()))}
    return found - sys.stdlib_module_names - {package.__name__}


def _iterate_imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
        yield node.module.partition(".")[0]
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        node = ast.Module(node.orelse, [])
    for child in ast.iter_child_nodes(node):
        yield from _iterate_imports(child)
