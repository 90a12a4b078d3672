"""One HTTP request: with a deadline for the whole of it, the environment's proxies, no redirect."""

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

#: So much of an answer is read, in bytes.
LONGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a web server has answered.

    Attributes:
        status_code: 200 and its kin mean that it took the request.
        headers: by name, in lower case.
        text: the body, up to a megabyte of it.
    """

    status_code: int
    headers: Mapping[str, str]
    text: str

    @property
    def ok(self) -> bool:
        """Whether the server took the request."""
        return 200 <= self.status_code < 300

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return loads(self.text)


class NotSent(OSError):
    """The server was not reached, so that it has seen nothing of the request."""


class NoAnswer(OSError):
    """The request was sent, and no answer came: the server may have acted on it."""


class Forbidden(OSError):
    """The address is one of a private network."""

    def __init__(self) -> None:
        super().__init__("its address is one of a private network")


#: Returns the IP addresses of a host, for a port.
Resolver = Callable[[str, int], Sequence[str]]


def resolve_host(host: str, port: int) -> list[str]:
    """Return the addresses that the system knows of a host, by name or written in any way."""
    return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a request is sent.

    Attributes:
        seconds: how long the whole of it may take.
        verify: whether the server's certificate must be right.
        private: whether addresses of private networks are allowed.
        resolve: finds the addresses of a host; it is asked once for each connection.
    """

    seconds: float
    verify: bool = True
    private: bool = True
    resolve: Resolver = resolve_host


def send(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], manner: Manner
) -> Answer:
    """Send a request, and return the answer, whatever its status.

    Raises:
        NotSent: the server was not reached; also where its certificate is wrong.
        NoAnswer: the request was sent, and no whole answer came in time.
        Forbidden: the address is of a private network, and that is not allowed.
    """
    line = _Line(manner)
    # No handlers for redirects and errors: an answer is returned as it is, and a secret URL's
    # payload goes nowhere else.
    opener = OpenerDirector()
    for handler in (ProxyHandler(), _Plain(line), _Sealed(line, trust(manner.verify))):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", "flowstone")]
    request = Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310 - checked
    with deadline(manner.seconds, line.drop) as over:
        try:
            with opener.open(request, timeout=manner.seconds) as response:
                answer = _read(response)
            if over.is_set():  # what was cut off may look like an answer
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
    """The connection of one request, and how far it has come."""

    def __init__(self, manner: Manner) -> None:
        self._private, self._resolve, self.sent = manner.private, manner.resolve, False
        self._connection: HTTPConnection | None = None

    def take(self, connection: _Guarded) -> _Guarded:
        connection.line, self._connection = self, connection
        return connection

    def connect(
        self, address: tuple[str, int], timeout: float, source: tuple[str, int] | None
    ) -> socket.socket:
        """Connect to an address that was looked at: the name is not resolved a second time."""
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
        """Look at what a proxy will connect to, as far as its name tells; the proxy is trusted."""
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
    """Its `connect` is that of HTTPS."""


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
    """Tell whether an IP address is one of the open internet."""
    ip = ip_address(address.partition("%")[0])
    inner = (ip.ipv4_mapped or ip.sixtofour) if isinstance(ip, IPv6Address) else None
    if inner is not None:
        return is_global(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved
