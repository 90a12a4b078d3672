"""A scheduler of real threads of which exactly one runs: a seed says which, at every step."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from random import Random

from flowstone.engine.thread_errors import cancel_error_in_thread

#: When fake time begins, and how many seconds and steps no seed needs.
START, LONGEST, MOST_STEPS = 1_000_000.0, 1800.0, 20_000


class Killed(BaseException):
    """Raised where a fiber of a dead process would go on."""


class Host:
    """A simulated process: its fibers live and die together."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.stalled_until = 0.0

    def arrive(self) -> None:
        """Make what is current in this interpreter this process's."""


class Gate:
    """Where a real thread waits for the baton."""

    def __init__(self) -> None:
        self._is_given = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def give(self) -> None:
        """Let the thread go on, which may not have come here yet, or have been called away."""
        self._is_given = True
        with suppress(RuntimeError):  # it was given before, and an error kept the thread from that
            self._lock.release()

    def wait(self, give: Callable[[], None] = lambda: None) -> None:
        """Give the baton to somebody else, and wait until it is given back.

        From the first on others run, and may put an error into this thread at any point. It comes
        up here when the baton is back: before, two would run.
        """
        late: BaseException | None = None
        was_given = False
        while True:
            try:
                if not was_given:
                    was_given = True
                    give()
                while not self._is_given:
                    self._lock.acquire()
                self._is_given = False
                break
            except BaseException as error:
                late = error
        if late is not None:
            raise late


class Worker:
    """A real thread, for one fiber after the other."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.work: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def _live(self) -> None:
        while True:
            self.gate.wait()
            if self.work is None:
                return
            self.work()

    def begin(self, work: Callable[[], None]) -> None:
        """Take the next fiber; an error that came too late for the last one is taken back."""
        assert self._thread.ident is not None
        cancel_error_in_thread(self._thread.ident)
        self.work = work

    def end(self) -> None:
        assert self._thread.ident is not None
        cancel_error_in_thread(self._thread.ident)
        self.work = None
        self.gate.give()
        self._thread.join()


#: Threads without a fiber, for the next one.
_idle: list[Worker] = []


def end_threads() -> None:
    """End the threads that wait for a fiber."""
    while _idle:
        _idle.pop().end()


class Fiber:
    """A thread that runs only when it is given the baton."""

    def __init__(self, host: Host, name: str) -> None:
        self.host, self.name = host, name
        self.worker = _idle.pop() if _idle else Worker()
        self.gate = self.worker.gate
        self.ready: Callable[[], bool] | None = None
        self.until: float | None = None
        self.stalled_until = 0.0
        self.heir: Fiber | None = None
        self.is_done = False

    def may_run(self, now: float) -> bool:
        if self.host.stalled_until > now or self.stalled_until > now:
            return False
        if self.ready is None and self.until is None:
            return True
        return (self.until is not None and self.until <= now) or self.is_ready()

    def is_ready(self) -> bool:
        return self.ready is not None and self.ready()

    def wakes_at(self) -> float | None:
        """Return when time alone lets it run; None where it waits for somebody."""
        stall = max(self.host.stalled_until, self.stalled_until)
        if self.is_ready() or (self.ready is None and self.until is None):
            return stall
        return None if self.until is None else max(self.until, stall)


class Scheduler:
    """Gives the baton on at each step; time goes on when nobody can run, and a little otherwise."""

    def __init__(self, rng: Random, note: Callable[[str], None]) -> None:
        self._rng, self._note = rng, note
        self.now = START
        self.steps = 0
        self.fibers: list[Fiber] = []
        self.current: Fiber | None = None
        self.failure: str | None = None
        self._gate = Gate()
        #: How often the running process continues, and how long a step takes.
        self.stickiness = rng.choice((0.0, 0.4, 0.8))
        self.pace = rng.choice((0.0005, 0.002, 0.02))
        self.on_step: Callable[[Fiber], None] = lambda _: None

    # ------------------------------------------------------------ fibers

    def spawn(self, host: Host, name: str, work: Callable[[], None]) -> Fiber:
        if host.is_dead or self.failure:
            raise Killed
        fiber = Fiber(host, name)
        fiber.worker.begin(lambda: self._live(fiber, work))
        self.fibers.append(fiber)
        return fiber

    def _live(self, fiber: Fiber, work: Callable[[], None]) -> None:
        try:
            if not self._is_doomed(fiber):
                Context().run(work)  # a thread is another's after this
        except Killed:
            pass
        except BaseException as error:
            if not self._is_doomed(fiber):
                self.fail(f"{fiber.name} ended with {type(error).__name__}: {error}", stop=False)
        fiber.is_done = True
        self.fibers.remove(fiber)
        heir = fiber.heir or self._next(None)
        _idle.append(fiber.worker)
        self._hand_over(heir)

    def _is_doomed(self, fiber: Fiber) -> bool:
        return fiber.host.is_dead or self.failure is not None

    def run(self) -> None:
        """Run until all fibers have ended, or something is broken."""
        first = self._next(None)
        if first is not None:
            self._gate.wait(lambda: self._hand_over(first))
        for fiber in list(self.fibers):  # only where something is broken
            self._unwind(fiber, None)

    def _unwind(self, fiber: Fiber, heir: Fiber | None) -> None:
        """Let a doomed fiber go through its `finally`s; the baton comes back here."""
        fiber.heir = heir or _Main(self._gate)
        self.current = fiber
        fiber.host.arrive()
        try:
            fiber.heir.gate.wait(fiber.gate.give)
        finally:
            self.current = heir

    def _hand_over(self, to: Fiber | None) -> None:
        if to is None:
            self._gate.give()
        else:
            self.current = to
            to.host.arrive()
            to.gate.give()

    # ------------------------------------------------------------ steps

    def pause(self) -> None:
        """A step: somebody else may go on before the current fiber does."""
        me = self._me()
        self._refuse_on_loop(me)
        self.steps += 1
        self.now += self.pace
        if self.steps > MOST_STEPS:
            self.fail("it goes round in circles: too many steps")
        self.on_step(me)
        if self._is_doomed(me):
            raise Killed
        if self._rng.random() >= self.stickiness:
            self._switch(me)

    def block(self, ready: Callable[[], bool] | None, timeout: float | None = None) -> bool:
        """Let others run until `ready()` or the timeout; return whether it is ready."""
        me = self._me()
        self._refuse_on_loop(me)
        me.ready = ready
        me.until = None if timeout is None else self.now + max(0.0, timeout)
        try:
            self._switch(me)
        finally:
            me.ready = me.until = None
        return ready is not None and ready()

    def sleep(self, seconds: float) -> None:
        self.block(_never, seconds)

    def _refuse_on_loop(self, me: Fiber) -> None:
        """Nothing that takes a step, or waits, is done on an event loop."""
        loop = asyncio._get_running_loop()
        if loop is not None and not getattr(loop, "may_wait", True):
            self.fail(f"{me.name} blocks its event loop")

    def _me(self) -> Fiber:
        me = self.current
        assert me is not None
        if self._is_doomed(me):
            raise Killed
        return me

    def _switch(self, me: Fiber) -> None:
        to = self._next(me)
        if to is not me:
            me.gate.wait(lambda: self._hand_over(to))
            if self._is_doomed(me):
                raise Killed

    def _next(self, me: Fiber | None) -> Fiber | None:
        """Choose who runs; None for the main thread: all is over, or something is broken."""
        while self.failure is None and self.fibers:
            able = [fiber for fiber in self.fibers if fiber.may_run(self.now)]
            if able:
                return able[0] if len(able) == 1 else self._rng.choice(able)
            times = [at for fiber in self.fibers if (at := fiber.wakes_at()) is not None]
            if not times or min(times) > START + LONGEST:
                waiting = ", ".join(fiber.name for fiber in self.fibers)
                self.fail(f"they wait for each other, or for nobody: {waiting}", stop=False)
                break
            self.now = max(self.now, min(times))
        return None

    # ------------------------------------------------------------ ends

    def crash(self, host: Host) -> None:
        """Let a process be gone: what it has in memory, and all its fibers."""
        host.is_dead = True
        me = self.current
        for fiber in list(self.fibers):
            if fiber.host is host and fiber is not me:
                self._unwind(fiber, me)
        if me is not None:
            me.host.arrive()

    def fail(self, message: str, *, stop: bool = True) -> None:
        """Say what is broken, and end everything."""
        if self.failure is None:
            self.failure = message
            self._note(f"BROKEN: {message}")
        if stop:
            raise Killed


class _Main(Fiber):
    """The main thread, as somebody to give the baton back to."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.host = Host("main")


def _never() -> bool:
    return False
