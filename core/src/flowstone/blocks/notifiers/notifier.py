"""Notifier: the interface of everything that sends messages to people."""

from __future__ import annotations

from abc import abstractmethod
from itertools import count
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

from pydantic import Field

from flowstone.blocks.async_twins import run_in_thread
from flowstone.blocks.base import Block
from flowstone.blocks.notifiers.note import Note, clean, cut
from flowstone.blocks.validation import SHORTEST, hide
from flowstone.context.current import services
from flowstone.errors import (
    CredentialsError,
    FlowstoneError,
    NotificationDenied,
    NotificationFailed,
    NotificationInvalid,
    NotificationUnsent,
)
from flowstone.logging.run_logger import get_logger
from flowstone.records.redaction import redact
from flowstone.secrets.renewal import retry_refused
from flowstone.secrets.walk import secret_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.blocks.notifiers.provider import NotifierProvider

#: Maximum number of attempts for a note that has certainly not arrived.
ATTEMPTS = 3
#: Seconds before the second attempt unless the service asks for others; doubled for the third.
PAUSE_SECONDS = 1.0
#: A request of the service to wait longer than this many seconds is not honored: the note fails.
LONGEST_PAUSE = 30.0
#: Number of characters of a service's response that an error shows.
LONGEST_PROBLEM = 300
#: A shorter part of a secret URL's path, such as `services`, is a word and not a secret.
SEGMENT = 12


class Notifier(Block):
    """Sends messages to people: in a chat, by email, or to a web address.

    A package implements `make_provider`, which returns a `NotifierProvider`.
    """

    _replaceable: ClassVar[tuple[str, ...]] = ("notify",)

    timeout_seconds: float = Field(
        default=10.0, gt=0, le=600, description="The timeout of one attempt, in seconds."
    )

    @abstractmethod
    def make_provider(self) -> NotifierProvider:
        """Return the provider that sends notes; called again for each attempt.

        It must not connect or read secrets: the provider's methods do that.
        """

    def notify(self, body: str, subject: str | None = None) -> None:
        """Send a message; return when the service has accepted it.

        A message that is too long for the service is cut, with a mark. Secrets that this process
        knows are masked. A note that has certainly not arrived (the server can't be reached, or the
        service asks to wait) is sent again, up to three times in total.

        Args:
            body: one or more lines.
            subject: one line.

        Raises:
            NotificationInvalid: the texts are invalid, or the block's fields can't be used.
            NotificationUnsent: it has certainly not arrived.
            NotificationFailed: it was refused, or it is unknown whether it arrived.
        """
        self.send_note(Note(body, subject))

    async def anotify(self, body: str, subject: str | None = None) -> None:
        """Async version of `notify`."""
        await run_in_thread(self.notify, body, subject)

    def send_note(self, note: Note) -> None:
        """Send a note like `notify`; for a block's own methods that send more than a text.

        Args:
            note: its texts are checked, masked and cut.

        Raises:
            NotificationFailed: as for `notify`.
        """
        prepared = self._prepare(note)
        for attempt in count(1):
            error = self._try(prepared)
            if error is None:
                return
            pause = _choose_pause(error, attempt)
            if pause is None:
                raise error  # outside of any `except`: what a provider caught may contain a secret
            get_logger("notifier").warning("%s Trying again in %g s.", error, pause)
            services().clock.sleep(pause)

    def _prepare(self, note: Note) -> Note:
        provider = self.make_provider()
        optional = [text for text in (note.subject, note.html) if text is not None]
        for text in (note.body, *optional):
            if not _is_text(text):
                problem = f"a {type(text).__name__} is not a str"
                raise NotificationInvalid(provider.where, problem, "Pass a str.")
        subject = note.subject
        if subject is not None and len(subject.splitlines()) > 1:
            problem = f"a subject is one line, and {redact(subject[:80])!r} has more"
            raise NotificationInvalid(provider.where, problem, "Put the rest into the body.")
        return Note(
            cut(clean(note.body), provider.max_body_length),
            cut(clean(subject).strip(), provider.max_subject_length) if subject else None,
            None if note.html is None else clean(note.html),
        )

    def _try(self, note: Note) -> NotificationFailed | None:
        try:
            retry_refused(self, lambda: self.make_provider().deliver(note))
        except Exception as error:  # noqa: BLE001 - whatever it is, its text may show a secret
            return self._mask_error(error)
        return None

    def _mask_error(self, error: Exception) -> NotificationFailed:
        """Return a new error that is safe to show: causes of the old one may contain secrets."""
        place, mask = self.make_provider().where, self._mask
        if isinstance(error, CredentialsError):
            return NotificationDenied(
                place, mask(f"{error.what}: {error.problem}"), mask(error.remedy)
            )
        if isinstance(error, FlowstoneError) and not isinstance(error, NotificationFailed):
            return NotificationInvalid(place, mask(str(error)), "Check the fields of the block.")
        if not isinstance(error, NotificationFailed):
            problem = mask(f"{type(error).__name__}: {error}")
            return NotificationFailed(place, problem, "See the service's error.")
        # Mask what the service sent before it is shortened: a secret that was cut is not
        # recognized.
        problem = cut(" ".join(mask(error.problem).split()), LONGEST_PROBLEM)
        where, remedy = mask(error.where), mask(error.remedy)
        if isinstance(error, NotificationUnsent):
            return NotificationUnsent(where, problem, remedy, error.status, error.after)
        for kind in (NotificationInvalid, NotificationDenied):
            if isinstance(error, kind):
                return kind(where, problem, remedy, error.status)
        return NotificationFailed(where, problem, remedy, error.status)

    def _list_private(self) -> Iterator[str]:
        """Yield the secrets of which no part may appear in an error."""
        yield from secret_texts(self)

    def _mask(self, text: str) -> str:
        private = {part for secret in self._list_private() for part in fragments(secret)}
        return hide(text, sorted(private, key=len, reverse=True))


def _choose_pause(error: NotificationFailed, attempt: int) -> float | None:
    """Return the seconds to wait before the next attempt; None if there is none."""
    if not isinstance(error, NotificationUnsent) or attempt >= ATTEMPTS:
        return None
    pause = PAUSE_SECONDS * 2 ** (attempt - 1) if error.after is None else error.after
    return pause if pause <= LONGEST_PAUSE else None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def fragments(secret: str) -> Iterator[str]:
    """Yield a secret, and the parts of a secret URL that errors may quote: its path and query."""
    yield from _yield_long(secret)
    if "://" in secret:
        try:
            url = urlsplit(secret)
        except ValueError:
            return
        segments = [part for part in url.path.split("/") if len(part) >= SEGMENT]
        for part in (url.path, url.query, url.username, url.password, *segments):
            yield from _yield_long(part or "")
            yield from _yield_long(unquote(part or ""))


def _yield_long(text: str) -> Iterator[str]:
    if len(text) >= SHORTEST and text.strip("/"):
        yield text
