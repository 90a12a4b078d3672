"""The note that is sent, and how its texts are prepared."""

from __future__ import annotations

from dataclasses import dataclass

from flowstone.records.redaction import redact


@dataclass(frozen=True, slots=True)
class Note:
    """What is sent. A provider gets clean texts without secrets, no longer than the service takes.

    Attributes:
        body: any text, of one line or many.
        subject: one line; None where there is none.
        html: the same as a web page, for a service that shows such; mostly None.
    """

    body: str
    subject: str | None = None
    html: str | None = None


def cut(text: str, longest: int | None) -> str:
    """Return at most so many characters; where some are missing, the end says so."""
    if longest is None or len(text) <= longest:
        return text
    mark = f" … (cut: it had {len(text):,} characters)"
    return text[: max(0, longest - len(mark))] + mark


def clean(text: str) -> str:
    """Return a text that UTF-8 can carry, with no secret that is known here."""
    return redact(text).encode("utf-8", "replace").decode()
