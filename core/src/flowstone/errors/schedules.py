"""Errors of schedules and deployments."""

from __future__ import annotations

from flowstone.errors.base import FlowstoneError


class ScheduleInvalid(FlowstoneError, ValueError):
    """A schedule has an invalid rule, time zone or option.

    Args:
        rule: the schedule as it was written.
        problem: the problem.
        remedy: what to write instead.
        wrong: the range of the problem in the rule: the first character, and the one after the
            last.
    """

    def __init__(
        self, rule: str, problem: str, remedy: str, wrong: tuple[int, int] | None = None
    ) -> None:
        self.rule, self.problem, self.remedy, self.wrong = rule, problem, remedy, wrong
        pointed = ""
        if isinstance(wrong, tuple):
            start, end = wrong
            pointed = f"\n    {rule}\n    {' ' * start}{'^' * max(1, end - start)}"
        super().__init__(f"the schedule {rule!r} can't be used: {problem}. {remedy}{pointed}")
