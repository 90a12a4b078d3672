"""LoginCache: sessions that are opened once per process and shared by equal blocks."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Login = TypeVar("Login")

#: Maximum number of sessions; the least recently used one is dropped first.
MOST_LOGINS = 32


class LoginCache(Generic[Login]):
    """Sessions of this process by their credentials; safe to use from several threads.

    A session is opened by a package from the fields of a credentials block: a session of an SDK
    and its clients. Blocks with equal fields then share connections and tokens. A forked child
    starts with an empty cache: it must not use its parent's sockets, or locks that were held.

    Args:
        most: the maximum number of sessions.
    """

    def __init__(self, most: int = MOST_LOGINS) -> None:
        self._most = most
        self._logins: OrderedDict[Hashable, Login] = OrderedDict()
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start_anew)

    def find(self, values: Hashable, open_login: Callable[[], Login]) -> Login:
        """Return the session for these values; call `open_login` if there is none.

        Args:
            values: everything that makes a difference: the fields, and the environment variables
                that the SDK reads. They are compared, and never shown.
            open_login: returns a new session. It is called under the cache's lock, so it must not
                wait for the service: connect when the session is first used.
        """
        with self._lock:
            found = self._logins.get(values)
            if found is None:
                found = self._logins[values] = open_login()
                if len(self._logins) > self._most:
                    self._logins.popitem(last=False)
            self._logins.move_to_end(values)
            return found

    def _start_anew(self) -> None:
        self._lock = threading.Lock()
        self._logins.clear()
