"""Pickles of any value in which secrets are sealed, wherever in it they are."""

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
    from pickle import Pickler  # cloudpickle has no types; its pickler is used as this one
else:
    from cloudpickle import Pickler

_PURPOSE = "pickle"


class _Seals:
    #: Tells what of an exception can be pickled, where the rest is to be left out.
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
    """cloudpickle, but a secret of pydantic's types, as in a field of a block, is not in clear.

    A block sees to its own fields; this is for what code takes out of them, or makes itself.
    """


@cache
def make_sealing_pickler(base: type[Pickler]) -> type[Pickler]:
    """Return the pickler of another library, which seals secrets too."""
    return type("SealingPickler", (_Seals, base), {})


def dump_sealed(value: object, pickler: type[Pickler] = SealingPickler) -> bytes:
    """Return a value as bytes. Raises whatever its parts raise where they can't be pickled."""
    file = io.BytesIO()
    pickler(file).dump(value)
    return file.getvalue()


def _is_secret(obj: object) -> bool:
    # Who has no pydantic has none of its secrets, and loading it takes 100 ms.
    types = sys.modules.get("pydantic.types")
    if types is None or not isinstance(obj, (types.SecretStr, types.SecretBytes, types.Secret)):
        return False
    return not hasattr(obj, "reference")  # where a secret is, is no secret


def _open_secret(token: str) -> object:
    found: object = unpickle(services().sealer.open(token, _PURPOSE))
    register_secrets(found)
    return found
