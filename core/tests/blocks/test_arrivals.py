"""Objects that are waited for, and new ones that are handed out once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flowstone import flow, task
from flowstone.blocks import LocalDirectory
from flowstone.blocks.object_stores import ObjectInfo, reset_cursor
from flowstone.context.current import services, use_services
from flowstone.errors import ConfigurationError, InvalidName, ObjectTimeout, StorageError
from flowstone.testing.memory import memory_services
from flowstone.transactions import transaction
from flowstone_testing.conformance.clock import SteppedClock
from flowstone_testing.objects import MemoryObjects, MemoryProvider


class ScriptedClock(SteppedClock):
    """Time that passes where somebody sleeps, and what happens then."""

    def __init__(self) -> None:
        super().__init__()
        self.script: list[tuple[float, Callable[[], object]]] = []

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        for at, act in list(self.script):
            if at <= self.now:
                self.script.remove((at, act))
                act()


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[ScriptedClock]:
    clock = ScriptedClock()
    own = replace(memory_services(tmp_path / "home"), clock=clock)
    with use_services(own), closing(own):
        yield clock


@pytest.fixture
def store(clock: ScriptedClock, tmp_path: Path) -> MemoryObjects:
    del clock
    return MemoryObjects(place=str(tmp_path))


def test_an_object_must_stay_unchanged(clock: ScriptedClock, store: MemoryObjects) -> None:
    parts = [b"1", b"12", b"123"]
    for number, content in enumerate(parts):
        clock.script.append((1_010 + 20 * number, partial(store.write_path, "a", content)))
    info = store.wait_for_object("a", 600, 30)
    assert info.size == 3
    assert clock.now >= 1_050 + 30


def test_what_never_stays_is_told(clock: ScriptedClock, store: MemoryObjects) -> None:
    store.write_path("a", b"1")
    for second in range(100):
        clock.script.append((1_000 + second, partial(store.write_path, "a", b"%d" % second)))
    with pytest.raises(ObjectTimeout, match=r"/a: .* did not stay unchanged .* within 60 s"):
        store.wait_for_object("a", 60, 30)
    with pytest.raises(ObjectTimeout, match=r"/b: it did not appear within 60 s\. Pass a longer"):
        store.wait_for_object("b", 60)
    with pytest.raises(ConfigurationError, match="poll_seconds"):
        store.wait_for_object("b", poll_seconds=0)


def test_a_claim_lapses_where_its_holder_died(clock: ScriptedClock, store: MemoryObjects) -> None:
    store.write_path("a", b"1")
    dead = store.new_objects(cursor="c", lease_seconds=60)
    assert len(dead.__enter__()) == 1  # and is never left
    with store.new_objects(cursor="c") as found:
        assert found == []
    clock.now += 61
    with store.new_objects(cursor="c") as found:
        assert len(found) == 1


def test_a_transaction_decides(store: MemoryObjects) -> None:
    store.write_path("a", b"1")

    @task
    def take() -> list[ObjectInfo]:
        with store.new_objects(cursor="c", action="delete") as found:
            return found

    @flow
    def load(fails: bool) -> int:
        with transaction():
            found = take()
            assert store.exists("a")
            if fails:
                raise LookupError
            return len(found)

    with suppress(LookupError):
        load(fails=True)
    assert store.exists("a")
    assert load(fails=False) == 1
    assert not store.exists("a")


class RoundingProvider(MemoryProvider):
    """Tells times to the second when it is asked for one object, as some services of S3's do."""

    def head(self, key: str) -> ObjectInfo:
        info = super().head(key)
        return replace(info, modified=info.modified.replace(microsecond=0))


class RoundingStore(MemoryObjects):
    def make_provider(self) -> MemoryProvider:
        return RoundingProvider(self.place, self.folder)


def test_times_that_are_rounded_change_no_object(store: MemoryObjects) -> None:
    rounding = RoundingStore(place=store.place)
    rounding.write_path("in/a", b"1")
    with rounding.new_objects("in", cursor="c", action="delete") as found:
        assert len(found) == 1
    assert not rounding.exists("in/a")


def test_a_cursor_stands_for_one_folder(store: MemoryObjects) -> None:
    store.write_path("in/a", b"1")
    with store.new_objects("in", cursor="c") as found:
        assert len(found) == 1
    with (
        pytest.raises(ConfigurationError, match=r"cursor 'c': it belongs to .*/in/, not"),
        store.new_objects("out", cursor="c"),
    ):
        pass
    assert reset_cursor("c")
    assert not reset_cursor("c")
    with store.new_objects("in", cursor="c") as found:
        assert len(found) == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"action": "burn"}, "action is 'burn'"),
        ({"action": "move"}, "needs a folder to move"),
        ({"move_to": "done"}, "can't be combined with action='keep'"),
        ({"action": "move", "move_to": "in/done"}, "is inside the folder"),
    ],
)
def test_what_does_not_fit_is_refused(
    store: MemoryObjects, options: dict[str, str], problem: str
) -> None:
    with (
        pytest.raises(ConfigurationError, match=problem),
        store.new_objects("in", cursor="c", **options),  # type: ignore[arg-type]
    ):
        pass


def test_marks_of_what_is_gone_are_forgotten(store: MemoryObjects) -> None:
    for number in range(20):
        store.write_path(f"in/{number}", b"1")
        with store.new_objects("in", cursor="c"):
            pass
        store.delete_object(f"in/{number}")
    assert len(services().documents.get("cursor", "c").body["seen"]) == 1


def test_a_directory_of_this_machine_has_cursors(clock: ScriptedClock, tmp_path: Path) -> None:
    del clock
    store = LocalDirectory(basepath=tmp_path / "data")
    store.write_path("in/a.csv", b"1")
    store.write_path("in/a.tmp", b"1")
    with store.new_objects("in", cursor="c", pattern="*.csv") as found:
        assert [info.path for info in found] == ["in/a.csv"]


def test_a_cursor_remembers_what_another_pattern_found(store: MemoryObjects) -> None:
    for name in ("a.csv", "b.txt"):
        store.write_path(f"in/{name}", b"1")
    for pattern, wanted in (("*.csv", ["in/a.csv"]), ("*.txt", ["in/b.txt"]), ("*.csv", [])):
        with store.new_objects("in", cursor="c", pattern=pattern) as found:
            assert [info.path for info in found] == wanted
    with store.new_objects("in", cursor="c") as found:
        assert found == []


@pytest.mark.parametrize("pattern", ["", "!a", "# a"])
def test_a_pattern_that_matches_nothing_is_refused(store: MemoryObjects, pattern: str) -> None:
    with pytest.raises(StorageError, match="matches nothing"):
        store.list_objects(pattern=pattern)
    with (
        pytest.raises(StorageError, match="matches nothing"),
        store.new_objects(cursor="c", pattern=pattern),
    ):
        pass


def test_negative_numbers_are_refused(store: MemoryObjects) -> None:
    with pytest.raises(StorageError, match="max_items is -1"):
        store.list_objects(max_items=-1)
    with (
        pytest.raises(StorageError, match="max_items is -1"),
        store.new_objects(cursor="c", max_items=-1),
    ):
        pass
    with (
        pytest.raises(ConfigurationError, match="lease_seconds is -1"),
        store.new_objects(cursor="c", lease_seconds=-1),
    ):
        pass
    with pytest.raises(InvalidName, match="can't be the name of a cursor: use 1 to 200"):
        reset_cursor("a/b")


def test_a_text_is_no_content(store: MemoryObjects) -> None:
    text: Any = "text"
    with pytest.raises(TypeError, match=r"write_path\('a'\) takes bytes, not str"):
        store.write_path("a", text)


def test_options_of_a_tool_that_is_unknown_are_refused(store: MemoryObjects) -> None:
    tool: Any = "dask"
    with pytest.raises(StorageError, match="no storage_options for 'dask'"):
        store.storage_options(tool)
