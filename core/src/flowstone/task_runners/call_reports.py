"""Handle the reports of a call in another process, where its run is driven."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from flowstone.context import current
from flowstone.records.encoding import decode_event
from flowstone.records.redaction import adopt
from flowstone.task_runners.messages import pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.context.current import Services


class CallReports:
    """Handles the events, log lines, secrets and requests of one call.

    Args:
        services: the services of this process.
        send_answer: sends the pickled answer to a request to the process of the call.
    """

    def __init__(self, services: Services, send_answer: Callable[[bytes], None]) -> None:
        self._services, self._send_answer = services, send_answer

    def take_in(self, kind: str, content: Any) -> bool:
        """Handle a report; return False if it is the call's end instead."""
        match kind:
            case "append":
                self._services.journal.append(decode_event(content), _find_token())
            case "create" | "record":
                keep = getattr(self._services.journal, kind)
                self._answer(lambda: keep(decode_event(content), _find_token()))
            case "heed":
                self._answer(lambda: self._services.journal.refresh(content, _find_token()))
            case "store":
                self._answer(lambda: self._ask_store(*content))
            case "seal" | "open":
                self._answer(lambda: getattr(self._services.sealer, kind)(*content))
            case "line":
                record = logging.makeLogRecord(content)
                logging.getLogger(record.name).handle(record)
            case "secrets":
                adopt(content)
            case _:
                return False
        return True

    def _ask_store(
        self, method: str, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        """Call the method of the store, on whichever of its ports has it."""
        ports = self._services.runs, self._services.documents, self._services.slots
        asked = next((port for port in ports if hasattr(port, method)), self._services.runs)
        answer: object = getattr(asked, method)(*args, **kwargs)
        return answer

    def _answer(self, ask: Callable[[], object]) -> None:
        try:
            answer = None, ask()
        except BaseException as error:
            self._send_answer(pack((error, None)))
            if not isinstance(error, Exception):
                raise
        else:
            self._send_answer(pack(answer))


def _find_token() -> str | None:
    """Return the token for storing events: that of the run that waits for the call."""
    here = current.scope.get()
    return None if here is None else here.token
