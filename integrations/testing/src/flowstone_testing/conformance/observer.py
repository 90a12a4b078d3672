"""ObserverSuite: the standard tests of all observers."""

from __future__ import annotations

import logging
import os
import secrets
import selectors
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from flowstone import flow, task
from flowstone.artifacts import create_markdown_artifact
from flowstone.logging import get_run_logger
from flowstone.observers import observing
from flowstone.records.events import make_birth_event
from flowstone.records.redaction import register
from flowstone.records.states import (
    CANCELLED,
    COMPLETED,
    CRASHED,
    FAILED,
    PAUSED,
    SCHEDULED,
    StateType,
)
from flowstone.testing.memory import flowstone_test_harness
from flowstone_testing.conformance.samples import artifact, child_run, life, line, root_run, step
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.ports import Observer
    from flowstone.records.events import Event

#: Timeout of a forked child, in seconds.
PATIENCE = 20.0


def make_facts() -> list[Event]:
    """Return facts of every kind: of a root, its tasks in every state, logs and artifacts."""
    root = root_run("all-kinds", parameters={"count": 3}, tags=("nightly",))
    found = [make_birth_event(root)]
    for end in (COMPLETED, FAILED, CANCELLED, CRASHED):
        found += life(child_run(root, f"child-{end.value.lower()}"), SCHEDULED, PAUSED, end)[0]
    found += [
        line(root),
        line(root, "two\nlines \u2713"),
        artifact(root),
        artifact(root, [{}], None),
    ]
    return [*found, step(root, StateType.CANCELLING)[0], step(root, FAILED, "it failed")[0]]


@task
def _work(word: str) -> None:
    get_run_logger().warning("working with %s", word)
    raise ConnectionError(f"cannot log in with {word}")


@flow
def _tell_secret(word: str) -> None:
    create_markdown_artifact(f"# About {word}", key="about")
    _work.submit(word).result()


class ObserverSuite(Suite):
    """Join with two fixtures.

    `make` is a callable that creates an observer. `kept` is a callable that returns, as one
    string, everything that such observers have written or sent so far.
    """

    kind = "observer"

    @pytest.fixture
    def make(self) -> Callable[[], Observer]:
        raise NotImplementedError("give the suite a fixture `make`")

    @pytest.fixture
    def kept(self) -> Callable[[], str]:
        raise NotImplementedError("give the suite a fixture `kept`")

    def test_it_takes_facts_of_every_kind(self, make: Callable[[], Observer]) -> None:
        """Check the payload's type before you read it: a run, a change, a line, an artifact."""
        observer = make()
        for fact in make_facts():
            observer.observe([fact])
        observer.observe(make_facts())
        observer.close()

    def test_it_leaves_alone_what_it_does_not_know(self, make: Callable[[], Observer]) -> None:
        """Ignore unknown kinds of facts and payloads: newer versions have more of them."""
        observer = make()
        found = make_facts()
        observer.observe([replace(fact, kind="MoonRisen") for fact in found])
        observer.observe([replace(fact, payload=cast("Any", object())) for fact in found])
        observer.observe([*found[1:], found[0]])  # it may start in the middle of a run
        observer.close()

    def test_closing_sends_what_was_held_back(
        self, make: Callable[[], Observer], kept: Callable[[], str]
    ) -> None:
        """Send buffered facts in `close`; at least a run that failed should leave a trace."""
        observer, before = make(), kept()
        observer.observe(make_facts())
        observer.close()
        assert kept() != before

    def test_closing_twice_is_fine(self, make: Callable[[], Observer]) -> None:
        """`close` must be safe to call twice, and without any facts."""
        observer = make()
        observer.close()
        observer.close()
        observer = make()
        observer.observe(make_facts())
        observer.close()
        observer.close()

    def test_it_prints_nothing(
        self, make: Callable[[], Observer], capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Log messages instead of printing them: standard output belongs to the program."""
        observer = make()
        observer.observe(make_facts())
        observer.close()
        assert capfd.readouterr() == ("", "")

    def test_making_it_starts_nothing(self, make: Callable[[], Observer]) -> None:
        """Connect and start threads with the first facts: it is also created if nothing runs."""
        before = threading.active_count()
        observer = make()
        assert threading.active_count() == before
        observer.close()

    def test_it_is_told_from_another_thread(self, make: Callable[[], Observer]) -> None:
        """Use nothing that is bound to the thread that created it."""
        observer = make()
        with ThreadPoolExecutor(1) as other:
            other.submit(observer.observe, make_facts()).result()
        observer.close()

    def test_two_work_beside_each_other(
        self, make: Callable[[], Observer], kept: Callable[[], str]
    ) -> None:
        """Hold no lock that an observer in another process has to wait for."""
        one, two = make(), make()
        one.observe(make_facts())
        two.observe(make_facts())
        one.close()
        before = kept()
        two.observe(make_facts())
        two.close()
        assert len(kept()) >= len(before)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_a_forked_child_goes_on(self, make: Callable[[], Observer]) -> None:
        """Hold no lock and no thread between two calls."""
        observer = make()
        observer.observe(make_facts())
        there, here = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about forking with threads
            child = os.fork()
        if not child:  # pragma: no cover - another process
            try:
                observer.observe(make_facts())
                observer.close()
                os.write(here, b"done")
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        os.close(here)
        with selectors.DefaultSelector() as selector:
            selector.register(there, selectors.EVENT_READ)
            answered = selector.select(PATIENCE)
        answer = os.read(there, 4) if answered else b"it hangs"
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(there)
        observer.close()
        assert answer == b"done"

    def test_a_run_goes_through_and_its_secrets_do_not(
        self,
        make: Callable[[], Observer],
        kept: Callable[[], str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Read the log: the observer raised, was too slow, or wrote a secret.

        Args:
            make: creates an observer.
            kept: returns what observers have written.
            caplog: the captured log.
        """
        canary = f"canary-{secrets.token_hex(8)}"
        register(canary)
        with flowstone_test_harness(), observing(make()), pytest.raises(ConnectionError):
            _tell_secret(canary)
        complaints = [each for each in caplog.records if each.name == "flowstone.observers"]
        assert [each.getMessage() for each in complaints if each.levelno >= logging.WARNING] == []
        assert canary not in kept()
