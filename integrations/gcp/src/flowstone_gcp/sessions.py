"""The connections to Cloud Storage, which notice an answer that ends among its headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.auth.transport.requests import AuthorizedSession
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as Broken

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from requests import Response

#: Connections that are kept: a folder's transfers take eight, and there may be several at a time.
POOL = 64
#: Answers that have no content, and need not say so.
BARE = {204, 304}


def open_session(credentials: Credentials) -> AuthorizedSession:
    """Return a session of requests with a login, for use from several threads."""
    session = AuthorizedSession(credentials)
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=POOL))
    session.hooks["response"].append(_refuse_half)
    session.configure_mtls_channel()  # changes nothing unless the environment asks for it
    return session


def _refuse_half(response: Response, *_: object, **__: object) -> None:
    """Raise for half an answer: where a connection ends, requests takes the headers to end."""
    if _is_half(response):
        response.close()
        raise Broken("the connection ended in the middle of the answer")


def _is_half(response: Response) -> bool:
    """Return whether the headers do not say how long the content is, as all of them together do."""
    headers = response.headers
    if response.status_code in BARE or headers.get("Transfer-Encoding", "").lower() == "chunked":
        return False
    length = headers.get("Content-Length")
    if length is None:
        return headers.get("Connection", "").lower() != "close"
    return not length.isdigit()
