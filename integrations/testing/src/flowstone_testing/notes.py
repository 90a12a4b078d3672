"""A notifier in memory: a fake for tests and a minimal example of a provider."""

from __future__ import annotations

from threading import Event
from typing import ClassVar
from weakref import WeakValueDictionary

from pydantic import Field, SecretStr

from flowstone.blocks import Note, Notifier, NotifierProvider
from flowstone.errors import NotificationFailed, NotificationUnsent
from flowstone_testing.desks import PATIENCE, Script

_desks: WeakValueDictionary[str, MemoryDesk] = WeakValueDictionary()


class MemoryDesk(Script):
    """A desk in this process's memory; notifiers find it by its name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.over = Event()
        _desks[name] = self


class MemoryNotifier(Notifier):
    """Puts notes on a `MemoryDesk`."""

    _description: ClassVar[str | None] = "A desk in memory, for tests."
    _code_example: ClassVar[str | None] = 'MemoryNotifier(desk="test").notify("a note")'

    desk: str = Field(description="The name of the desk.")
    token: SecretStr | None = Field(default=None, description="The token that the desk requires.")

    def make_provider(self) -> DeskProvider:
        """Return the desk."""
        return DeskProvider(self)


class DeskProvider(NotifierProvider):
    """A `MemoryDesk`, found by its name."""

    max_body_length = 5_000

    def __init__(self, notifier: MemoryNotifier) -> None:
        self.notifier = notifier

    @property
    def where(self) -> str:
        return f"desk {self.notifier.desk!r}"

    def deliver(self, note: Note) -> None:
        desk = _desks.get(self.notifier.desk)
        if desk is None:
            raise NotificationUnsent(self.where, "there is no such desk", "Create it first.")
        conduct = desk.next()
        if conduct == "silent":
            desk.over.wait(self.notifier.timeout_seconds)
            raise NotificationFailed(self.where, "it says nothing", "Look at the desk.")
        if conduct == "busy":
            raise NotificationUnsent(self.where, "it is busy", "Wait.", after=PATIENCE)
        if conduct == "refuses":
            raise NotificationFailed(self.where, "it refuses", "Look at the desk.")
        desk.keep(f"{note.subject or ''}\n{note.body}")
