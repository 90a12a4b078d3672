"""Hooks as decorators: functions that are called when a run has entered a state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.engine.functions import is_async_generator_function, is_coroutine_function
from flowstone.records.record import evolve
from flowstone.records.states import StateType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from flowstone.blocks import Notifier
    from flowstone.records.runs import Run
    from flowstone.records.specs import Hook, Spec
    from flowstone.records.states import State


class HookMethods:
    """The methods of a flow or task that add hooks."""

    spec: Spec

    def _add_hook(self, kind: StateType, hook: Hook) -> Hook:
        hooks = {**self.spec.hooks, kind: (*self.spec.hooks.get(kind, ()), hook)}
        self.spec = evolve(self.spec, hooks=hooks)
        return hook

    def on_running(self, hook: Hook) -> Hook:
        """Call ``hook(unit, run, state)`` when a run has started; use it as a decorator."""
        return self._add_hook(StateType.RUNNING, hook)

    def on_completion(self, hook: Hook) -> Hook:
        """Call ``hook(unit, run, state)`` when a run has completed; use it as a decorator."""
        return self._add_hook(StateType.COMPLETED, hook)

    def on_failure(self, hook: Hook) -> Hook:
        """Call ``hook(unit, run, state)`` when a run has failed; use it as a decorator."""
        return self._add_hook(StateType.FAILED, hook)

    def on_cancellation(self, hook: Hook) -> Hook:
        """Call ``hook(unit, run, state)`` when a run was cancelled; use it as a decorator."""
        return self._add_hook(StateType.CANCELLED, hook)

    def on_crashed(self, hook: Hook) -> Hook:
        """Call ``hook(unit, run, state)`` when a run has crashed; use it as a decorator."""
        return self._add_hook(StateType.CRASHED, hook)


def notify_by(notifier: Notifier | str) -> Callable[[Any, Run, State], Awaitable[None] | None]:
    """Return a hook that sends a notification about the state of a run.

    It has the flow's or task's name, the run's name, id and state, and the state's message, with
    secrets masked. If it can't be sent, that is logged in the run's log, and has no other effect.

    Args:
        notifier: a `Notifier`, or the name of a saved one, such as ``"webhook/alerts"``, which is
            loaded when the hook is called.
    """

    def send(run: Run, state: State) -> None:
        # 40 ms to import, which a run without notifications doesn't need.
        from flowstone.blocks import Block, Notifier
        from flowstone.errors import ConfigurationError  # see above

        found = Block.load(notifier) if isinstance(notifier, str) else notifier
        if not isinstance(found, Notifier):
            problem = f"a {type(found).__name__} is not a notifier"
            raise ConfigurationError("notify_by", problem, "Pass one, such as a Webhook.")
        subject = f"{run.kind.capitalize()} run {run.name!r} of {run.unit!r}: {state.name}"
        body = f"{state.message or 'There is no message.'}\n\nRun {run.id}"
        line = " ".join(subject.split())
        if is_coroutine_function(found.notify):  # a user's own class
            import asyncio  # 40 ms to import, which most runs don't need

            asyncio.run(found.anotify(body, line))
        else:
            found.notify(body, line)

    def notify(unit: Any, run: Run, state: State) -> Awaitable[None] | None:
        if not (is_coroutine_function(unit.fn) or is_async_generator_function(unit.fn)):
            send(run, state)
            return None
        import asyncio  # 40 ms to import; a loop is running, so it is imported already

        return asyncio.to_thread(send, run, state)  # so that other runs on the loop don't wait

    return notify
