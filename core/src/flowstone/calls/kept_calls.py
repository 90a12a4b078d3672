"""Calls that wait to be executed in the background, stored as documents until they are done."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from flowstone.context.current import services
from flowstone.errors import ObjectAlreadyExists, ObjectNotFound
from flowstone.ports.paging import iterate_documents

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from flowstone.records.documents import Document

#: With a task's key appended, the document kind of its calls, each named by the id of its run.
KIND = "background-call:"
#: Maximum number of calls that are read at a time.
PAGE = 100


class Arguments(NamedTuple):
    """The arguments of a call. Futures of other background tasks stand for their values."""

    args: tuple[object, ...]
    kwargs: dict[str, object]
    wait_for: list[object]


class KeptCall(NamedTuple):
    """A call that is not done.

    Attributes:
        run_id: the id of its run.
        key: the key of the task; see `find_key`.
        upstream: the ids of the background runs that it waits for.
        sealed: the encrypted arguments, which `open_arguments` decrypts.
    """

    run_id: str
    key: str
    upstream: tuple[str, ...]
    sealed: str

    def open_arguments(self) -> Arguments:
        """Return the arguments of the call.

        Raises:
            SecretUnreadable: they were encrypted with another key.
            Exception: a class that is needed can't be imported here.
        """
        # Serializers take 10 ms to import, which a process that only lists calls doesn't need.
        from flowstone.serializers import AutomaticSerializer

        content = services().sealer.open(self.sealed, _make_purpose(self.run_id))
        args, kwargs, wait_for = AutomaticSerializer().loads(content)
        return Arguments(tuple(args), kwargs, wait_for)


def pack_arguments(arguments: Arguments) -> bytes:
    """Return arguments as bytes: as JSON if that is lossless, otherwise as a pickle.

    Raises:
        NotSerializable: an argument can't be sent to another process.
    """
    from flowstone.serializers import AutomaticSerializer  # as above

    return AutomaticSerializer().dumps([list(arguments.args), *arguments[1:]])


def keep_call(run_id: str, key: str, upstream: Collection[str], content: bytes) -> None:
    """Store a call until it is done; its arguments are always encrypted."""
    current = services()
    sealed = current.sealer.seal(content, _make_purpose(run_id))
    body = {"upstream": list(upstream), "sealed": sealed}
    with suppress(ObjectAlreadyExists):  # by another caller with the same idempotency key
        current.documents.put(f"{KIND}{key}", run_id, body, expected=0)


def iterate_calls(key: str) -> Iterator[KeptCall]:
    """Yield the calls of a task that are not done, oldest first."""
    for document in iterate_documents(services().documents, f"{KIND}{key}", size=PAGE):
        yield _read(document)


def find_calls(run_ids: Collection[str]) -> dict[str, KeptCall]:
    """Return the calls of these runs that are not done, by run id."""
    found = services().documents.find(KIND, prefix=True, names=list(run_ids)) if run_ids else []
    return {document.name: _read(document) for document in found}


def forget_call(call: KeptCall) -> None:
    """Delete a call that is done, or will never be executed."""
    with suppress(ObjectNotFound):
        services().documents.delete(f"{KIND}{call.key}", call.run_id)


def _read(document: Document) -> KeptCall:
    body = document.body
    upstream = tuple(body.get("upstream", ()))
    return KeptCall(document.name, document.kind.removeprefix(KIND), upstream, str(body["sealed"]))


def _make_purpose(run_id: str) -> str:
    return f"the arguments of run {run_id}"
