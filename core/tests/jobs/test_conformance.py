from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest

from flowstone.blocks import Block, Job, ShellOperation
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.job import JobSuite


def canary() -> str:
    return f"canary-{secrets.token_hex(12)}"


def group_alive(handle: str) -> bool:
    group = handle.split("/")[1]
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            found.append(path.read_text().rpartition(")")[2].split())
    return any(facts[2] == group and facts[0] not in "ZX" for facts in found)


class TestShellBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [
            ShellOperation(commands=["ls"]),
            ShellOperation(
                commands=["ls", "-l"],
                direct=True,
                env={"A": "b"},
                secret_env={"TOKEN": canary()},
                working_dir="/tmp",
                shell="sh",
                extension=".sh",
                output="text",
            ),
        ]


class TestShellOperation(JobSuite):
    wanted: ClassVar = ["one", "zwei ü", "three"]
    lines: ClassVar = ["one", "zwei ü", "three"]

    @pytest.fixture
    def good(self) -> Job:
        return ShellOperation(commands=["echo one", "echo 'zwei ü'", "printf three"])

    @pytest.fixture
    def bad(self) -> Job:
        commands = ["echo using $TOKEN >&2", "exit 3"]
        return ShellOperation(commands=commands, secret_env={"TOKEN": canary()})

    @pytest.fixture
    def long(self) -> Job:
        return ShellOperation(commands=["sleep 300 & sleep 300", "echo no"])

    @pytest.fixture
    def alive(self) -> Callable[[str], bool]:
        return group_alive
