"""PluginSuite: what every package that comes in by the plugin door does."""

# ruff: noqa: S603 - the code is the suite's own

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from typing import ClassVar

from flowstone.blocks import Block
from flowstone.plugins import Plugin, format_kind, get_host
from flowstone_testing.conformance.suite import Suite

MOST_LINES = 40


class PluginSuite(Suite):
    """Join with class attributes; the package must be installed.

    Attributes:
        plugin: the name of the entry point in group ``flowstone``.
        package: the module whose `__all__` is public: ``flowstone_aws``.
        sdks: modules that are heavy, or optional, and that listing must not load.
    """

    plugin: ClassVar[str]
    package: ClassVar[str]
    sdks: ClassVar[tuple[str, ...]] = ()

    def test_it_loads(self) -> None:
        """Read the traceback: the plugin module, or a name that another package has, breaks it."""
        assert not self._find_plugin().traceback

    def test_the_module_is_short(self) -> None:
        """Keep the plugin module to hook implementations: tables of names, no code."""
        module = import_module(self._find_plugin().module)
        assert module.__file__
        lines = Path(module.__file__).read_text("utf-8").splitlines()
        assert len(lines) <= MOST_LINES

    def test_listing_loads_no_sdk(self) -> None:
        """Find who imports the modules that are named, and import them where they are used."""
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
        """Sort the tables: people look for names in them."""
        for kind, table in self._find_plugin().collection.tables().items():
            assert list(table) == sorted(table), f"the {format_kind(kind)}s are not sorted"

    def test_everything_it_lists_is_there(self) -> None:
        """Look at the target that is named: it was renamed, or is abstract.

        Write all methods that an interface leaves to its providers.
        """
        for kind, table in self._find_plugin().collection.tables().items():
            for name in table:
                found = get_host().load(kind, name)
                assert callable(found)
                left = sorted(getattr(found, "__abstractmethods__", ()))
                assert not left, f"{format_kind(kind)} {name!r} does not write {', '.join(left)}"

    def test_blocks_are_listed_under_their_slugs(self) -> None:
        """Look at the type's name, or give it a `_block_type_slug`."""
        for slug in self._find_plugin().collection.blocks:
            assert get_host().load("block", slug).block_type_slug() == slug

    def test_every_public_block_type_is_listed(self) -> None:
        """List the types that are named: what is not listed can't be found by its slug."""
        package = import_module(self.package)
        public = [getattr(package, name) for name in package.__all__]
        types = [
            found
            for found in public
            if isinstance(found, type) and issubclass(found, Block) and not isabstract(found)
        ]
        listed = [get_host().load("block", slug) for slug in self._find_plugin().collection.blocks]
        assert not [found for found in types if found is not Block and found not in listed]

    def _find_plugin(self) -> Plugin:
        found = [plugin for plugin in get_host().plugins() if plugin.name == self.plugin]
        assert found, f"no installed package has an entry point {self.plugin!r}: install it"
        return found[0]
