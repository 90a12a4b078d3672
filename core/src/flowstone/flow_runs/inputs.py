"""Input of runs: models whose fields a person or another run fills in."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Self, TypeVar, get_origin

from pydantic import BaseModel, PrivateAttr, create_model

from flowstone.context.current import services
from flowstone.context.runtime import current_flow
from flowstone.engine.blocking_calls import call_blocking
from flowstone.errors import ConfigurationError, MissingContextError, RunTimeout, suggest_names
from flowstone.flow_runs.schemas import dump_plain, fill_in, make_model
from flowstone.records.encoding import dumps, loads
from flowstone.records.ids import new_id

if TYPE_CHECKING:
    from flowstone.records.documents import Document

T = TypeVar("T")

logger = logging.getLogger("flowstone.input")

#: Maximum number of seconds between two polls.
_LOOK = 1.0


class RunInputMetadata(NamedTuple):
    """The origin of an input.

    Attributes:
        key: unique for each input.
        sender: the id of the run that sent it; None if it was not sent by a run.
        receiver: the id of the run that it was sent to.
    """

    key: str
    sender: str | None
    receiver: str


class RunInput(BaseModel):
    """Input of a run: a pydantic model with optional initial values and a description."""

    description_for_people: ClassVar[str | None] = None
    _metadata: RunInputMetadata | None = PrivateAttr(default=None)

    @property
    def metadata(self) -> RunInputMetadata | None:
        """The origin of input that was sent; None for input that a paused run was resumed with."""
        return self._metadata

    @classmethod
    def with_initial_data(cls, description: str | None = None, **initial: object) -> type[Self]:
        """Return this model with other defaults.

        Args:
            description: instructions for the person who answers, in Markdown.
            **initial: initial values of fields; they can be changed when resuming.

        Raises:
            ConfigurationError: there is no field of that name.
        """
        fields: dict[str, Any] = {}
        for name, value in initial.items():
            if name not in cls.model_fields:
                known = suggest_names(name, cls.model_fields).strip() or "It has no fields."
                raise ConfigurationError(
                    f"{cls.__name__}.with_initial_data", f"there is no field {name!r}", known
                )
            field = copy(cls.model_fields[name])
            field.default, field.default_factory = value, None
            fields[name] = (field.annotation, field)
        model = create_model(cls.__name__, __base__=cls, __module__=cls.__module__, **fields)
        model.description_for_people = description
        return model

    @classmethod
    def receive(
        cls,
        timeout: float | None = 3600,
        poll_interval: float = 10,
        *,
        raise_timeout_error: bool = False,
        flow_run_id: str | None = None,
    ) -> Received[Self]:
        """Return the inputs of this type that are sent to a run; see `receive_input`."""
        return Received(cls, timeout, poll_interval, raise_timeout_error, flow_run_id)

    def send_to(self, flow_run_id: str, sender: str | None = None) -> None:
        """Send it to a run; see `send_input`."""
        send_input(self, flow_run_id, sender)

    def respond(self, run_input: object, sender: str | None = None) -> None:
        """Send an answer to the run that sent this.

        Raises:
            ConfigurationError: it was not sent by a run.
        """
        to = None if self._metadata is None else self._metadata.sender
        if to is None:
            problem = "it was not sent by a run"
            raise ConfigurationError("RunInput.respond", problem, "Use send_input with a run's id.")
        send_input(run_input, to, sender)


def send_input(run_input: object, flow_run_id: str, sender: str | None = None) -> None:
    """Send input to a run, which reads it with `receive_input`; it is stored until then, sealed.

    Args:
        run_input: a model, such as a `RunInput`, or anything that has a JSON form.
        flow_run_id: the run's id, a part of it, or its name.
        sender: the id of the sending run; by default the current one.

    Raises:
        RunNotFound: there is no such run.
    """
    current = services()
    run_id = current.runs.run(flow_run_id).id
    here = current_flow()
    if sender is None and here is not None:
        sender = here.current.origin.id
    given = dump_plain(run_input if isinstance(run_input, BaseModel) else {"value": run_input})
    body = {
        "type": _name_type(type(run_input)),
        "sender": sender,
        "sealed": current.sealer.seal(dumps(given).encode(), _make_kind(run_id)),
    }
    current.documents.put(_make_kind(run_id), new_id(), body)


async def asend_input(run_input: object, flow_run_id: str, sender: str | None = None) -> None:
    """Async version of `send_input`."""
    await call_blocking(send_input, run_input, flow_run_id, sender)


def receive_input(
    input_type: type[T],
    timeout: float | None = 3600,
    poll_interval: float = 10,
    *,
    raise_timeout_error: bool = False,
    flow_run_id: str | None = None,
) -> Received[T]:
    """Return an iterator over the input that is sent to a run, for ``for`` or ``async for``.

    In another attempt of the run, all of it is returned again, in the same order.

    Args:
        input_type: a model, or a type such as `str`; input of other types is ignored.
        timeout: seconds without input after which the iteration ends; None for no timeout.
        poll_interval: the maximum number of seconds between two polls.
        raise_timeout_error: whether to raise a `RunTimeout` at the timeout.
        flow_run_id: the id of the run; by default the current one.

    Raises:
        MissingContextError: there is no current run, and none was passed.
    """
    return Received(input_type, timeout, poll_interval, raise_timeout_error, flow_run_id)


class Received(Iterator[T], AsyncIterator[T], Generic[T]):
    """An iterator over input; see `receive_input`."""

    def __init__(
        self,
        wanted: Any,
        timeout: float | None,
        interval: float,
        raises: bool,
        run_id: str | None,
    ) -> None:
        self._scope = current_flow()
        if run_id is None:
            if self._scope is None:
                raise MissingContextError("receive_input()")
            run_id = self._scope.current.origin.id
        self._run_id, self._wanted, self._model = run_id, _name_type(wanted), make_model(wanted)
        self._is_value = self._model is not wanted
        self._timeout, self._interval, self._raises = timeout, min(interval, _LOOK), raises
        self._seen: set[str] = set()

    def __next__(self) -> T:
        clock = services().clock
        until = None if self._timeout is None else clock.monotonic() + self._timeout
        while not (found := self._look()):
            if until is not None and clock.monotonic() >= until:
                self._give_up()
                raise StopIteration
            clock.sleep(self._interval)
        return found[0]

    async def __anext__(self) -> T:
        clock = services().clock
        until = None if self._timeout is None else clock.monotonic() + self._timeout
        while not (found := await call_blocking(self._look)):
            if until is not None and clock.monotonic() >= until:
                self._give_up()
                raise StopAsyncIteration
            await clock.asleep(self._interval)
        return found[0]

    def _give_up(self) -> None:
        if self._raises:
            name = f"receive_input({self._wanted})"
            raise RunTimeout(name, self._timeout or 0.0, "Send it an input with send_input.")

    def _look(self) -> list[T]:
        """Return the next input, if there is one."""
        for document in services().documents.find(_make_kind(self._run_id)):
            if document.body["type"] == self._wanted and self._is_new(document.name):
                found = self._open(document)
                if found is not None:
                    return [found]
        return []

    def _is_new(self, key: str) -> bool:
        """Return whether it was not received in this attempt, by this or another iteration."""
        if key in self._seen:
            return False
        self._seen.add(key)
        if self._scope is None:
            return True
        attempt = self._scope.current.attempt
        return self._scope.next_ordinal(f"input {key} of attempt {attempt}") == 0

    def _open(self, document: Document) -> Any:
        given = loads(services().sealer.open(document.body["sealed"], document.kind))
        found = fill_in(self._model, given)
        if isinstance(found, dict):
            told = "; ".join(f"{field}: {problem}" for field, problem in found.items())
            logger.warning("an input that does not fit %s is skipped: %s", self._wanted, told)
            return None
        if self._is_value:
            return found.value  # type: ignore[attr-defined]
        if isinstance(found, RunInput):
            found._metadata = RunInputMetadata(  # noqa: SLF001 - of this module
                document.name, document.body["sender"], self._run_id
            )
        return found


def _name_type(kind: object) -> str:
    """Return the name that distinguishes the input of one type from others."""
    kind = get_origin(kind) or kind
    return str(getattr(kind, "__name__", kind))


def _make_kind(run_id: str) -> str:
    return f"input:{run_id}"
