"""Keep a test process on this machine, whatever network the machine has."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys

_NAMES = {"", "localhost", "localhost.localdomain", "ip6-localhost", "0.0.0.0", "::"}


def keep_offline() -> None:
    """Refuse each name and address of another machine at once, as a machine without a network does.

    Otherwise what an SDK looks for in vain, such as the metadata server of a cloud, is refused at
    once in one network, and waited for in another: the run takes minutes in one, and hours in the
    other. Programs that tests start are not kept.
    """
    sys.addaudithook(_refuse_others)


def _refuse_others(event: str, args: tuple[object, ...]) -> None:
    if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        if not (_is_here(args[0]) or _is_number(args[0])):
            raise socket.gaierror(socket.EAI_NONAME, f"{args[0]!r} is not on this machine")
    elif event == "socket.connect":
        address = args[1]
        if isinstance(address, tuple) and not _is_here(address[0]):
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))


def _is_number(host: object) -> bool:
    """Return whether this is an address already, which nobody is asked for."""
    try:
        ipaddress.ip_address(_read_name(host))
    except ValueError:
        try:
            socket.inet_aton(_read_name(host))
        except OSError:
            return False
    return True


def _read_name(host: object) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")


def _is_here(host: object) -> bool:
    name = _read_name(host)
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback or name in _NAMES
    except ValueError:
        return name in _NAMES or name.endswith(".localhost") or name == socket.gethostname()
