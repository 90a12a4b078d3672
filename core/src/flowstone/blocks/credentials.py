"""Credentials: a block that opens clients, and that can tell whether its login works."""

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
    """Whether a login works.

    Attributes:
        ok: whether the service let us in.
        reason: who we are there, or why not; no secret is in it.
        latency_seconds: how long it took to find out.
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
    """A login. All its fields are optional: with none, the SDK's default chain finds one."""

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
        """Open a client of the service; a provider gives this its own parameters and type.

        Raises:
            CredentialsError: no login can be made from these fields.
        """

    @abstractmethod
    def _check(self) -> str:
        """Connect for real, and return who we are there; raise where that fails."""

    def check(self) -> Check:
        """Connect for real, and tell whether it worked, why, and how long it took.

        A refused login is an answer, not an error: this never raises one.
        """
        began = perf_counter()
        try:
            ok, reason = True, self._check()
        except Exception as error:  # noqa: BLE001 - whatever went wrong is the answer
            ok, reason = False, str(error) or type(error).__name__
        latency = perf_counter() - began
        return Check(ok, hide(reason, [text for text in secret_texts(self) if text]), latency)

    async def acheck(self) -> Check:
        """Do as `check`, and let other coroutines run meanwhile."""
        return await run_in_thread(self.check)
