"""A store behind a socket that loses, repeats and delays what passes: what a server has to bear."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from itertools import count
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any

from flowstone.errors import FlowstoneError
from flowstone.records.ids import new_id
from flowstone.records.messages import (
    StoreCall,
    StoreReply,
    decode_call,
    decode_reply,
    encode_call,
    encode_reply,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from flowstone.records.documents import Document
    from flowstone.records.events import Event
    from flowstone.records.limits import Claim, Refusal, Slot
    from flowstone.records.runs import Fence, HeartbeatReply, Run, RunQuery

#: What happens to calls, in turn. A prime number of them, so that each meets each method.
FAULTS = ("", "twice", "", "answer lost", "", "", "call lost")
#: A longer wait is a bug.
PATIENCE = 60.0


class Server:
    """Answers calls from a store; a call that comes again is answered as it was at first."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.fired: set[str] = set()
        self._answers: dict[str, bytes] = {}
        self._numbers = count()
        self._lock = RLock()
        self._threads: list[Thread] = []

    def connect(self) -> socket.socket:
        """Return a client's end of a new connection."""
        mine, theirs = socket.socketpair()
        for end in (mine, theirs):
            end.settimeout(PATIENCE)
        thread = Thread(target=self._serve, args=(mine,), name="server", daemon=True)
        thread.start()
        self._threads.append(thread)
        return theirs

    def close(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)

    def _serve(self, connection: socket.socket) -> None:
        late: bytes | None = None
        with connection:
            for content in receive(connection):
                fault = FAULTS[next(self._numbers) % len(FAULTS)]
                self.fired.add(fault)
                if fault == "call lost":
                    return
                answer = self.answer(content)
                if fault == "answer lost":
                    return
                with suppress(OSError):
                    if late is not None:
                        send(connection, late)
                    send(connection, answer)
                late = self.answer(content) if fault == "twice" else None

    def answer(self, content: bytes) -> bytes:
        call = decode_call(content)
        with self._lock:
            if not self._is_answered(call.id):
                self._answers[call.id] = encode_reply(StoreReply(call.id, self._do(call)))
            return self._answers[call.id]

    def _is_answered(self, call_id: str) -> bool:
        return call_id in self._answers

    def _do(self, call: StoreCall) -> object:
        try:
            return getattr(self.store, call.method)(*call.arguments, **call.options)
        except FlowstoneError as error:
            return error


class SocketStore:
    """A `RunStore`, `DocumentStore` and `SlotStore` over a `Server`; sends again what is lost."""

    def __init__(self, store: Any, server: type[Server] = Server) -> None:
        self.server = server(store)
        self._lock = RLock()
        self._socket: socket.socket | None = None

    # ------------------------------------------------------------ runs

    def create(self, event: Event) -> None:
        self._call("create", event)

    def record(self, event: Event) -> Run:
        run: Run = self._call("record", event)
        return run

    def append(self, events: Sequence[Event], fence: Fence) -> None:
        self._call("append", list(events), fence)

    def heartbeat(
        self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
    ) -> HeartbeatReply:
        held = None if slots is None else dict(slots)
        reply: HeartbeatReply = self._call("heartbeat", list(fences), seconds, held)
        return reply

    def reap(self) -> list[Run]:
        ended: list[Run] = self._call("reap")
        return ended

    def delete_trees(self, root_ids: Sequence[str]) -> list[str]:
        gone: list[str] = self._call("delete_trees", list(root_ids))
        return gone

    def run(self, ref: str) -> Run:
        run: Run = self._call("run", ref)
        return run

    def runs(self, query: RunQuery) -> list[Run]:
        found: list[Run] = self._call("runs", query)
        return found

    def tally(self, root_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = self._call("tally", list(root_ids))
        return counts

    def events(self, after: int = 0, **choice: Any) -> list[tuple[int, Event]]:
        found: list[tuple[int, Event]] = self._call("events", after, **choice)
        return found

    # ------------------------------------------------------------ documents

    def put(
        self, kind: str, name: str, body: Mapping[str, Any], *, expected: int | None = None
    ) -> Document:
        document: Document = self._call("put", kind, name, dict(body), expected=expected)
        return document

    def get(self, kind: str, name: str) -> Document:
        document: Document = self._call("get", kind, name)
        return document

    def find(self, kind: str, **choice: Any) -> list[Document]:
        if choice.get("names") is not None:
            choice["names"] = list(choice["names"])
        found: list[Document] = self._call("find", kind, **choice)
        return found

    def delete(self, kind: str, name: str) -> None:
        self._call("delete", kind, name)

    # ------------------------------------------------------------ slots

    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        answer: tuple[str, ...] | Refusal = self._call("take_slots", claim)
        return answer

    def give_back_slots(self, tokens: Sequence[str]) -> None:
        self._call("give_back_slots", list(tokens))

    def list_slots(self, names: Collection[str] | None = None, **page: Any) -> list[Slot]:
        found: list[Slot] = self._call("list_slots", None if names is None else list(names), **page)
        return found

    def count_slots(self, names: Sequence[str]) -> dict[str, float]:
        used: dict[str, float] = self._call("count_slots", list(names))
        return used

    def reap_slots(self) -> list[Slot]:
        dead: list[Slot] = self._call("reap_slots")
        return dead

    # ------------------------------------------------------------ the wire

    def close(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
        self.server.close()
        self.server.store.close()

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        call = StoreCall(new_id(), method, arguments, options)
        content = encode_call(call)
        with self._lock:
            for _ in range(len(FAULTS)):
                answer = self._exchange(content, call.id)
                if answer is not None:
                    break
            else:
                raise AssertionError(f"{method} was never answered")
        if isinstance(answer.value, FlowstoneError):
            raise answer.value
        return answer.value

    def _exchange(self, content: bytes, call_id: str) -> StoreReply | None:
        """Return the answer to a call; None where the connection has broken meanwhile."""
        if self._socket is None:
            self._socket = self.server.connect()
        with suppress(OSError):
            send(self._socket, content)
            for found in receive(self._socket):
                answer = decode_reply(found)
                if answer.id == call_id:  # another is late, of a call that has been answered
                    return answer
        self._socket.close()
        self._socket = None
        return None


def send(connection: socket.socket, content: bytes) -> None:
    connection.sendall(struct.pack(">I", len(content)) + content)


def receive(connection: socket.socket) -> Iterator[bytes]:
    """Yield what comes, until the other end is closed."""
    with connection.makefile("rb") as stream:
        while head := stream.read(4):
            (size,) = struct.unpack(">I", head)
            yield stream.read(size)
