from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import ClassVar

import pytest

from flowstone.blocks import Block, Job, ShellOperation
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.job import JobSuite
from flowstone_testing.groups import is_group_alive


def canary() -> str:
    return f"canary-{secrets.token_hex(12)}"


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
        return is_group_alive
