"""Blocks of the user's own, which come from no package."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowstone.blocks import Block
from flowstone.errors import ConfigurationError, UnknownName
from flowstone.plugins import registry

if TYPE_CHECKING:
    from .conftest import InProcess

CANARY = "own-canary-7f3b9c"
CODE = """
from pydantic import SecretStr
from flowstone.blocks import Block

class {name}(Block):
    "Where reports go."
    address: str
    password: SecretStr | None = None
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a module that defines a block; at the end the process has forgotten it."""

    def write(module: str, name: str) -> Path:
        path = tmp_path / f"{module}.py"
        path.write_text(CODE.format(name=name))
        return path

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(registry, "_imported", set())
    before = set(sys.modules)
    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("place", ["own_letterbox", "own_letterbox.py"])
def test_a_module_on_the_command_line_brings_them(cli: InProcess, write: Write, place: str) -> None:
    write("own_letterbox", "Letterbox")
    for command in (["-m", place, "block"], ["block", "-m", place]):
        types = [line.split() for line in cli(*command, "types").out.splitlines()]
        assert ["letterbox", "Letterbox", "own_letterbox"] in types  # beside those of other tests
    every = cli("block", "types", "--json", "-m", place).json
    assert [each["package"] for each in every if each["type"] == "letterbox"] == [None]
    made = cli("block", "create", "letterbox", "desk", "address=a@b.c", "-m", place)
    assert made.out == "Saved letterbox/desk, version 1.\n"
    assert cli("block", "edit", "letterbox/desk", "address=d@e.f", "--module", place).code == 0
    assert cli("block", "ls", "-m", place).out.splitlines()[1].endswith("  ok")


def test_a_manifest_says_how_its_types_are_found(
    cli: InProcess, write: Write, tmp_path: Path
) -> None:
    write("own_drawer", "Drawer")
    manifest = tmp_path / "blocks.yaml"
    manifest.write_text("flowstone: 1\nblocks:\n  drawer/top:\n    fields:\n      address: a@b.c\n")
    refused = cli("apply", str(manifest))
    assert refused.code == 1
    assert "FLOWSTONE_IMPORT=MODULE" in refused.err
    assert cli("-m", "own_drawer", "apply", str(manifest)).code == 0


def test_a_setting_brings_them_wherever_a_block_is_loaded(
    cli: InProcess, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("own_pigeonhole", "Pigeonhole")
    monkeypatch.setenv("FLOWSTONE_IMPORT", "own_pigeonhole")
    cli("block", "create", "pigeonhole", "desk", "address=a@b.c")
    loaded = Block.load("pigeonhole/desk")
    assert loaded.model_dump()["address"] == "a@b.c"
    assert "pigeonhole" in cli("block", "types").out


def test_what_is_saved_stays_readable_where_its_type_is_absent(
    cli: InProcess, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("own_vanished", "Vanished")
    fields = ["address=a@b.c", "password=@-"]
    made = cli("-m", "own_vanished", "block", "create", "vanished", "desk", *fields, stdin=CANARY)
    assert made.code == 0
    monkeypatch.setattr(registry, "_defined", {})
    listed = cli("block", "ls")
    assert "vanished/desk" in listed.out
    assert "its type is not installed" in listed.out
    assert "FLOWSTONE_IMPORT=MODULE" in listed.err
    shown = cli("block", "show", "vanished/desk")
    assert "a@b.c" in shown.out
    assert "password  set" in shown.out
    exported = cli("export")
    assert "vanished/desk" in exported.out
    edited = cli("block", "edit", "vanished/desk", "address=x")
    assert edited.code == 1
    assert "FLOWSTONE_IMPORT=MODULE" in edited.err
    everything = "".join(done.out + done.err for done in (listed, shown, exported, edited))
    assert CANARY not in everything
    assert cli("block", "delete", "vanished/desk").out == "Deleted vanished/desk.\n"


def test_a_module_that_is_not_there_hides_no_block(
    cli: InProcess, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("block", "create", "local-directory", "data", "basepath=/tmp/data")
    monkeypatch.setenv("FLOWSTONE_IMPORT", "own_nowhere")
    listed = cli("block", "ls")
    assert "local-directory/data" in listed.out
    assert "FLOWSTONE_IMPORT: the module 'own_nowhere' can't be found" in listed.err
    assert cli("block", "show", "local-directory/data").code == 0
    with pytest.raises(ConfigurationError, match="own_nowhere"):
        registry.find_block_type("own-anything")
    refused = cli("block", "types", "-m", "own_nowhere")
    assert refused.code == 1
    assert "--module own_nowhere: the module 'own_nowhere' can't be found" in refused.err


def test_a_type_that_a_package_would_bring_is_not_taken_for_ones_own(
    flowstone_services: object,
) -> None:
    with pytest.raises(UnknownName) as caught:
        registry.find_block_type("own-nothing")
    assert "FLOWSTONE_IMPORT" in caught.value.__notes__[0]
    assert all(kind.__module__.partition(".")[0] != "flowstone" for _, kind in registry.list_own())
