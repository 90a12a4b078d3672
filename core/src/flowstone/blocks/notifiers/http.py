"""A single HTTP request with a total deadline, the environment's proxies, and no redirects."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import IPv6Address, ip_address
from json import loads
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from flowstone.blocks.notifiers.deadlines import deadline, hang_up, trust

if TYPE_CHECKING:
    from http.client import HTTPResponse

#: Maximum number of bytes of a response that are read.
LONGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of a web server.

    Attributes:
        status_code: 2xx if the server has accepted the request.
        headers: by name, in lower case.
        text: the body, up to 1 MB of it.
    """

    status_code: int
    headers: Mapping[str, str]
    text: str

    @property
    def ok(self) -> bool:
        """Whether the server has accepted the request."""
        return 200 <= self.status_code < 300

    def json(self) -> Any:
        """Return the body, parsed as JSON."""
        return loads(self.text)


class NotSent(OSError):
    """The server was not reached, so it has not received any part of the request."""


class NoAnswer(OSError):
    """The request was sent, and no response came: the server may have processed it."""


class Forbidden(OSError):
    """The address belongs to a private network."""

    def __init__(self) -> None:
        super().__init__("its address is in a private network")


#: A function that returns the IP addresses of a host, for a port.
Resolver = Callable[[str, int], Sequence[str]]


def resolve_host(host: str, port: int) -> list[str]:
    """Return the system's addresses of a host, given by name or as an address in any notation."""
    return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Manner:
    """Options for sending a request.

    Attributes:
        seconds: the timeout of the whole request.
        verify: whether to verify the server's certificate.
        private: whether addresses of private networks are allowed.
        resolve: finds the addresses of a host; called once per connection.
    """

    seconds: float
    verify: bool = True
    private: bool = True
    resolve: Resolver = resolve_host


def send(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], manner: Manner
) -> Answer:
    """Send a request, and return the response, whatever its status.

    Raises:
        NotSent: the server was not reached, or its certificate is invalid.
        NoAnswer: the request was sent, and no complete response came in time.
        Forbidden: the address belongs to a private network, which is not allowed.
    """
    line = _Line(manner)
    # No handlers for redirects and errors: a response is returned as it is, and the payload for a
    # secret URL is sent nowhere else.
    opener = OpenerDirector()
    for handler in (ProxyHandler(), _Plain(line), _Sealed(line, trust(manner.verify))):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", "flowstone")]
    request = Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310 - checked
    with deadline(manner.seconds, line.drop) as over:
        try:
            with opener.open(request, timeout=manner.seconds) as response:
                answer = _read(response)
            if over.is_set():  # a truncated response may look complete
                raise TimeoutError
            return answer
        except (OSError, HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            if isinstance(reason, Forbidden):
                raise reason from None
            late = over.is_set() or isinstance(reason, TimeoutError)
            told = f"it took longer than {manner.seconds:g} s" if late else _describe_reason(reason)
            raise (NoAnswer if line.sent else NotSent)(told) from None


def _describe_reason(reason: object) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({reason.verify_message})"
    text = str(getattr(reason, "strerror", None) or reason)
    return text or type(reason).__name__


def _read(response: HTTPResponse) -> Answer:
    text = response.read(LONGEST).decode("utf-8", "replace")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, headers, text)


class _Line:
    """The connection of one request, and its progress."""

    def __init__(self, manner: Manner) -> None:
        self._private, self._resolve, self.sent = manner.private, manner.resolve, False
        self._connection: HTTPConnection | None = None

    def take(self, connection: _Guarded) -> _Guarded:
        connection.line, self._connection = self, connection
        return connection

    def connect(
        self, address: tuple[str, int], timeout: float, source: tuple[str, int] | None
    ) -> socket.socket:
        """Connect to an address that was checked: the name is not resolved a second time."""
        host, port = address
        trouble: OSError = OSError("the host has no address")
        for found in self._find_addresses(host, port):
            try:
                return socket.create_connection((found, port), timeout, source)
            except OSError as error:
                trouble = error
        raise trouble

    def _find_addresses(self, host: str, port: int) -> Sequence[str]:
        found = self._resolve(host, port)
        if not self._private and not all(map(is_global, found)):
            raise Forbidden
        return found

    def check_proxied(self, request: Request) -> None:
        """Check the host that a proxy will connect to, if its name shows that; trust the proxy."""
        tunnel = getattr(request, "_tunnel_host", None)
        target = tunnel or (request.selector.split("/")[2] if request.has_proxy() else None)
        if target is None or self._private:
            return
        self._find_addresses(urlsplit(f"//{target}").hostname or "", 0)
        self._private = True  # the proxy's own address may be any

    def drop(self) -> None:
        if self._connection is not None:
            hang_up(self._connection.sock)


class _Guarded(HTTPConnection):
    line: _Line

    def connect(self) -> None:
        self._create_connection = self.line.connect
        super().connect()

    def request(self, *args: Any, **options: Any) -> None:
        self.connect()
        self.line.sent = True
        super().request(*args, **options)


class _GuardedTls(HTTPSConnection, _Guarded):
    """HTTPS with the `connect` of `_Line`."""


class _Plain(HTTPHandler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def http_open(self, req: Request) -> HTTPResponse:
        self._line.check_proxied(req)
        return self.do_open(lambda host, **options: self._line.take(_Guarded(host, **options)), req)


class _Sealed(HTTPSHandler):
    def __init__(self, line: _Line, context: ssl.SSLContext) -> None:
        super().__init__()
        self._line, self._tls = line, context

    def https_open(self, req: Request) -> HTTPResponse:
        self._line.check_proxied(req)

        def connection(host: str, **options: Any) -> _GuardedTls:
            made = _GuardedTls(host, context=self._tls, **options)
            self._line.take(made)
            return made

        return self.do_open(connection, req)


def is_global(address: str) -> bool:
    """Return whether an IP address is a public one."""
    ip = ip_address(address.partition("%")[0])
    inner = (ip.ipv4_mapped or ip.sixtofour) if isinstance(ip, IPv6Address) else None
    if inner is not None:
        return is_global(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved
