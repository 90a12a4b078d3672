"""Blocks whose service is unreachable: copies with the address of a closed port."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import pytest
from pydantic import BaseModel, SecretStr

from flowstone.blocks import (
    Block,
    Credentials,
    Database,
    Note,
    Notifier,
    ObjectStore,
    SecretProvider,
)
from flowstone.errors import BlockInvalid, FlowstoneError
from flowstone_testing.conformance.database.base import Aside
from flowstone_testing.ports import reserve_closed_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

#: Names of fields that hold an address; others hold a part of one.
ADDRESS = re.compile(r"(^|_)(url|uri|dsn|endpoint|connection_string)$", re.IGNORECASE)
HOST = re.compile(r"(^|_)(host|hostname|server)$", re.IGNORECASE)
#: Timeout of a call to a closed port, in seconds; the system refuses it at once.
PATIENCE = 60.0

Model = TypeVar("Model", bound=BaseModel)
Call = Callable[[], object]


def takes_text(field: FieldInfo) -> bool:
    """Return whether a field takes a string, plain or as a secret."""
    words = repr(field.annotation)
    return any(word in words for word in ("str", "Url", "Dsn", "Secret"))


def make_unreachable(block: Model) -> Model | None:
    """Return a copy with the address of a closed port; None if the block takes no address."""
    changed: dict[str, object] = {}
    for name, field in type(block).model_fields.items():
        value = getattr(block, name)
        if isinstance(value, BaseModel):
            inner = make_unreachable(value)
            changed |= {name: inner} if inner is not None else {}
        elif ADDRESS.search(name) and takes_text(field):
            text = value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
            scheme = urlsplit(text).scheme or "http"
            changed[name] = f"{scheme}://127.0.0.1:{reserve_closed_port()}"
        elif HOST.search(name) and takes_text(field):
            port = {"port": reserve_closed_port()} if "port" in type(block).model_fields else {}
            changed |= {name: "127.0.0.1", **port}
    if not changed:
        return None
    given = {name: getattr(block, name) for name in type(block).model_fields}
    try:
        return type(block)(**{**given, **changed})
    except BlockInvalid:  # it takes no address beside the fields that are set
        return None


def find_calls(block: Block) -> Iterator[tuple[str, Call]]:
    """Yield calls that send a request to a block's service, each with its name."""
    if isinstance(block, ObjectStore):
        yield "exists", lambda: block.exists("flowstone")
    if isinstance(block, Database):
        yield "fetch_one", lambda: block.fetch_one("SELECT 1")
    if isinstance(block, Notifier):
        yield "notify", lambda: block.make_provider().deliver(Note("a note", None))
    if isinstance(block, SecretProvider):
        yield "read", lambda: block.read("flowstone")
    for name, method in find_own_methods(block):
        if not inspect.iscoroutinefunction(method):
            yield name, method


def find_own_methods(block: Block) -> Iterator[tuple[str, Call]]:
    """Yield the package's own public methods that need no arguments."""
    of_interface = {name for home in (Block, Credentials, Database) for name in dir(home)}
    for name in dir(type(block)):
        found = inspect.getattr_static(type(block), name)
        if name.startswith("_") or not inspect.isfunction(found):
            continue
        makes = name in {"make_driver", "make_provider"}
        if makes or (name in of_interface and name != "client") or _is_common(block, name):
            continue
        parameters = list(inspect.signature(found).parameters.values())[1:]
        if all(_is_optional(each) for each in parameters):
            yield name, getattr(block, name)


def _is_common(block: Block, name: str) -> bool:
    """Return whether the block's method is Flowstone's own."""
    module: str = getattr(type(block), name).__module__
    return module.startswith("flowstone.")


def _is_optional(parameter: inspect.Parameter) -> bool:
    several = {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}
    return parameter.default is not parameter.empty or parameter.kind in several


def assert_own_errors(name: str, call: Call) -> None:
    """Fail if a call raises an error that is not one of Flowstone's, or does not end."""
    found = Aside(call).join(PATIENCE)
    close = getattr(found.value, "close", None)
    if callable(close) and not inspect.iscoroutinefunction(close):
        close()
    error = found.error
    if error is not None and not isinstance(error, FlowstoneError):
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        pytest.fail(
            f"{name} raised {kind}: translate it to an error of flowstone.errors, in errors.py"
        )
