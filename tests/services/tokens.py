"""Token services of Google on this machine.

The routes and answers: https://developers.google.com/identity/protocols/oauth2/service-account
(``/token``), https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token (an exchange)
and https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts
(``:generateAccessToken``). The official SDK is its client.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from uuid import uuid4

from tests.services.web import Handler, serve_web

if TYPE_CHECKING:
    from collections.abc import Iterator


class Tokens:
    """What a loopback server answers where Google has its token services.

    Attributes:
        url: its address.
        seconds: how long a token is good.
        refusal: what it answers in place of a token: a status and Google's words.
        asked: paths and bodies of the requests so far.
        given: the tokens so far.
    """

    def __init__(self) -> None:
        self.url = ""
        self.seconds = 3600
        self.refusal: tuple[int, dict[str, Any]] | None = None
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.given: list[str] = []

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append((path, body))
        if self.refusal:
            return self.refusal
        token = f"ya29.{uuid4().hex}"
        self.given.append(token)
        if path.endswith(":generateAccessToken"):  # the answer of IAM Credentials
            return 200, {"accessToken": token, "expireTime": "2100-01-01T00:00:00Z"}
        kind = "urn:ietf:params:oauth:token-type:access_token"
        answer = {"access_token": token, "expires_in": self.seconds, "token_type": "Bearer"}
        return 200, {**answer, "issued_token_type": kind}


@contextmanager
def serve_tokens() -> Iterator[Tokens]:
    """Hand out tokens on a free port."""
    tokens = Tokens()

    class Answering(Handler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            body = json.loads(text) if text.startswith("{") else dict(parse_qs(text))
            status, answer = tokens.answer(self.path, body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST

    with serve_web(Answering) as server:
        tokens.url = server.url
        yield tokens
