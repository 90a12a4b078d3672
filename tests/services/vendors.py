"""Services that take notes, as their makers document them, on this machine.

Clients reach them by their real addresses: what stands here is the environment's proxy, which ends
TLS itself, with certificates of the tests' own authority. Each route names the page that it is
from.
"""

from __future__ import annotations

import html
import json
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tests.services.certificates import find_authority
from tests.services.web import Handler

from flowstone_testing.desks import Script, words

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Route:
    """One address that takes notes.

    Attributes:
        path: a pattern of the path.
        read: turns the body into what a person reads.
        status: of the answer to a note that is taken.
        answer: the body of that answer.
    """

    path: str
    read: Callable[[bytes], str]
    status: int = 200
    answer: str = ""


def read_fields(*names: str) -> Callable[[bytes], str]:
    """Return a reader of JSON: the texts at some dotted places, one below the other."""

    def read(body: bytes) -> str:
        value = json.loads(body)
        return "\n".join(str(_find(value, name)) for name in names if _find(value, name))

    return read


def _find(value: Any, place: str) -> Any:
    for part in place.split("."):
        value = value[int(part)] if isinstance(value, list) else value.get(part, "")
    return value


def read_mail(body: bytes) -> str:
    """Return the subject of a mail, and its HTML as a browser shows it."""
    mail = json.loads(body)
    (content,) = mail["content"]
    assert content["type"] == "text/html"
    shown = re.sub(r"<br */?>", "\n", content["value"])
    return f"{mail['subject']}\n{html.unescape(shown)}".replace("\u2003", "\t").replace("\xa0", " ")


def read_message(body: bytes) -> str:
    """Return the text of a short message."""
    return parse_qs(body.decode())["Body"][0]


# https://developers.mattermost.com/integrate/webhooks/incoming/
MATTERMOST = Route(r"(/chat)?/hooks/[^/]+(\?.*)?", read_fields("text"), 200, "ok")
#: By host; Mattermost is where somebody runs it.
ROUTES: Mapping[str, Route] = {
    # https://discord.com/developers/docs/resources/webhook#execute-webhook
    "discord.com": Route(r"/api/webhooks/[^/]+/[^/]+", read_fields("content"), 204),
    # https://learn.microsoft.com/azure/connectors/connectors-native-reqres
    "prod-1.westus.logic.azure.com": Route(
        r"/workflows/[^/]+/triggers/manual/paths/invoke\?.*sig=.+", words, 202
    ),
    # https://docs.opsgenie.com/docs/alert-api#create-alert
    "api.opsgenie.com": Route(
        r"/v2/alerts",
        read_fields("message", "description"),
        202,
        '{"result": "Request will be processed", "took": 0.302, "requestId": "43a29c5c-3dbf"}',
    ),
    # https://developer.pagerduty.com/docs/send-alert-event
    "events.pagerduty.com": Route(
        r"/v2/enqueue",
        read_fields("payload.summary"),
        202,
        '{"status": "success", "message": "Event processed", "dedup_key": "samplekeyhere"}',
    ),
    # https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
    "api.sendgrid.com": Route(r"/v3/mail/send", read_mail, 202),
    # https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
    "api.twilio.com": Route(
        r"/2010-04-01/Accounts/AC[0-9a-f]{32}/Messages\.json",
        read_message,
        201,
        '{"status": "queued", "error_code": null, "error_message": null}',
    ),
    "127.0.0.1": MATTERMOST,
    "chat.example.org": MATTERMOST,
}
#: Who asks for a login in a header, and what begins it.
LOGINS = {
    "api.opsgenie.com": "GenieKey ",
    "events.pagerduty.com": "Token token=",
    "api.sendgrid.com": "Bearer ",
    "api.twilio.com": "Basic ",
}


class Vendors(Script):
    """All these services, as one desk.

    Attributes:
        url: where the proxy is, and the services that have no fixed address.
        ca: the certificate that clients have to trust.
        requests: what has come: the host, the path, the headers and the body of each.
    """

    def __init__(self, url: str, ca: Path) -> None:
        super().__init__()
        self.url, self.ca, self.over = url, ca, Event()
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead clients here."""
        ca = str(self.ca)
        found = {"HTTPS_PROXY": self.url, "REQUESTS_CA_BUNDLE": ca, "SSL_CERT_FILE": ca}
        return {**found, "https_proxy": self.url, "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    vendors: Vendors
    tls: ssl.SSLContext


class _Clerk(Handler):
    server: _Server
    host = "127.0.0.1"

    def do_CONNECT(self) -> None:
        self.host = self.path.rpartition(":")[0]
        self.send_response(200)
        self.end_headers()
        try:
            self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        except OSError:  # the client does not trust us
            return
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_POST(self) -> None:
        vendors, body = self.server.vendors, self.read_body()
        vendors.requests.append((self.host, self.path, dict(self.headers), body))
        conduct, route = vendors.next(), ROUTES[self.host]
        if conduct == "silent":
            vendors.over.wait(60)
        elif conduct == "busy":
            self.respond(503, b"too much to do")
        elif conduct == "refuses":
            self.respond(400, f"no {self.path} {dict(self.headers)}".encode())
        elif not re.fullmatch(route.path, self.path):
            self.respond(404, f"no {self.path}".encode())
        elif not self.headers.get("Authorization", "").startswith(LOGINS.get(self.host, "")):
            self.respond(401, b"who are you?")
        else:
            vendors.keep(route.read(body))
            self.respond(route.status, route.answer.encode())
        self.close_connection = True

    def finish(self) -> None:
        super().finish()
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.close()


@contextmanager
def open_vendors() -> Iterator[Vendors]:
    """Open the services for a while."""
    authority = find_authority(tuple(host for host in ROUTES if host != "127.0.0.1"))
    with _Server(("127.0.0.1", 0), _Clerk) as server:
        server.vendors = Vendors(f"http://127.0.0.1:{server.server_port}", authority.ca)
        server.tls = authority.make_context()
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.vendors
        finally:
            server.vendors.over.set()
            server.shutdown()
            thread.join()
