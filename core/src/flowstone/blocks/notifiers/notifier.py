"""Notifier: the interface of everything that tells people something."""

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

#: How often a note is sent that did certainly not arrive.
ATTEMPTS = 3
#: Seconds before the second try, where the service asks for none; twice that before the third.
PAUSE_SECONDS = 1.0
#: A service that wants more patience than so many seconds is not asked again.
LONGEST_PAUSE = 30.0
#: Characters that an error shows of what the service has said.
LONGEST_PROBLEM = 300
#: A shorter part of a secret URL's path, as `services`, is a word and no secret.
SEGMENT = 12


class Notifier(Block):
    """Tells people something: in a chat, by mail, at a web address.

    A package writes `make_provider`, which returns the place as a `NotifierProvider`.
    """

    _replaceable: ClassVar[tuple[str, ...]] = ("notify",)

    timeout_seconds: float = Field(
        default=10.0, gt=0, le=600, description="How long one try may take, in seconds."
    )

    @abstractmethod
    def make_provider(self) -> NotifierProvider:
        """Return the place that notes go to; each try asks for it anew.

        It connects to nothing and reads no secret: that is left to the provider's methods.
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
        self.send_note(Note(body, subject))

    async def anotify(self, body: str, subject: str | None = None) -> None:
        """Do as `notify`, and let other coroutines run meanwhile."""
        await run_in_thread(self.notify, body, subject)

    def send_note(self, note: Note) -> None:
        """Send a note as `notify` does: for methods of a block's own that send more than a text.

        Args:
            note: its texts are checked, masked and cut.

        Raises:
            NotificationFailed: as `notify` does.
        """
        prepared = self._prepare(note)
        for attempt in count(1):
            error = self._try(prepared)
            if error is None:
                return
            pause = _choose_pause(error, attempt)
            if pause is None:
                raise error  # outside any `except`: what a provider caught may show a secret
            get_logger("notifier").warning("%s Trying again in %g s.", error, pause)
            services().clock.sleep(pause)

    def _prepare(self, note: Note) -> Note:
        provider = self.make_provider()
        optional = [text for text in (note.subject, note.html) if text is not None]
        for text in (note.body, *optional):
            if not _is_text(text):
                problem = f"a {type(text).__name__} is no text"
                raise NotificationInvalid(provider.where, problem, "Give it a str.")
        subject = note.subject
        if subject is not None and len(subject.splitlines()) > 1:
            problem = f"a subject is one line, and {redact(subject[:80])!r} is more"
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
        """Return an error as it may be shown: a new one, as the old one's causes tell, too."""
        place, mask = self.make_provider().where, self._mask
        if isinstance(error, CredentialsError):
            return NotificationDenied(
                place, mask(f"{error.what}: {error.problem}"), mask(error.remedy)
            )
        if isinstance(error, FlowstoneError) and not isinstance(error, NotificationFailed):
            return NotificationInvalid(place, mask(str(error)), "Look at the fields of the block.")
        if not isinstance(error, NotificationFailed):
            problem = mask(f"{type(error).__name__}: {error}")
            return NotificationFailed(place, problem, "Look at what the service says.")
        # Masked as the service has worded it: a secret that was cut or joined is not known as one.
        problem = cut(" ".join(mask(error.problem).split()), LONGEST_PROBLEM)
        where, remedy = mask(error.where), mask(error.remedy)
        if isinstance(error, NotificationUnsent):
            return NotificationUnsent(where, problem, remedy, error.status, error.after)
        for kind in (NotificationInvalid, NotificationDenied):
            if isinstance(error, kind):
                return kind(where, problem, remedy, error.status)
        return NotificationFailed(where, problem, remedy, error.status)

    def _list_private(self) -> Iterator[str]:
        """Yield the secrets whose parts no error may show."""
        yield from secret_texts(self)

    def _mask(self, text: str) -> str:
        private = {part for secret in self._list_private() for part in fragments(secret)}
        return hide(text, sorted(private, key=len, reverse=True))


def _choose_pause(error: NotificationFailed, attempt: int) -> float | None:
    """Return how many seconds to wait for another try; None where there is none."""
    if not isinstance(error, NotificationUnsent) or attempt >= ATTEMPTS:
        return None
    pause = PAUSE_SECONDS * 2 ** (attempt - 1) if error.after is None else error.after
    return pause if pause <= LONGEST_PAUSE else None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def fragments(secret: str) -> Iterator[str]:
    """Yield a secret, and of a secret URL what errors may quote alone: its path, its query."""
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
