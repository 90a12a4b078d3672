"""The service's secrets: values by name."""

from __future__ import annotations

import json
from typing import Any


class Vault:
    """All secrets of the service."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    def take(self, handler: Any, name: str, prefix: str) -> None:
        if handler.command == "PUT":
            length = int(handler.headers.get("content-length") or 0)
            self._values[name] = handler.rfile.read(length)
            handler.send(b"")
        elif not name:
            found = [known for known in self._values if known.startswith(prefix)]
            handler.send(json.dumps(found).encode())
        elif name not in self._values:
            handler.refuse(404, "no-such-secret")
        elif handler.command == "DELETE":
            del self._values[name]
            handler.send(b"")
        else:
            handler.send(self._values[name])
