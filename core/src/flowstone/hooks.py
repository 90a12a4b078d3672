"""Hooks as decorators: what is called when a run has come into a state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowstone.states import StateType

if TYPE_CHECKING:
    from flowstone.specs import Hook, Spec


class Hooked:
    """Something with a spec, whose hooks can be added to."""

    spec: Spec

    def _hooked(self, kind: StateType, hook: Hook) -> Hook:
        hooks = {**self.spec.hooks, kind: (*self.spec.hooks.get(kind, ()), hook)}
        self.spec = replace(self.spec, hooks=hooks)
        return hook

    def on_running(self, hook: Hook) -> Hook:
        """Call ``hook(unit, run, state)`` when a run has started; use it as a decorator."""
        return self._hooked(StateType.RUNNING, hook)

    def on_completion(self, hook: Hook) -> Hook:
        """Call ``hook(unit, run, state)`` when a run has completed; use it as a decorator."""
        return self._hooked(StateType.COMPLETED, hook)

    def on_failure(self, hook: Hook) -> Hook:
        """Call ``hook(unit, run, state)`` when a run has failed; use it as a decorator."""
        return self._hooked(StateType.FAILED, hook)

    def on_cancellation(self, hook: Hook) -> Hook:
        """Call ``hook(unit, run, state)`` when a run was cancelled; use it as a decorator."""
        return self._hooked(StateType.CANCELLED, hook)

    def on_crashed(self, hook: Hook) -> Hook:
        """Call ``hook(unit, run, state)`` when a run has crashed; use it as a decorator."""
        return self._hooked(StateType.CRASHED, hook)
