"""The program of a child process: it makes the calls of its parent, and reports to it."""

from __future__ import annotations

import os
import pkgutil
import signal
import sys
import threading
from contextvars import Context
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from flowstone.context import current
from flowstone.logging.run_logger import ROOT
from flowstone.task_runners.call_messages import FlowRunMessage, pack_raised
from flowstone.task_runners.call_site import (
    CallHome,
    HomeJournal,
    HomeLogHandler,
    make_call,
    make_scope,
    unpack_call,
)
from flowstone.task_runners.messages import unpacked

if TYPE_CHECKING:
    from flowstone.settings import Settings
    from flowstone.task_runners.call_messages import CallMessage, SetupMessage


class ParentLink:
    """A `Link` over the connection to the parent."""

    def __init__(self, connection: Connection[bytes, bytes]) -> None:
        self._connection = connection

    def send(self, message: bytes) -> None:
        self._connection.send_bytes(message)

    def ask(self, message: bytes) -> bytes:
        self._connection.send_bytes(message)
        return self._connection.recv_bytes()

    def is_wanted(self) -> bool:
        return True  # a child whose call is not needed is killed


def main(link: int, life: int) -> None:
    """Serve a parent until it closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides who stops
    threading.Thread(target=_end_with_parent, args=(life,), daemon=True).start()
    connection: Connection[Any, Any] = Connection(link)
    home = CallHome(ParentLink(connection))
    try:
        setup: SetupMessage = unpacked(connection.recv_bytes())
    except EOFError:
        return
    try:
        services = _make_services(setup, home)
        if setup.initializer is not None:
            setup.initializer(*setup.initargs)
    except BaseException as error:  # noqa: BLE001 - the parent reports it
        home.send("broken", pack_raised(error, "initializer"))
        return
    with current.use_services(services):
        home.send("ready", None)
        _serve(connection, home, setup.settings)


def _make_services(setup: SetupMessage, home: CallHome) -> current.Services:
    sys.path[:] = setup.path
    # The composition root belongs to a higher layer, so it is named, as in `context.current`.
    services: current.Services = pkgutil.resolve_name("flowstone.bootstrap:open_services")(
        setup.settings
    )
    ROOT.handlers[:] = [HomeLogHandler(lambda: home)]
    return replace(services, journal=HomeJournal(lambda: home))


def _serve(connection: Connection[object, object], home: CallHome, settings: Settings) -> None:
    around = None
    while True:
        try:
            message: CallMessage | FlowRunMessage = unpacked(connection.recv_bytes())
        except EOFError:
            return
        if isinstance(message, FlowRunMessage):
            around = make_scope(message)
            continue
        assert around is not None
        call = unpack_call(message)
        if isinstance(call, bytes):
            home.send("unreadable", call)
            continue
        # A fresh context for each, so that no call sees what another has set.
        kind, content = Context().run(make_call, message, call, around, settings)
        sys.stdout.flush()
        home.send(kind, content)
        del message, call, content


def _end_with_parent(life: int) -> None:
    """End when the parent does, in any way, whatever this process is doing."""
    os.read(life, 1)  # nothing is ever written; it returns when the parent's side is closed
    os.kill(os.getpid(), signal.SIGKILL)
