"""Errors of schedules and deployments."""

from __future__ import annotations

from flowstone.errors.base import FlowstoneError


class ScheduleInvalid(FlowstoneError, ValueError):
    """A schedule has a rule, a time zone or an option that can't be used.

    Args:
        rule: the schedule as it was written.
        problem: what is wrong.
        remedy: what to write instead.
        wrong: where the rule is wrong: the first character, and the one after the last.
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
