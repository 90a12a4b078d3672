"""Credentials: a block that opens clients of a service, and can check whether they work."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar, Protocol

from flowstone.blocks.async_twins import run_in_thread
from flowstone.blocks.base import Block
from flowstone.blocks.hashing import hash_value
from flowstone.blocks.validation import hide
from flowstone.secrets.walk import secret_texts


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check of credentials.

    Attributes:
        ok: whether the service accepted them.
        reason: the identity that they have there, or why they were refused; without secrets.
        latency_seconds: how long the check took.
    """

    ok: bool
    reason: str
    latency_seconds: float


class _Opening(Protocol):
    def get_client(self, *args: object, **kwargs: object) -> object: ...


def _ask_get_client(login: _Opening, *args: object, **kwargs: object) -> object:
    return login.get_client(*args, **kwargs)


def _check_get_client(login: _Opening) -> str:
    login.get_client()
    return "get_client returned a client; no request was sent to the service"


class Credentials(Block):
    """Credentials. All fields are optional: without any, the SDK's default chain is used."""

    _tried_again: ClassVar[tuple[str, ...]] = ("client", "_check")
    _replaceable: ClassVar[tuple[str, ...]] = ("get_client",)
    _substitutes: ClassVar[Mapping[str, Callable[..., object]]] = {
        "_check": _check_get_client,
        "client": _ask_get_client,
    }

    def __hash__(self) -> int:
        """Return a hash of the fields: equal credentials are the same key of a dict or cache.

        Don't set fields of credentials that are used as a key.
        """
        return hash_value(self)

    @abstractmethod
    def client(self, *args: Any, **kwargs: Any) -> Any:
        """Open a client of the service; a provider defines the parameters and the type.

        Raises:
            CredentialsError: these fields don't make valid credentials.
        """

    @abstractmethod
    def _check(self) -> str:
        """Connect to the service, and return the authenticated identity; raise if that fails."""

    def check(self) -> Check:
        """Connect to the service, and return whether it worked, why, and how long it took.

        Refused credentials are a result, not an error: this method never raises one.
        """
        began = perf_counter()
        try:
            ok, reason = True, self._check()
        except Exception as error:  # noqa: BLE001 - whatever went wrong is the answer
            ok, reason = False, str(error) or type(error).__name__
        latency = perf_counter() - began
        return Check(ok, hide(reason, [text for text in secret_texts(self) if text]), latency)

    async def acheck(self) -> Check:
        """Async version of `check`."""
        return await run_in_thread(self.check)
