"""Ray is used only while the connection is open."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tests.services.waiting import until

from flowstone_ray.access_gate import AccessGate
from flowstone_ray.connection import SharedConnection

if TYPE_CHECKING:
    from .conftest import Connection


def test_without_a_connection_ray_is_not_used(connection: Connection) -> None:
    connection.close()
    with pytest.raises(ConnectionError, match="not connected"), SharedConnection().access():
        raise AssertionError


def test_a_connection_is_closed_when_no_thread_uses_it() -> None:
    gate, events = AccessGate(), list[str]()

    def close() -> None:
        with gate.close():
            events.append("closed")

    closing = threading.Thread(target=close)
    with gate.access():
        closing.start()
        until(lambda: gate.is_closing)
        with pytest.raises(ConnectionError, match="being closed"), gate.access():
            raise AssertionError
        events.append("used")
    closing.join()
    with gate.access():
        events.append("used again")
    assert events == ["used", "closed", "used again"]
