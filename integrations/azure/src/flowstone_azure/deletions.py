"""Deletion of many objects in batch requests, if the service and the credentials allow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.blocks.object_stores import map_in_threads
from flowstone.errors import BucketMissing, CredentialsError, StorageError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from azure.core.pipeline.transport import HttpResponse
    from azure.storage.blob import ContainerClient

    from flowstone_azure.logins import BlobLogin

#: Azure's limit for one batch.
MAX_BATCH = 256


def can_batch(login: BlobLogin) -> bool:
    """Return whether a login may send batches; a SAS of a single blob may not."""
    reaches_container = login.sas is None or login.sas.scope in {"", "c"}
    return login.takes_batches and reaches_container


def delete_in_batches(
    container: ContainerClient,
    names: Sequence[str],
    delete: Callable[[str], None],
    *,
    workers: int,
    login: BlobLogin,
) -> None:
    """Delete objects in batches; delete those of a failed batch one by one.

    Args:
        container: the client of their container.
        names: the objects; those that don't exist are ignored.
        delete: deletes one object, and raises a helpful error.
        workers: the number of requests in flight.
        login: remembers whether the service accepts its batches.
    """
    parts = [names[start : start + MAX_BATCH] for start in range(0, len(names), MAX_BATCH)]
    done = map_in_threads(lambda part: _send(container, part, login), parts, workers)
    left = [name for part, is_done in zip(parts, done, strict=True) if not is_done for name in part]
    # Objects of the batch that are deleted already are ignored.
    for _ in map_in_threads(delete, left, workers):
        pass


def _send(container: ContainerClient, names: Sequence[str], login: BlobLogin) -> bool:
    """Send a batch; return whether all of its objects are deleted."""
    if not login.takes_batches:
        return False
    try:
        with login.translate_errors():
            answers = list(container.delete_blobs(*names, raise_on_any_failure=False))
    except BucketMissing:
        raise
    except Unreachable as error:
        if getattr(error.__cause__, "status_code", None) != 500:
            raise
        return False
    except (CredentialsError, StorageError):
        # A batch may need a permission that single deletions don't; otherwise those raise errors.
        login.takes_batches = False
        return False
    return len(answers) == len(names) and all(_is_gone(answer) for answer in answers)


def _is_gone(answer: HttpResponse) -> bool:
    is_missing = answer.headers.get("x-ms-error-code") == "BlobNotFound"
    return answer.status_code == 202 or (answer.status_code == 404 and is_missing)
