"""Sessions for Cloud Storage that detect a response that is truncated within its headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.auth.transport.requests import AuthorizedSession
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as Broken

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from requests import Response

#: Number of pooled connections: a folder transfer uses eight, and several may run at once.
POOL = 64
#: Status codes of responses without a body, which need no Content-Length.
BODILESS = {204, 304}


def open_session(credentials: Credentials) -> AuthorizedSession:
    """Return a thread-safe session of requests with credentials."""
    session = AuthorizedSession(credentials)
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=POOL))
    session.hooks["response"].append(_refuse_truncated)
    session.configure_mtls_channel()  # changes nothing unless the environment asks for it
    return session


def _refuse_truncated(response: Response, *_: object, **__: object) -> None:
    """Raise for a truncated response, which requests takes for a complete one."""
    if _is_truncated(response):
        response.close()
        raise Broken("the connection was closed in the middle of a response")


def _is_truncated(response: Response) -> bool:
    """Return whether the headers of a response lack the length of its body."""
    headers = response.headers
    http_1_0 = getattr(response.raw, "version", 11) == 10  # its bodies end with the connection
    if (
        http_1_0
        or response.status_code in BODILESS
        or headers.get("Transfer-Encoding", "").lower() == "chunked"
    ):
        return False
    length = headers.get("Content-Length")
    if length is None:
        return headers.get("Connection", "").lower() != "close"
    return not length.isdigit()
