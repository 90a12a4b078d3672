"""The note that is sent, and the preparation of its texts."""

from __future__ import annotations

from dataclasses import dataclass

from flowstone.records.redaction import redact


@dataclass(frozen=True, slots=True)
class Note:
    """The note to send. A provider gets valid texts without secrets, within the service's limits.

    Attributes:
        body: a text of one or more lines.
        subject: one line; None if there is none.
        html: the same content as HTML, for services that render it; usually None.
    """

    body: str
    subject: str | None = None
    html: str | None = None


def cut(text: str, longest: int | None) -> str:
    """Return at most that many characters; an ending marks a text that was cut."""
    if longest is None or len(text) <= longest:
        return text
    mark = f" … (cut: it had {len(text):,} characters)"
    return text[: max(0, longest - len(mark))] + mark


def clean(text: str) -> str:
    """Return a text that UTF-8 can encode, with all known secrets masked."""
    return redact(text).encode("utf-8", "replace").decode()
