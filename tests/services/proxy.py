"""A link between a client and a server: as slow, as narrow and as broken as a test wants it."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Literal, Never, Self
from urllib.parse import urlsplit, urlunsplit

Queue = asyncio.Queue[tuple[float, bytes]]
How = Literal["reset", "end", "silence"]
CHUNK = 65536
#: Chunks of one connection that are on their way; a sender of more has to wait.
WINDOW = 64


@dataclass
class Way:
    """One of the two directions of a link, which all connections share.

    Attributes:
        delay: seconds from one end to the other.
        rate: bytes a second; None for no limit.
        cuts: for each connection in turn, after how many bytes it is cut.
        passed: how many bytes have passed.
        seen: what has passed, if it is kept.
    """

    delay: float = 0.0
    rate: float | None = None
    cuts: list[int] = field(default_factory=list)
    passed: int = 0
    seen: bytearray = field(default_factory=bytearray)
    _free: float = 0.0

    def arrival(self, now: float, count: int) -> float:
        """Return when so many bytes, sent now, have arrived behind those before them."""
        self._free = max(self._free, now) + (count / self.rate if self.rate else 0.0)
        return self._free + self.delay

    def next_cut(self, *, always: bool) -> int | None:
        if not self.cuts:
            return None
        return self.cuts[0] if always and len(self.cuts) == 1 else self.cuts.pop(0)


class Proxy:
    """A TCP proxy before a server of this machine.

    Args:
        target: the server's URL, of any scheme.
        delays: seconds that requests, and that answers, are under way.
        rate: bytes a second in each direction, for all connections together.
        keeps: whether what passes is kept in `seen`.
        cuts: see `plan`.

    Attributes:
        url: the same URL, by way of the proxy.
        connections: how many there have been.
        requests: how often a client has begun to speak, at first or after an answer: each is a
            round trip, whatever the protocol. What is pipelined is one.
        cuts: how many connections have been cut.
    """

    def __init__(
        self,
        target: str,
        *,
        delays: tuple[float, float] = (0.0, 0.0),
        rate: float | None = None,
        keeps: bool = True,
        **cuts: object,
    ) -> None:
        self._target, self._keeps = urlsplit(target), keeps
        self.ways = Way(delays[0], rate), Way(delays[1], rate)
        self.connections = self.requests = self.cuts = 0
        self.plan(**cuts)  # type: ignore[arg-type]

    def plan(
        self,
        *,
        requests: tuple[int, ...] = (),
        answers: tuple[int, ...] = (),
        always: bool = False,
        how: How = "reset",
    ) -> None:
        """Cut the connections that come from now on.

        Args:
            requests: for each connection in turn, after how many bytes of requests it is cut;
                connections after these are whole.
            answers: likewise, after how many bytes of answers.
            always: the last of the cuts holds for all connections after it.
            how: a reset, an orderly end, or silence on an open connection.
        """
        self.ways[0].cuts, self.ways[1].cuts = list(requests), list(answers)
        self._always, self._how = always, how

    @property
    def seen(self) -> tuple[bytearray, bytearray]:
        """What has passed, in order: requests, then answers."""
        return self.ways[0].seen, self.ways[1].seen

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        user, at, _ = self._target.netloc.rpartition("@")
        place = self._target._replace(netloc=f"{user}{at}127.0.0.1:{self.port}")
        self.url = urlunsplit(place)
        self._loop = asyncio.new_event_loop()
        self._accepting = self._loop.create_task(self._accept())
        self._thread = Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._accepting.cancel)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._accepting)

    async def _accept(self) -> None:
        with self._listener:
            async with asyncio.TaskGroup() as carrying:
                while True:
                    client, _ = await self._loop.sock_accept(self._listener)
                    self.connections += 1
                    carrying.create_task(self._carry(client))

    async def _carry(self, client: socket.socket) -> None:
        with client, socket.socket() as server:
            for end in (client, server):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            place = (self._target.hostname, self._target.port)
            try:
                await self._loop.sock_connect(server, place)
            except OSError:
                return
            await Connection(self, client, server).carry()


class Over(Exception):
    """A connection has ended otherwise than by itself."""


class Connection:
    """What one connection passes on, in both directions."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._loop = proxy, asyncio.get_running_loop()
        self._ends = client, server
        self._cuts = [way.next_cut(always=proxy._always) for way in proxy.ways]
        self._spoke = 1  # the server, so that the client's first word is a request

    async def carry(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in (0, 1):
                    under_way: Queue = asyncio.Queue(WINDOW)
                    tasks.create_task(self._receive(number, under_way))
                    tasks.create_task(self._deliver(number, under_way))
        except* Over:
            pass

    async def _receive(self, number: int, under_way: Queue) -> None:
        """Read at one end what arrives later at the other."""
        way, chunk = self._proxy.ways[number], b"more"
        while chunk:
            try:
                chunk = await self._loop.sock_recv(self._ends[number], CHUNK)
            except OSError:
                self._end("reset")
            if chunk and number != self._spoke:
                self._spoke = number
                self._proxy.requests += number == 0
            await under_way.put((way.arrival(self._loop.time(), len(chunk)), chunk))

    async def _deliver(self, number: int, under_way: Queue) -> None:
        way, sink = self._proxy.ways[number], self._ends[1 - number]
        cut, passed = self._cuts[number], 0
        while True:
            due, chunk = await under_way.get()
            if due > self._loop.time():
                await asyncio.sleep(due - self._loop.time())
            if not chunk:
                with suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
                return
            if is_cut := cut is not None and passed + len(chunk) >= cut:
                chunk = chunk[: cut - passed]
            passed += len(chunk)
            way.passed += len(chunk)
            if self._proxy._keeps:
                way.seen += chunk
            await self._send(sink, chunk)
            if is_cut:
                self._proxy.cuts += 1
                await self._break()

    async def _send(self, sink: socket.socket, chunk: bytes) -> None:
        try:
            await self._loop.sock_sendall(sink, chunk)
        except OSError:
            self._end("reset")

    async def _break(self) -> None:
        if self._proxy._how == "silence":
            await asyncio.Event().wait()  # until the proxy ends
        self._end(self._proxy._how)

    def _end(self, how: How) -> Never:
        for end in self._ends:
            if how == "reset":
                # Zero seconds to linger: what is closed then is reset.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        raise Over
