"""dbt commands that a killed process left running: found by their handles and stopped."""

from __future__ import annotations

import os
from contextlib import suppress
from socket import gethostname
from time import monotonic, sleep
from typing import TYPE_CHECKING

from flowstone.blocks.external_work import cancel_left_behind
from flowstone.blocks.jobs.processes import read_process_name, read_start_time
from flowstone_dbt.errors import DbtError
from flowstone_dbt.process import STEPS

if TYPE_CHECKING:
    from flowstone.records.events import ExternalHandle


def end_left_behind(block: str) -> None:
    """Stop what earlier attempts of the current run left running, before anything runs again."""
    cancel_left_behind(block, end_external, "dbt")


def end_external(handle: ExternalHandle) -> None:
    """Stop a dbt command by its handle, and return when it has ended.

    Raises:
        DbtError: it runs on another machine.
    """
    host, pid, start = read_process_name(handle.id)
    if host != gethostname():
        remedy = f"Run `flowstone run cleanup` on that host, or end process {pid} there."
        raise DbtError(f"{handle.id!r} runs on {host}", remedy)
    for sign, seconds in STEPS:
        end = monotonic() + seconds
        if not start or read_start_time(pid) != start:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, sign)
        while read_start_time(pid) == start and monotonic() < end:
            sleep(0.02)
