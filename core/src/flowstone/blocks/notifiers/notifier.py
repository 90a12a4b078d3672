"""Notifier: the interface of everything that tells people something."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

from pydantic import Field

from flowstone.blocks.base import Block
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
from flowstone.secrets.walk import secret_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Between two tries, where the service does not say: so many seconds, then twice that.
PAUSE_SECONDS = 1.0
#: A shorter part of a secret URL's path, as `services`, is a word and no secret.
SEGMENT = 12


@dataclass(frozen=True, slots=True)
class Note:
    """What is sent: clean text without secrets, no longer than the service takes.

    Attributes:
        body: any text, of one line or many.
        subject: one line; None where there is none.
        html: the same as a web page, for a service that shows such; mostly None.
    """

    body: str
    subject: str | None = None
    html: str | None = None


class Notifier(Block):
    """Tells people something: in a chat, by mail, at a web address.

    A provider writes `_where` and `_notify`, which tries once; checks, cutting, further tries, and
    what errors may show, come from here.
    """

    _tried_again: ClassVar[tuple[str, ...]] = ("_notify",)
    #: So many characters a body may have; None is any number. Longer ones are cut, with a mark.
    _longest_body: ClassVar[int | None] = None
    _longest_subject: ClassVar[int] = 250
    #: How often a note is sent that did certainly not arrive.
    _attempts: ClassVar[int] = 3
    #: A service that wants more patience than so many seconds is not asked again.
    _longest_pause: ClassVar[float] = 30.0

    timeout_seconds: float = Field(
        default=10.0, gt=0, le=600, description="How long one try may take, in seconds."
    )

    @abstractmethod
    def _where(self) -> str:
        """Return the place, for messages; no secret may be in it."""

    @abstractmethod
    def _notify(self, note: Note) -> None:
        """Send once, within `timeout_seconds`.

        Raises:
            NotificationUnsent: it did certainly not arrive, so that it may be sent again.
            NotificationDenied: the login or the secret URL was refused; where that is kept
                elsewhere, it is read again, and the note sent once more.
            NotificationFailed: it was refused for another reason, or may have arrived.
        """

    def notify(self, body: str, subject: str | None = None) -> None:
        """Send a text. It returns when the service has taken it.

        A text that is too long for the service is cut, with a mark. Secrets that this process
        knows are masked. A note that did certainly not arrive (nobody listens there, or the
        service asks for patience) is sent again, up to three times in all.

        Args:
            body: one line or many.
            subject: one line.

        Raises:
            NotificationInvalid: these are no such texts, or the block's fields can't be used.
            NotificationUnsent: it did certainly not arrive.
            NotificationFailed: it was refused, or nobody knows whether it arrived.
        """
        self._deliver(self._note(body, subject))

    async def anotify(self, body: str, subject: str | None = None) -> None:
        """Do as `notify`, and let other coroutines run meanwhile."""
        await asyncio.to_thread(self.notify, body, subject)

    def _deliver(self, note: Note) -> None:
        """Send, and send again what did certainly not arrive."""
        for attempt in count(1):
            error = self._try(note)
            if error is None:
                return
            pause = self._pause(error, attempt)
            if pause is None:
                raise error  # outside any `except`: what a provider caught may show a secret
            get_logger("notifier").warning("%s Trying again in %g s.", error, pause)
            services().clock.sleep(pause)

    def _note(self, body: str, subject: str | None) -> Note:
        for given in (body, "" if subject is None else subject):
            if not _is_text(given):
                problem = f"a {type(given).__name__} is no text"
                raise NotificationInvalid(self._where(), problem, "Give it a str.")
        if subject is not None and len(subject.splitlines()) > 1:
            problem = f"a subject is one line, and {redact(subject[:80])!r} is more"
            raise NotificationInvalid(self._where(), problem, "Put the rest into the body.")
        text = cut(clean(body), self._longest_body)
        return Note(text, cut(clean(subject).strip(), self._longest_subject) if subject else None)

    def _try(self, note: Note) -> NotificationFailed | None:
        try:
            self._notify(note)
        except Exception as error:  # noqa: BLE001 - whatever it is, its text may show a secret
            return self._shown(error)
        return None

    def _shown(self, error: Exception) -> NotificationFailed:
        """Return an error as it may be shown: a new one, as the old one's causes tell, too."""
        if isinstance(error, CredentialsError):
            problem, remedy = self._hide(f"{error.what}: {error.problem}"), self._hide(error.remedy)
            return NotificationDenied(self._where(), problem, remedy)
        if isinstance(error, FlowstoneError) and not isinstance(error, NotificationFailed):
            remedy = "Look at the fields of the block."
            return NotificationInvalid(self._where(), self._hide(str(error)), remedy)
        if not isinstance(error, NotificationFailed):
            problem = self._hide(f"{type(error).__name__}: {error}")
            return NotificationFailed(self._where(), problem, "Look at what the service says.")
        hidden = map(self._hide, (error.where, error.problem, error.remedy))
        where, problem, remedy = hidden
        if isinstance(error, NotificationUnsent):
            return NotificationUnsent(where, problem, remedy, error.status, error.after)
        for kind in (NotificationInvalid, NotificationDenied):
            if isinstance(error, kind):
                return kind(where, problem, remedy, error.status)
        return NotificationFailed(where, problem, remedy, error.status)

    def _pause(self, error: NotificationFailed, attempt: int) -> float | None:
        """Return how long to wait for another try; None where there is none."""
        if not isinstance(error, NotificationUnsent) or attempt >= self._attempts:
            return None
        pause = PAUSE_SECONDS * 2 ** (attempt - 1) if error.after is None else error.after
        return pause if pause <= self._longest_pause else None

    def _private(self) -> Iterator[str]:
        """Yield the secrets whose parts no error may show."""
        yield from secret_texts(self)

    def _hide(self, text: str) -> str:
        private = {part for secret in self._private() for part in fragments(secret)}
        return hide(text, sorted(private, key=len, reverse=True))


def cut(text: str, longest: int | None) -> str:
    """Return at most so many characters; where some are missing, the end says so."""
    if longest is None or len(text) <= longest:
        return text
    mark = f" … (cut: it had {len(text):,} characters)"
    return text[: max(0, longest - len(mark))] + mark


def _is_text(given: object) -> bool:
    return isinstance(given, str)


def clean(text: str) -> str:
    """Return a text that UTF-8 can carry, with no secret that is known here."""
    return redact(text).encode("utf-8", "replace").decode()


def fragments(secret: str) -> Iterator[str]:
    """Yield a secret, and of a secret URL what errors may quote alone: its path, its query."""
    yield from _long(secret)
    if "://" in secret:
        try:
            url = urlsplit(secret)
        except ValueError:
            return
        segments = [part for part in url.path.split("/") if len(part) >= SEGMENT]
        for part in (url.path, url.query, url.username, url.password, *segments):
            yield from _long(part or "")
            yield from _long(unquote(part or ""))


def _long(text: str) -> Iterator[str]:
    if len(text) >= SHORTEST and text.strip("/"):
        yield text
