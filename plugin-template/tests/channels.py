"""The service's channels: they store notes, and behave as a test requests."""

from __future__ import annotations

import json
from threading import Event
from typing import Any

from flowstone_testing.desks import Script

#: Seconds that a busy channel asks to wait.
PATIENCE = 7.0


class Channels(Script):
    """The desk of the suite, where notes arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.over = Event()

    def take(self, handler: Any) -> None:
        note = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        conduct = self.next()
        if conduct == "silent":
            self.over.wait(60)
            handler.close_connection = True
        elif conduct == "busy":
            handler.refuse(503, "busy", retry_after=str(PATIENCE))
        elif conduct == "refuses":
            handler.refuse(404, "no-such-channel")
        else:
            self.keep(f"{note['subject'] or ''}\n{note['body']}")
            handler.send(b"")
