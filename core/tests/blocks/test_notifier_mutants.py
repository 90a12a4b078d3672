"""NotifierSuite bites: a provider with one fault fails the test that is named for it."""

from __future__ import annotations

import pytest

# Loaded before pytester takes its snapshot of modules, so that there is one of each.
from flowstone_testing.conformance.notifier import NotifierSuite
from flowstone_testing.notes import DeskProvider, MemoryDesk, MemoryNotifier

from .test_mutants import body, named, run

pytestmark = [pytest.mark.slow, pytest.mark.check]  # of the kit, which few changes touch

pytest_plugins = ["pytester"]
__all__ = ["DeskProvider", "MemoryDesk", "MemoryNotifier"]

SOURCE = """
import asyncio, secrets, threading, time, pytest
from dataclasses import replace
from flowstone.blocks import Note
from flowstone.errors import *
from flowstone_testing.conformance.notifier import NotifierSuite
from flowstone_testing.desks import PATIENCE
from flowstone_testing.notes import DeskProvider, MemoryDesk, MemoryNotifier

class Provider(DeskProvider):
    pass
{provider}

class Mutant(MemoryNotifier):
    def make_provider(self): return Provider(self)
{notifier}

class TestMutant(NotifierSuite):
    patience = PATIENCE

    @pytest.fixture
    def desk(self):
        desk = MemoryDesk("here")
        yield desk
        desk.over.set()

    @pytest.fixture
    def notifier(self, desk):
        return Mutant(desk="here", token="https://a.org/canary-" + secrets.token_hex(12))

    @pytest.fixture
    def absent(self):
        return Mutant(desk="there", token="https://a.org/canary-" + secrets.token_hex(12))
"""

FAULTS = {
    "none": ("", ""),
    "swallows errors": (
        """
        def deliver(self, note):
            try: super().deliver(note)
            except NotificationFailed: pass
        """,
        """test_a_refusal_is_told_once test_a_place_that_is_not_there_is_told
        test_a_silent_service_is_given_up test_patience_has_an_end""",
    ),
    "shows its URL": (
        """
        def notify(self, body, subject=None):
            try: super().notify(body, subject)
            except NotificationFailed as error:
                url = self.token.get_secret_value()
                raise type(error)(f"{url}", error.problem, error.remedy)
        """,
        "test_errors_show_no_secret test_an_error_of_an_absent_service_shows_no_secret",
    ),
    "shows its path in the cause": (
        """
        def notify(self, body, subject=None):
            try: super().notify(body, subject)
            except NotificationFailed as error:
                raise error from ValueError(self.token.get_secret_value().rpartition("/")[2])
        """,
        "test_an_error_of_an_absent_service_shows_no_secret",
    ),
    "no timeout": (
        """
        def deliver(self, note):
            self.notifier = self.notifier.model_copy(update={"timeout_seconds": 60})
            super().deliver(note)
        """,
        "test_a_silent_service_is_given_up",
    ),
    "sends again what may have arrived": (
        """
        def deliver(self, note):
            try: super().deliver(note)
            except NotificationUnsent: raise
            except NotificationFailed as error:
                raise NotificationUnsent(error.where, error.problem, error.remedy, after=0)
        """,
        "test_a_refusal_is_told_once test_a_silent_service_is_given_up",
    ),
    "no patience": (
        """
        def deliver(self, note):
            try: super().deliver(note)
            except NotificationUnsent as error:
                raise NotificationFailed(error.where, error.problem, error.remedy) from None
        """,
        """test_a_busy_service_is_asked_again test_patience_has_an_end
        test_a_place_that_is_not_there_is_told""",
    ),
    "patience of its own": (
        """
        def deliver(self, note):
            try: super().deliver(note)
            except NotificationUnsent as error:
                raise NotificationUnsent(error.where, error.problem, error.remedy) from None
        """,
        "test_a_busy_service_is_asked_again",
    ),
    "patience without end": (
        """
        def deliver(self, note):
            for left in reversed(range(40)):
                try: return super().deliver(note)
                except NotificationUnsent:
                    if not left: raise
        """,
        "test_patience_has_an_end",
    ),
    "blocks the loop": (
        "async def anotify(self, body, subject=None): self.notify(body, subject)",
        "test_the_async_twin_blocks_nobody test_what_is_common_comes_from_the_interface",
    ),
    "cuts without a word": (
        "def deliver(self, note): super().deliver(replace(note, body=note.body[:1000]))",
        "test_the_longest_text_arrives_whole test_a_longer_text_is_cut_with_a_mark",
    ),
    "ASCII only": (
        """
        def deliver(self, note):
            super().deliver(replace(note, body=note.body.encode("ascii", "replace").decode()))
        """,
        "test_a_text_arrives_as_it_is",
    ),
    "subjects dropped": (
        "def deliver(self, note): super().deliver(replace(note, subject=None))",
        "test_the_subject_comes_with_it",
    ),
    "anything is text": (
        """
        def notify(self, body, subject=None):
            super().notify(str(body), " ".join(str(subject).split()))
        """,
        "test_what_is_no_text_is_refused",
    ),
    "secrets sent": (
        """
        def notify(self, body, subject=None):
            self.make_provider().deliver(Note(body, subject))
        """,
        "test_known_secrets_are_masked",
    ),
    "an error that can't travel": (
        """
        def _mask_error(self, error):
            error = super()._mask_error(error)
            error.lock = threading.Lock()
            return error
        """,
        "test_errors_travel_between_processes",
    ),
    "a field that is lost": (
        """
        @classmethod
        def load(cls, name): return cls(desk="lost")
        """,
        "test_a_loaded_notifier_is_as_good",
    ),
    "one buffer for all": (
        """
        _buffer = {}
        def deliver(self, note):
            self._buffer["note"] = note
            time.sleep(0.002)
            super().deliver(self._buffer["note"])
        """,
        "test_it_may_be_used_from_several_threads",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(pytester: pytest.Pytester, fault: str) -> None:
    text, tests = FAULTS[fault]
    is_provider = "def deliver" in text
    provider, notifier = (text, "") if is_provider else ("", text)
    run(pytester, SOURCE.format(provider=body(provider), notifier=body(notifier)), tests)


def test_each_standard_test_has_a_mutant() -> None:
    standard = {name for name in dir(NotifierSuite) if name.startswith("test_")}
    assert named(*(tests for _, tests in FAULTS.values())) == standard
