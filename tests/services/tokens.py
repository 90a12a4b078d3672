"""Google's token services on this machine; the official SDK is their client.

The routes and their answers are those of Google's pages:

* ``/token``, for keys: https://developers.google.com/identity/protocols/oauth2/service-account,
  and for users: https://developers.google.com/identity/protocols/oauth2/web-server#offline
* ``/v1/token``, an exchange: https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token
* ``:generateAccessToken`` and ``:signBlob``:
  https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts
* ``/computeMetadata/v1/…``, a virtual machine's metadata server:
  https://cloud.google.com/compute/docs/metadata/querying-metadata and
  https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from tests.services.web import Handler, serve_web

from flowstone_testing.certificates import make_certificate

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Answer = tuple[int, dict[str, Any] | str]
MACHINE = "machine@example-project.iam.gserviceaccount.com"
#: How each service account before the last one is named in a request to IAM.
DELEGATE = re.compile(r"projects/-/serviceAccounts/[^/]+")


@dataclass(frozen=True)
class Asked:
    """A request to Google.

    Attributes:
        host: as the client addressed it.
        path: without its query.
        body: its JSON or its form.
        token: the bearer token, if it has one.
    """

    host: str
    path: str
    body: dict[str, Any]
    token: str | None


class Tokens:
    """What a loopback server answers where Google has its token services.

    Attributes:
        url: its address.
        seconds: how long a token is good.
        refusal: what it answers in place of a token: a status and Google's words.
        denied: service accounts that nobody may impersonate.
        asked: the requests so far.
        given: the tokens so far.
    """

    def __init__(self) -> None:
        self.url = ""
        self.seconds = 3600
        self.refusal: tuple[int, dict[str, Any]] | None = None
        self.denied: set[str] = set()
        self.asked: list[Asked] = []
        self.given: list[str] = []

    def answer(self, asked: Asked, flavor: str | None) -> Answer:
        self.asked.append(asked)
        if self.refusal:
            return self.refusal
        if asked.path == "/" or asked.path.startswith("/computeMetadata/"):
            return self._answer_machine(asked, flavor)
        if "/serviceAccounts/" in asked.path:
            return self._answer_iam(asked)
        kind = "urn:ietf:params:oauth:token-type:access_token"
        return 200, {**self._make_token(), "issued_token_type": kind}

    def _make_token(self) -> dict[str, Any]:
        token = f"ya29.{uuid4().hex}"
        self.given.append(token)
        return {"access_token": token, "expires_in": self.seconds, "token_type": "Bearer"}

    def _answer_machine(self, asked: Asked, flavor: str | None) -> Answer:
        if flavor != "Google":
            return 403, "Missing Metadata-Flavor:Google header."
        scopes = ["https://www.googleapis.com/auth/cloud-platform"]
        account = {"aliases": ["default"], "email": MACHINE, "scopes": scopes}
        path = asked.path.removeprefix("/computeMetadata/v1").replace(f"/{MACHINE}/", "/default/")
        answers: dict[str, Answer] = {
            "/": (200, "computeMetadata/"),
            "/project/project-id": (200, "example-project"),
            "/instance/service-accounts/default/": (200, account),
        }
        if path == "/instance/service-accounts/default/token":
            return 200, self._make_token()
        return answers.get(path, (404, "Not Found"))

    def _answer_iam(self, asked: Asked) -> Answer:
        account, _, method = asked.path.rpartition("/")[2].partition(":")
        if asked.token not in self.given:
            return _refuse(401, "Request had invalid authentication credentials", "UNAUTHENTICATED")
        if not all(map(DELEGATE.fullmatch, asked.body.get("delegates") or ())):
            return _refuse(400, "Request contains an invalid argument.", "INVALID_ARGUMENT")
        right = {"generateAccessToken": "getAccessToken", "signBlob": "signBlob"}[method]
        if account in self.denied:
            words = f"Permission 'iam.serviceAccounts.{right}' denied on resource"
            return _refuse(403, f"{words} (or it may not exist).", "PERMISSION_DENIED")
        if method == "signBlob":
            return 200, {"keyId": "1", "signedBlob": sign(account, asked.body["payload"])}
        until = datetime.now(UTC) + timedelta(seconds=self.seconds)
        token = self._make_token()["access_token"]
        return 200, {"accessToken": token, "expireTime": f"{until:%Y-%m-%dT%H:%M:%SZ}"}


def sign(account: str, payload: str) -> str:
    """Return what stands for a signature by a service account; both are base64."""
    return b64encode(sha256(account.encode() + b64decode(payload)).digest()).decode()


def _refuse(code: int, message: str, status: str) -> Answer:
    return code, {"error": {"code": code, "message": message, "status": status}}


class Answering(Handler):
    """Hands each request to `tokens`."""

    protocol_version = "HTTP/1.1"
    tokens: ClassVar[Tokens]

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        body = json.loads(text) if text.startswith("{") else _read_form(text)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        asked = Asked(self.headers["Host"], urlsplit(self.path).path, body, token)
        status, answer = self.tokens.answer(asked, self.headers.get("Metadata-Flavor"))
        is_text = isinstance(answer, str)
        content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/text" if is_text else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Metadata-Flavor", "Google")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST


class Connecting(Answering):
    """Answers under any name of the certificate, as a proxy that connects to itself."""

    context: ClassVar[ssl.SSLContext]

    def do_CONNECT(self) -> None:
        self.send_response(200, "Connection established")
        self.end_headers()
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False

    def finish(self) -> None:
        super().finish()
        self.connection.close()


def _read_form(text: str) -> dict[str, Any]:
    return {name: values[0] for name, values in parse_qs(text).items()}


@contextmanager
def serve_tokens() -> Iterator[Tokens]:
    """Hand out tokens on a free port."""
    tokens = Tokens()
    with serve_web(type("Answering", (Answering,), {"tokens": tokens})) as server:
        tokens.url = server.url
        yield tokens


@contextmanager
def serve_googleapis(tokens: Tokens, folder: Path) -> Iterator[Mapping[str, str]]:
    """Answer under Google's own names, ``https://oauth2.googleapis.com`` and the like.

    Args:
        tokens: what answers.
        folder: where the certificate is written.

    Yields:
        The environment that leads the SDK here: a proxy, and the certificate to trust.
    """
    own = {"tokens": tokens, "context": make_certificate(folder, ["*.googleapis.com"])}
    with serve_web(type("Connecting", (Connecting,), own)) as server:
        yield {"HTTPS_PROXY": server.url, "REQUESTS_CA_BUNDLE": str(folder / "server.pem")}
