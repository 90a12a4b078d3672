from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from flowstone.cli.app import flowstone
from flowstone_testing.programs import Home, ProgramResult

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.context.current import Services


class InProcess:
    """The command line in this process, on services in memory."""

    def __call__(self, *args: str, stdin: str | None = None) -> ProgramResult:
        done = CliRunner().invoke(
            flowstone, args, input=stdin, prog_name="flowstone", catch_exceptions=False
        )
        return ProgramResult(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def cli(flowstone_services: Services) -> InProcess:
    return InProcess()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, os.environ)
