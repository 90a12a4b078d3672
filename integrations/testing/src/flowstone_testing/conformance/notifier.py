"""NotifierSuite: the standard tests of all notifiers."""

from __future__ import annotations

import asyncio
import pickle
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from threading import Thread
from time import time
from traceback import format_exception
from typing import TYPE_CHECKING, ClassVar

import pytest

from flowstone.blocks import Notifier
from flowstone.blocks.notifiers.notifier import fragments
from flowstone.context.current import use_services
from flowstone.errors import NotificationFailed, NotificationInvalid, NotificationUnsent
from flowstone.records import redaction
from flowstone.secrets.walk import secret_texts
from flowstone.testing.memory import memory_services
from flowstone_testing.conformance.suite import Suite, capability, needs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowstone.context.current import Services
    from flowstone_testing.desks import Conduct, Desk

#: Timeout in seconds for what must end much sooner.
LONG = 20.0
#: The public methods that come from the interface.
COMMON = ("notify", "anotify", "send_note")
BODY = (
    "Zwölf Zeilen fehlen — 東京 🚨\n\tin “orders” & <b>stock</b> {{body}} {{subject}} {0} %s $x\\n"
)


class HastyClock:
    """A clock that records sleeps without sleeping."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def time(self) -> float:
        return time()

    def monotonic(self) -> float:
        return time()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def asleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class NotifierSuite(Suite):
    """Join with three fixtures: `desk`, where notes arrive, `notifier` and `absent`.

    `notifier` sends to the desk; `absent`, of the same type, has the address of a closed port.
    `flowstone_testing.desks` defines a desk, and has one for notifiers that use HTTP.
    """

    kind = "block"
    interface = Notifier

    #: Whether the service has subjects, or shows one before the body.
    subjects: ClassVar[bool] = True
    #: Seconds that the desk asks to wait when it is busy; None if the service names none.
    patience: ClassVar[float | None] = None
    #: Whether the service can ask to retry later.
    may_be_busy: ClassVar[bool] = True

    @pytest.fixture
    def desk(self) -> Desk:
        raise NotImplementedError("give the suite a fixture `desk`")

    @pytest.fixture
    def notifier(self) -> Notifier:
        raise NotImplementedError("give the suite a fixture `notifier`")

    @pytest.fixture
    def absent(self) -> Notifier:
        raise NotImplementedError("give the suite a fixture `absent`")

    @pytest.fixture
    def clock(self) -> HastyClock:
        return HastyClock()

    @pytest.fixture(autouse=True)
    def services(self, tmp_path: Path, clock: HastyClock) -> Iterator[Services]:
        current = memory_services(tmp_path / "flowstone-home")
        with use_services(replace(current, clock=clock)), closing(current):
            yield current

    # ------------------------------------------------------------ delivery

    def test_a_text_arrives_as_it_is(self, notifier: Notifier, desk: Desk) -> None:
        """Look at the encoding, and escape what is special to the service."""
        notifier.notify(BODY)
        (received,) = desk.received()
        assert BODY.strip() in received

    @capability("subjects", AssertionError, "the subject is not in it")
    def test_the_subject_comes_with_it(self, notifier: Notifier, desk: Desk) -> None:
        """Look at `deliver`: the note has a subject, or None.

        Set `subjects` to False if the service has none.
        """
        notifier.notify("twelve lines are missing", subject="Ünfug <in> orders & stock")
        (received,) = desk.received()
        assert "twelve lines are missing" in received
        assert "Ünfug <in> orders & stock" in received, "the subject is not in it"

    def test_the_longest_text_arrives_whole(self, notifier: Notifier, desk: Desk) -> None:
        """Look at `max_body_length`: the service accepts less, or counts escaped characters."""
        longest = notifier.make_provider().max_body_length or 300_000
        body = "<&>ü" * (longest // 4)
        notifier.notify(body)
        assert [body in text for text in desk.received()] == [True]

    def test_a_longer_text_is_cut_with_a_mark(self, notifier: Notifier, desk: Desk) -> None:
        """Look for truncation in the provider: it does not mark that text is missing."""
        longest = notifier.make_provider().max_body_length
        if longest is None:
            return  # the service accepts texts of any length
        notifier.notify("x" * longest + "y" * longest)
        (received,) = desk.received()
        assert received.count("x") > longest - 100
        assert "cut" in received
        assert f"{2 * longest:,}" in received

    def test_what_is_no_text_is_refused(self, notifier: Notifier, desk: Desk) -> None:
        """Look for a `notify` that the type defines: it must come from the interface."""
        wrong: list[tuple[object, object]] = [({"a": 1}, None), (b"a", None), ("a", 1)]
        for body, subject in [*wrong, ("a", "two\nlines"), ("a", "two\r\nBcc: x@example.org")]:
            with pytest.raises(NotificationInvalid):
                notifier.notify(body, subject)  # type: ignore[arg-type]
        assert not desk.tries()

    def test_known_secrets_are_masked(self, notifier: Notifier, desk: Desk) -> None:
        """Look for a `notify` that the type defines: it must come from the interface."""
        secret = f"canary-{secrets.token_hex(12)}"
        redaction.register(secret)
        notifier.notify(f"cannot log in with {secret}")
        (received,) = desk.received()
        assert "cannot log in with" in received
        assert secret not in received

    # ------------------------------------------------------------ failures

    def test_a_refusal_is_told_once(
        self, notifier: Notifier, desk: Desk, clock: HastyClock
    ) -> None:
        """Look at `deliver`: an error is swallowed, or a refusal raised as `NotificationUnsent`.

        Args:
            notifier: the notifier.
            desk: where its notes arrive.
            clock: records the waits between attempts.
        """
        desk.behave("refuses")
        with pytest.raises(NotificationFailed) as caught:
            notifier.notify("nobody wants this")
        assert not isinstance(caught.value, NotificationUnsent)
        assert desk.tries() == 1
        assert not clock.slept
        assert not desk.received()

    @needs("may_be_busy")
    def test_a_busy_service_is_asked_again(
        self, notifier: Notifier, desk: Desk, clock: HastyClock
    ) -> None:
        """Look at `deliver`: raise `NotificationUnsent` with the wait that the service asks for.

        Args:
            notifier: the notifier.
            desk: where its notes arrive.
            clock: records the waits between attempts.
        """
        desk.behave("busy", "takes")
        notifier.notify("at last")
        assert ["at last" in text for text in desk.received()] == [True]
        assert len(clock.slept) == 1
        if self.patience is not None:
            assert clock.slept == [self.patience]

    @needs("may_be_busy")
    def test_patience_has_an_end(self, notifier: Notifier, desk: Desk, clock: HastyClock) -> None:
        """Look for retries in the provider: they must come from the interface.

        Args:
            notifier: the notifier.
            desk: where its notes arrive.
            clock: records the waits between attempts.
        """
        desk.behave("busy")
        with pytest.raises(NotificationUnsent):
            notifier.notify("never")
        assert desk.tries() == len(clock.slept) + 1 <= 5
        assert not desk.received()

    def test_a_place_that_is_not_there_is_told(self, absent: Notifier) -> None:
        """Look at `deliver`: a note that never reached the service is a `NotificationUnsent`."""
        with pytest.raises(NotificationUnsent):
            absent.notify("is anybody there?")

    def test_a_silent_service_is_given_up(self, notifier: Notifier, desk: Desk) -> None:
        """Look at `deliver`: does it respect `timeout_seconds`? It must not send again, either."""
        desk.behave("silent")
        notifier.timeout_seconds = 0.3
        found = _catch(notifier)
        assert found, f"it has not ended after {LONG:g} s"
        assert isinstance(found[0], NotificationFailed)
        assert desk.tries() <= 1  # a busy machine may not even have connected

    @pytest.mark.parametrize("conduct", ["refuses", "busy", "silent"])
    def test_errors_show_no_secret(
        self,
        notifier: Notifier,
        desk: Desk,
        conduct: Conduct,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Look at `where`: a webhook's URL is a secret, and so is its path alone.

        Args:
            notifier: the notifier.
            desk: where its notes arrive.
            conduct: how the desk fails.
            caplog: the captured log.
            capsys: the captured output.
        """
        desk.behave(conduct if self.may_be_busy or conduct != "busy" else "refuses")
        notifier.timeout_seconds = 0.3
        (error,) = _catch(notifier)
        _assert_hidden(notifier, error)
        logged = caplog.text + "".join(capsys.readouterr())
        assert not [part for part in _find_private_parts(notifier) if part in logged]

    def test_an_error_of_an_absent_service_shows_no_secret(self, absent: Notifier) -> None:
        """Look at `where`, and at the messages of the client's own errors."""
        (error,) = _catch(absent)
        _assert_hidden(absent, error)

    def test_errors_travel_between_processes(self, absent: Notifier) -> None:
        """Look for an error class of the provider: raise `NotificationFailed` or a subclass."""
        (error,) = _catch(absent)
        assert isinstance(error, NotificationFailed)
        arrived = pickle.loads(pickle.dumps(error))  # noqa: S301 - it was pickled here
        assert type(arrived) is type(error)
        assert str(arrived) == str(error)

    # ------------------------------------------------------------ usage

    def test_the_async_twin_blocks_nobody(self, notifier: Notifier, desk: Desk) -> None:
        """Look for an `anotify` that the type defines: it must come from the interface."""
        patience, notifier.timeout_seconds = notifier.timeout_seconds, 1.0
        desk.behave("silent", "takes")

        async def turns() -> int:
            sending = asyncio.create_task(notifier.anotify("slowly"))
            count = 0
            while not sending.done():
                count += 1
                await asyncio.sleep(0.01)
            assert isinstance(sending.exception(), NotificationFailed)
            notifier.timeout_seconds = patience
            await notifier.anotify("by the twin")
            return count

        assert asyncio.run(turns()) > 5
        assert ["by the twin" in text for text in desk.received()] == [True]

    def test_a_loaded_notifier_is_as_good(self, notifier: Notifier, desk: Desk) -> None:
        """Look for a field that is lost or changed when the block is saved."""
        notifier.save("alerts")
        type(notifier).load("alerts").notify("from the saved one")
        assert ["from the saved one" in text for text in desk.received()] == [True]

    def test_it_may_be_used_from_several_threads(self, notifier: Notifier, desk: Desk) -> None:
        """Look for a connection or a buffer that all threads share."""
        bodies = [f"note number {number};" for number in range(24)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(notifier.notify, bodies))
        received = desk.received()
        assert len(received) == len(bodies)
        assert all(sum(body in text for text in received) == 1 for body in bodies)

    def test_what_is_common_comes_from_the_interface(self, notifier: Notifier) -> None:
        """Write `make_provider`, and leave `notify`, `anotify` and `send_note` as they are."""
        assert all(getattr(type(notifier), name) == getattr(Notifier, name) for name in COMMON)


def _catch(notifier: Notifier) -> list[Exception]:
    """Return what `notify` raises; nothing if it does not end."""
    found: list[Exception] = []

    def send() -> None:
        try:
            notifier.notify("a note")
        except Exception as error:  # noqa: BLE001 - the caller checks it
            found.append(error)

    thread = Thread(target=send, daemon=True)
    thread.start()
    thread.join(LONG)
    return found


def _find_private_parts(notifier: Notifier) -> set[str]:
    return {part for secret in secret_texts(notifier) for part in fragments(secret)}


def _assert_hidden(notifier: Notifier, error: Exception) -> None:
    told = "".join(format_exception(error)) + repr(error) + repr(error.__dict__)
    told += repr(error.__context__) + repr(error.__cause__)
    assert not [part for part in _find_private_parts(notifier) if part in told]
