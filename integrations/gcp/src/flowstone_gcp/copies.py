"""Server-side copies within Cloud Storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.cloud.storage import Blob


def copy_by_service(target: Blob, origin: Blob, options: Mapping[str, Any]) -> None:
    """Copy an object on the server, with as many requests as its size requires.

    Args:
        target: the new object.
        origin: the object to copy.
        options: arguments of the SDK's `Blob.rewrite`; with `token`, a copy is continued.
    """
    token, more = options.get("token"), {k: v for k, v in options.items() if k != "token"}
    while True:
        token, _, _ = target.rewrite(origin, token=token, **more)
        if token is None:
            return
