"""The proxy passes on what it gets, when and as far as it is told to."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Semaphore, Thread
from typing import TYPE_CHECKING

import pytest
from tests.services.proxy import How, Proxy, Way

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = bytes(range(256)) * 8192


@dataclass
class Echo:
    """A server that says what it hears, and remembers it."""

    url: str
    heard: list[bytearray] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    ended: Semaphore = field(default_factory=lambda: Semaphore(0))

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.heard.append(bytearray())
                self.threads.append(Thread(target=self.answer, args=(client, self.heard[-1])))
                self.threads[-1].start()
        for thread in self.threads:
            thread.join()

    def answer(self, client: socket.socket, heard: bytearray) -> None:
        with client, suppress(OSError):
            while chunk := client.recv(65536):
                heard += chunk
                client.sendall(chunk)
        self.ended.release()


@pytest.fixture
def echo() -> Iterator[Echo]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        echo = Echo(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        thread = Thread(target=echo.serve, args=(listener,))
        thread.start()
        yield echo
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def target(echo: Echo) -> str:
    return echo.url


@contextmanager
def connect(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as client:
        yield client


def ask(client: socket.socket, words: bytes) -> bytes:
    sender = Thread(target=client.sendall, args=(words,))
    sender.start()
    answer = b""
    while len(answer) < len(words):
        answer += client.recv(len(words) - len(answer))
    sender.join()
    return answer


def test_all_of_it_passes_and_is_counted(target: str) -> None:
    with Proxy(target) as proxy:
        for _ in range(2):
            with connect(proxy) as client:
                assert [ask(client, words) for words in (b"a", LARGE, b"c")] == [b"a", LARGE, b"c"]
                client.shutdown(socket.SHUT_WR)
                assert client.recv(1) == b""
        assert proxy.connections == 2
        assert proxy.requests >= 6  # an echo may answer before it has heard all
        assert [way.passed for way in proxy.ways] == [2 * (len(LARGE) + 2)] * 2
        assert bytes(proxy.seen[0]) == (b"a" + LARGE + b"c") * 2


def test_a_request_is_what_is_said_till_the_answer(target: str) -> None:
    with Proxy(target, keeps=False) as proxy, connect(proxy) as client:
        for words in (b"one", b"two", b"three"):
            ask(client, words)
        assert proxy.requests == 3
        assert not any(proxy.seen)


def test_the_url_is_the_same_by_way_of_the_proxy(target: str) -> None:
    with Proxy(target.replace("tcp://", "postgresql://me:word@") + "/db?a=1") as proxy:
        assert proxy.url == f"postgresql://me:word@127.0.0.1:{proxy.port}/db?a=1"


def test_each_way_takes_its_time(target: str) -> None:
    with Proxy(target, delays=(0.02, 0.03)) as proxy, connect(proxy) as client:
        began = time.monotonic()
        for _ in range(3):
            ask(client, b"words")
        assert time.monotonic() - began >= 3 * 0.05


def test_a_delay_is_no_limit_to_what_is_under_way(target: str) -> None:
    """In 16 chunks, one by one, it would take 16 delays: a way passes on while it waits."""
    way = Way(delay=1.0)
    assert [way.arrival(now, 65536) for now in (0.0, 0.1, 0.2)] == [1.0, 1.1, 1.2]


def test_a_rate_is_shared_by_all_that_passes(target: str) -> None:
    way = Way(delay=1.0, rate=100.0)
    assert [way.arrival(0.0, 100), way.arrival(0.0, 50), way.arrival(5.0, 100)] == [2.0, 2.5, 7.0]
    with Proxy(target, rate=1_000_000.0) as proxy, connect(proxy) as client:
        began = time.monotonic()
        assert ask(client, LARGE[:200_000]) == LARGE[:200_000]
        assert time.monotonic() - began >= 0.2


HOW: list[How] = ["reset", "end", "silence"]


@pytest.mark.parametrize("limit", [3, 100_000])
@pytest.mark.parametrize("how", HOW)
def test_answers_are_cut_at_a_byte(target: str, how: How, limit: int) -> None:
    with Proxy(target, answers=(limit,), how=how) as proxy:
        assert say(proxy, how, limit) == LARGE[:limit]
        assert proxy.cuts == 1
        with connect(proxy) as client:
            assert ask(client, LARGE) == LARGE


@pytest.mark.parametrize("limit", [3, 100_000])
@pytest.mark.parametrize("how", HOW)
def test_requests_are_cut_at_a_byte(echo: Echo, how: How, limit: int) -> None:
    with Proxy(echo.url, requests=(limit,), how=how) as proxy:
        say(proxy, how, limit)
        assert proxy.ways[0].passed == limit
    assert echo.ended.acquire(timeout=60)
    assert LARGE[:limit].startswith(echo.heard[0])
    assert len(echo.heard[0]) == limit or how == "reset"  # which overtakes what is under way


def test_the_last_cut_holds_where_it_shall(target: str) -> None:
    with Proxy(target) as proxy:
        proxy.plan(answers=(3, 5), always=True, how="end")
        assert [len(say(proxy, "end", 5)) for _ in range(3)] == [3, 5, 5]
        proxy.plan()
        with connect(proxy) as client:
            assert ask(client, LARGE) == LARGE


def say(proxy: Proxy, how: How, limit: int) -> bytes:
    """Return what comes back on a connection that is cut, which ends as it should."""
    found = b""
    with connect(proxy) as client:
        sender = Thread(target=send, args=(client, LARGE))
        sender.start()
        try:
            while chunk := client.recv(65536):
                found += chunk
                if how == "silence" and len(found) == limit:
                    client.settimeout(0.05)  # nothing more may come
        except TimeoutError:
            assert how == "silence"
            client.shutdown(socket.SHUT_RDWR)
        except ConnectionResetError:
            # What was not read when it ended is answered so, too.
            assert how != "silence"
        else:
            assert how == "end"
        sender.join()
    return found


def send(client: socket.socket, words: bytes) -> None:
    with suppress(OSError):
        client.sendall(words)


def test_a_server_that_is_gone_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Proxy(f"tcp://127.0.0.1:{port}") as proxy, connect(proxy) as client:
        assert client.recv(1) == b""
