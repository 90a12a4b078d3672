"""Mistakes that a strict type checker finds; where it did not, its `ignore` would be an error."""

from __future__ import annotations

from flowstone import flow, tsk, unmapped  # type: ignore[attr-defined]  # noqa: F401
from flowstone.blocks import LocalDirectory, S3Bucket  # type: ignore[attr-defined]  # noqa: F401
from flowstone.testing import harness  # type: ignore[attr-defined]  # noqa: F401

from .calls import Shop, amain, half, main, pausing, text


@flow(retires=2)  # type: ignore[call-overload,untyped-decorator]
def misspelt() -> None: ...


def calls(shop: Shop) -> None:
    text("a")  # type: ignore[call-overload]
    text(1, 2)  # type: ignore[call-overload]
    main()  # type: ignore[call-overload]
    shop.opens("early")  # type: ignore[call-overload]
    text.with_options(retires=1)  # type: ignore[call-arg]


async def values() -> str:
    number: int = text.submit(1).result()  # type: ignore[assignment]
    whole: int = await half(number)  # type: ignore[assignment]
    name: str = await amain()  # type: ignore[assignment]
    size: int = pausing()  # type: ignore[assignment]
    return name * whole * size


def blocks(store: LocalDirectory) -> str:
    return store.read_path("a")  # type: ignore[return-value]
