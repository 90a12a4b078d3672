"""Tasks as executed in the background: each run's return value or error is persisted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.background.keys import AnyTask
from flowstone.calls.runnable import merge_result_options
from flowstone.calls.task import Task
from flowstone.results.answers import keep_answer, read_answer
from flowstone.results.result_store import ResultLookup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.context.current import Scope, Services
    from flowstone.ports import CacheLookup, ResultCache


class AnsweringTask(Task[..., object]):
    """A task as executed in the background: its return value is persisted by the run's id.

    In addition, results are cached according to the task's options.
    """

    def __init__(self, task: AnyTask) -> None:
        super().__init__(task.fn, task.spec)
        vars(self).update(vars(task))

    def keep_error(self, run_id: str, error: BaseException) -> None:
        """Persist the exception of a run, if it can be pickled."""
        keep_answer(run_id, error, merge_result_options(self.spec, None))

    def _open_cache(
        self, services: Services, run_id: str, parent: Scope | None, scope: Scope, *, iterated: bool
    ) -> ResultCache | None:
        inner = super()._open_cache(services, run_id, parent, scope, iterated=iterated)
        return _AnswerCache(inner, self, run_id)


class _AnswerCache:
    """Implements the `ResultCache` port: also persists the value by the run's id.

    Args:
        inner: the cache of the task's options; None if they cache nothing.
        task: the task.
        run_id: the id of the run.
    """

    def __init__(self, inner: ResultCache | None, task: AnsweringTask, run_id: str) -> None:
        self._inner, self._task, self._run_id = inner, task, run_id
        self._inner_look: CacheLookup | None = None

    @property
    def is_locked(self) -> bool:
        return self._inner is not None and self._inner.is_locked

    def look(
        self, args: tuple[object, ...], kwargs: Mapping[str, object], patience: float | None = None
    ) -> CacheLookup | None:
        if self._inner is None:
            return ResultLookup(self._run_id, "")
        look = self._inner_look = self._inner.look(args, kwargs, patience)
        if look is None:
            return None
        if look.found:
            self._keep(look.value)
        if look.key is not None:
            return look
        return ResultLookup(self._run_id, look.told, is_trouble=look.is_trouble)

    def keep(self, look: CacheLookup, value: object) -> None:
        inner = self._inner_look
        if self._inner is not None and inner is not None and inner.key is not None:
            self._inner.keep(look, value)
        self._keep(value)

    def read(self, _key: str) -> object:
        return read_answer(self._run_id, self._task.name)

    def end(self, _look: CacheLookup | None) -> None:
        if self._inner is not None:
            self._inner.end(self._inner_look)

    def _keep(self, value: object) -> None:
        keep_answer(self._run_id, value, merge_result_options(self._task.spec, None))
