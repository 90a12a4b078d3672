"""Pickles of any value, with all secrets in it sealed."""

from __future__ import annotations

import io
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import cloudpickle

from flowstone.context.current import services
from flowstone.records.redaction import register_secrets
from flowstone.serializers.exceptions import reduce_exception
from flowstone.serializers.moves import unpickle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pickle import Pickler  # cloudpickle has no types; its pickler has the same interface
else:
    from cloudpickle import Pickler

_PURPOSE = "pickle"


class _Seals:
    #: Returns whether a part of an exception can be pickled, if other parts are to be omitted.
    can_pickle: Callable[[object], bool] | None = None

    def reducer_override(self, obj: object) -> Any:
        if _is_secret(obj):
            clear = cloudpickle.dumps(obj)
            return _open_secret, (services().sealer.seal(clear, _PURPOSE),)
        if isinstance(obj, BaseException):
            return reduce_exception(obj, self.can_pickle)
        override = getattr(super(), "reducer_override", None)
        return NotImplemented if override is None else override(obj)


class SealingPickler(_Seals, Pickler):
    """cloudpickle, with secrets of pydantic's types sealed, as in the fields of a block.

    A block seals its own fields; this is for secrets that code takes out of them, or creates
    itself.
    """


@cache
def make_sealing_pickler(base: type[Pickler]) -> type[Pickler]:
    """Return the pickler of another library, extended to seal secrets."""
    return type("SealingPickler", (_Seals, base), {})


def dump_sealed(value: object, pickler: type[Pickler] = SealingPickler) -> bytes:
    """Return a value as bytes. Raise the errors of parts that can't be pickled."""
    file = io.BytesIO()
    pickler(file).dump(value)
    return file.getvalue()


def _is_secret(obj: object) -> bool:
    # Without pydantic there are no such secrets, and importing it takes 100 ms.
    types = sys.modules.get("pydantic.types")
    if types is None or not isinstance(obj, (types.SecretStr, types.SecretBytes, types.Secret)):
        return False
    return not hasattr(obj, "reference")  # a reference is not secret


def _open_secret(token: str) -> object:
    found: object = unpickle(services().sealer.open(token, _PURPOSE))
    register_secrets(found)
    return found
