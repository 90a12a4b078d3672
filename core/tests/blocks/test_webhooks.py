"""Webhooks over real HTTP: what is sent, where it may go, and what the answers mean."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Event, Thread

import pytest

from flowstone.blocks import SecretDict, Webhook
from flowstone.blocks.notifiers.http import Forbidden, Manner, NotSent, is_global, send
from flowstone.context.current import Services, use_services
from flowstone.errors import NotificationFailed, NotificationInvalid, NotificationUnsent
from flowstone_testing.certificates import make_certificate
from flowstone_testing.conformance.notifier import HastyClock
from flowstone_testing.desks import WebDesk, web_desk
from flowstone_testing.ports import reserve_closed_port


@pytest.fixture
def clock(services: Services) -> Iterator[HastyClock]:
    clock = HastyClock()
    with use_services(replace(services, clock=clock)):
        yield clock


@pytest.fixture
def desk(clock: HastyClock) -> Iterator[WebDesk]:
    with web_desk() as desk:
        yield desk


def whole(line: socket.socket) -> bytes:
    """Read a request to its end: a connection that is closed with something unread is reset."""
    read = b""
    while (piece := line.recv(65536)) and not (read := read + piece).endswith(b"}"):
        pass
    return read


@contextmanager
def answering(*pieces: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Serve connections one after the other: read once, send the pieces, then wait; then close."""
    over = Event()
    seen: list[bytes] = []

    def serve() -> None:
        while not over.is_set():
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line:
                try:
                    seen.append(whole(line))
                    for piece in pieces:
                        line.sendall(piece)
                        if len(pieces) > 1 and over.wait(0.05):
                            break
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", seen
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_note_is_put_into_the_template_once(desk: WebDesk) -> None:
    template = {"text": "{{subject}}: {{ body }}", "n": 1, "list": ["{{body}}", None], "x": "{{y}}"}
    Webhook(url=f"{desk.url}/a", template=template).notify("{{subject}}!", subject="S")
    [(method, path, headers, body)] = desk.requests
    assert (method, path) == ("POST", "/a")
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {
        "text": "S: {{subject}}!", "n": 1, "list": ["{{subject}}!", None], "x": "{{y}}"
    }  # fmt: skip


def test_any_payload_is_sent_by_call_and_any_answer_returned(desk: WebDesk) -> None:
    token = f"canary-{secrets.token_hex(12)}"
    hook = Webhook(url=f"{desk.url}/a?b=c", method="PUT", headers={"Authorization": token})
    answer = hook.call({"order": [7, None]})
    assert (answer.status_code, answer.ok, answer.text) == (200, True, "ok")
    method, path, headers, body = desk.requests[-1]
    assert (method, path, json.loads(body)) == ("PUT", "/a?b=c", {"order": [7, None]})
    assert headers["Authorization"] == token
    hook.call()
    assert desk.requests[-1][3] == b""
    desk.behave("refuses")
    assert hook.call(1).status_code == 400
    desk.behave("busy")
    assert hook.call(1).status_code == 503
    assert desk.tries() == 4


def test_calls_let_other_coroutines_run(desk: WebDesk) -> None:
    import asyncio

    assert asyncio.run(Webhook(url=desk.url).acall({"a": 1})).ok


@pytest.mark.parametrize(
    "url", ["", "example.org", "ftp://a.org", "https://", "http://a b", "http://ä.org"]
)
def test_what_is_no_url_is_refused_and_not_shown(clock: HastyClock, url: str) -> None:
    for act in (Webhook(url=url).notify, Webhook(url=url).call):
        with pytest.raises(NotificationInvalid) as caught:
            act("a")
        assert not url or url not in str(caught.value)


@pytest.mark.parametrize("value", ["a\r\nX: y", "ü", 1, {"a": "b"}])
def test_a_header_can_not_be_smuggled_in(desk: WebDesk, value: object) -> None:
    with pytest.raises(NotificationInvalid, match="'X-A'"):
        Webhook(url=desk.url, headers={"X-A": value}).notify("a")
    assert not desk.requests


@pytest.mark.parametrize("payload", [object(), float("nan"), {"deep": [{1, 2}]}])
def test_what_is_no_json_is_refused(desk: WebDesk, payload: object) -> None:
    with pytest.raises(NotificationInvalid, match="the payload is not valid JSON"):
        Webhook(url=f"{desk.url}/x").call(payload)
    assert not desk.requests


def test_a_login_in_the_url_is_refused_and_not_shown(desk: WebDesk) -> None:
    url = desk.url.replace("http://", "http://somebody:s3cr3t-of-hers@")
    with pytest.raises(NotificationInvalid, match="its URL contains credentials") as caught:
        Webhook(url=url).notify("a note")
    assert "s3cr3t-of-hers" not in str(caught.value)
    assert not desk.requests


def test_a_redirect_is_not_followed(desk: WebDesk) -> None:
    moved = f"HTTP/1.1 302 Found\r\nLocation: {desk.url}/there\r\nContent-Length: 0\r\n\r\n"
    with (
        answering(moved.encode()) as (url, _),
        pytest.raises(NotificationFailed, match="302") as caught,
    ):
        Webhook(url=url).notify("a")
    assert caught.value.status == 302
    assert not desk.requests


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
    ],
)
def test_private_addresses_are_refused_before_a_connection_is_made(
    clock: HastyClock, host: str, scheme: str
) -> None:
    with answering(b"") as (url, seen):
        place = f"{scheme}://{host}:{url.rpartition(':')[2]}/a"
        hook = Webhook(url=place, allow_private_urls=False, timeout_seconds=20)
        for act in (hook.notify, hook.call):
            with pytest.raises(NotificationInvalid, match="private"):
                act("a")
    assert seen == []


@pytest.mark.parametrize(
    "answers", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["2606:4700::1111", "fe80::1%lo"]]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_with_one_private_address_is_refused(answers: list[str], scheme: str) -> None:
    manner = Manner(20, private=False, resolve=lambda host, port: answers)
    with pytest.raises(Forbidden):
        send("POST", f"{scheme}://hooks.test/a", b"1", {}, manner)


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(desk: WebDesk) -> None:
    asked: list[tuple[str, int]] = []
    port = int(desk.url.rpartition(":")[2])

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["203.0.113.1"]

    answer = send("POST", f"http://hooks.test:{port}/a", b"1", {}, Manner(20, resolve=resolve))
    assert answer.ok
    assert asked == [("hooks.test", port)]
    assert desk.requests[0][2]["Host"] == f"hooks.test:{port}"


def test_every_address_of_a_name_is_tried(desk: WebDesk) -> None:
    port = int(desk.url.rpartition(":")[2])
    found = ["::1", "127.0.0.1"]  # nobody listens at the first
    manner = Manner(20, resolve=lambda host, port: found)
    assert send("POST", f"http://hooks.test:{port}/a", b"1", {}, manner).ok
    found.clear()
    with pytest.raises(NotSent, match="no address"):
        send("POST", f"http://hooks.test:{port}/a", b"1", {}, manner)


@pytest.mark.parametrize("url", ["http://hooks.test/a", "https://hooks.test/a"])
def test_what_a_proxy_is_to_connect_to_is_looked_at(
    desk: WebDesk, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, desk.url)
    monkeypatch.setenv("no_proxy", "")
    for host in ("hooks.test", "[::1]", "[::1]:8080"):
        manner = Manner(20, private=False, resolve=lambda host, port: ["::1"])
        with pytest.raises(Forbidden):
            send("POST", url.replace("hooks.test", host), b"1", {}, manner)
    assert not desk.requests


@pytest.mark.parametrize(
    ("address", "is_open"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:127.0.0.1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("2002:a00:1::", False),
        ("2002:808:808::", True),
        ("64:ff9b::a00:1", False),
        ("::10.0.0.1", False),
        ("100.64.0.1", False),
        ("fd00::1", False),
    ],
)
def test_which_addresses_are_private(address: str, is_open: bool) -> None:
    assert is_global(address) is is_open


def test_the_proxy_of_the_environment_is_used(
    desk: WebDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", desk.url)
    monkeypatch.setenv("no_proxy", "")
    Webhook(url="http://hooks.test/a").notify("by the proxy")
    assert desk.requests[0][1] == "http://hooks.test/a"
    with pytest.raises(NotificationFailed, match=r"private|not reached"):
        Webhook(url="http://127.0.0.1/a", allow_private_urls=False).notify("a")
    assert len(desk.requests) == 1


def test_a_server_that_drips_is_given_up(clock: HastyClock) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n", *[b"X-Slow: 1\r\n"] * 1000) as (url, seen):
        with pytest.raises(NotificationFailed, match="longer than") as caught:
            Webhook(url=url, timeout_seconds=0.4).notify("a")
        assert not isinstance(caught.value, NotificationUnsent)
        assert len(seen) == 1


def test_an_answer_that_breaks_off_is_not_sent_again(clock: HastyClock) -> None:
    with answering(b"HTTP/1.1 20") as (url, seen):
        with pytest.raises(NotificationFailed, match="no answer"):
            Webhook(url=url).notify("a")
        assert len(seen) == 1


def test_a_certificate_must_be_right_unless_said_otherwise(
    tmp_path: Path, clock: HastyClock
) -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    context = make_certificate(tmp_path)
    over = Event()

    def serve() -> None:
        while not over.is_set():
            try:
                raw, _ = server.accept()
                with context.wrap_socket(raw, server_side=True) as line:
                    whole(line)
                    line.sendall(ok)
            except OSError:
                continue

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve, daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}/a"
        with pytest.raises(NotificationUnsent, match="certificate"):
            Webhook(url=url).notify("a")
        Webhook(url=url, verify=False).notify("a")
        over.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def busy(after: str) -> bytes:
    return f"HTTP/1.1 429 Busy\r\nRetry-After: {after}\r\nContent-Length: 0\r\n\r\n".encode()


def test_patience_may_be_asked_for_until_a_date(clock: HastyClock) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    with answering(busy(when)) as (url, seen), pytest.raises(NotificationUnsent):
        Webhook(url=url).notify("a")
    assert len(seen) == 3
    assert all(0 < seconds <= 20 for seconds in clock.slept)


@pytest.mark.parametrize(("after", "slept"), [("3600", []), ("soon", [1, 2]), ("-1", [1, 2])])
def test_too_much_patience_is_not_had(clock: HastyClock, after: str, slept: list[float]) -> None:
    with answering(busy(after)) as (url, _), pytest.raises(NotificationUnsent, match="429"):
        Webhook(url=url).notify("a")
    assert clock.slept == slept


def test_a_name_helps_to_find_it(clock: HastyClock) -> None:
    hook = Webhook(url=f"http://127.0.0.1:{reserve_closed_port()}/T0/B0")
    hook.save("alerts")
    with pytest.raises(NotificationUnsent, match=r"'alerts' at 127\.0\.0\.1") as caught:
        hook.notify("a")
    assert "T0/B0" not in str(caught.value)


def test_a_url_by_reference_is_hidden_as_well(
    desk: WebDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/services/{secrets.token_hex(12)}"
    monkeypatch.setenv("HOOK_URL", f"{desk.url}{path}")
    hook = Webhook(url="env:HOOK_URL")
    hook.notify("by reference")
    assert desk.requests[0][1] == path
    desk.behave("refuses")  # and quotes the path
    with pytest.raises(NotificationFailed, match="400") as caught:
        hook.notify("a")
    assert path not in str(caught.value)
    with pytest.raises(NotificationInvalid, match="NO_SUCH_HOOK"):
        Webhook(url="env:NO_SUCH_HOOK").notify("a")


def test_a_provider_may_send_bytes_to_an_address_of_the_note(desk: WebDesk) -> None:
    """As a block does whose URL and headers are made for each note."""
    provider = Webhook(url=f"{desk.url}/one", headers=SecretDict({"X-A": "1"})).make_provider()
    headers = SecretDict({"Content-Type": "application/merge-patch+json"})
    answer = provider.send(b'{"a":  1}', url=f"{desk.url}/two?c=3", headers=headers)
    provider.check(answer)
    ((_, path, sent, body),) = desk.requests
    assert (path, body) == ("/two?c=3", b'{"a":  1}')
    assert sent["Content-Type"] == "application/merge-patch+json"
    assert "X-A" not in sent
    desk.behave("refuses")
    with pytest.raises(NotificationFailed, match="400"):
        provider.check(provider.send(b""))
