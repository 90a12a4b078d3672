"""The built-in observers are as the suite wants every observer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone.cli.run.tree_live import LiveTree
from flowstone.observers.events_file import EventsFile
from flowstone.settings import Settings
from flowstone_testing.conformance import ObserverSuite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TestEventsFile(ObserverSuite):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], EventsFile]:
        return lambda: EventsFile(Settings(home=tmp_path))

    @pytest.fixture
    def kept(self, tmp_path: Path) -> Callable[[], str]:
        path = tmp_path / "events.jsonl"
        return lambda: path.read_text() if path.exists() else ""


class TestLiveTree(ObserverSuite):
    @pytest.fixture
    def trees(self) -> list[LiveTree]:
        return []

    @pytest.fixture
    def make(self, trees: list[LiveTree]) -> Callable[[], LiveTree]:
        def make() -> LiveTree:
            trees.append(LiveTree())
            return trees[-1]

        return make

    @pytest.fixture
    def kept(self, trees: list[LiveTree]) -> Callable[[], str]:
        return lambda: repr([tree.build_branches(0.0) for tree in trees])
