"""The drivers know what to do for every step, on either side."""

from __future__ import annotations

from typing import get_args

from flowstone.engine import steps
from flowstone.engine.async_driver import AsyncRunDriver
from flowstone.engine.driver import RunDriver


def test_every_step_is_done_in_a_thread_and_on_a_loop() -> None:
    handed_out = {steps.Iterate}  # the caller of the driver does it
    every = set(get_args(steps.Step)) - handed_out
    assert set(RunDriver._IN_A_THREAD) == every
    assert set(AsyncRunDriver._ON_A_LOOP) == every
