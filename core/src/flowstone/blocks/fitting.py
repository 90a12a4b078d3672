"""Load the valid fields of a document that does not fit its block type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from flowstone.blocks.exact import construct
from flowstone.blocks.validation import validate_fields
from flowstone.errors import BlockInvalid
from flowstone.logging.run_logger import get_logger
from flowstone.secrets.fields import SecretField
from flowstone.secrets.values import PartialSecret, Reference, leave_unresolved

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic.fields import FieldInfo

B = TypeVar("B")


def make_fitting_block(
    kind: Callable[..., B], values: Mapping[str, object], what: str
) -> tuple[B, set[str]]:
    """Return a block with the valid values, and the required fields that have none.

    A field whose value is not valid gets its default. A required field without a value is None;
    such a block is not validated as a whole, nor initialized.

    Args:
        kind: the block's class.
        values: the fields of its document.
        what: the block, for the log.
    """
    model = cast("type[BaseModel]", kind)
    known = model.model_fields
    has_any = model.model_config.get("extra") == "allow"
    fitting = {name: value for name, value in values.items() if has_any or name in known}
    for name in list(fitting):
        if name in known:
            try:
                fitting[name] = _fit(known[name], fitting[name])
            except ValidationError:
                del fitting[name]
    left_out = sorted(values.keys() - fitting.keys())
    if left_out:
        text = "%s was loaded without these fields, whose saved values are not valid: %s"
        get_logger("blocks").warning(text, what, ", ".join(left_out))
    try:
        return kind(**fitting), set()
    except BlockInvalid:
        missing = {name for name in known if name not in fitting and known[name].is_required()}
    with leave_unresolved():
        made = construct(
            model,
            {name: fitting.get(name) for name in known if name in fitting or name in missing},
            {name: value for name, value in fitting.items() if name not in known},
        )
    return cast("B", validate_fields(made, model.__name__)), missing


def _fit(field: FieldInfo, value: object) -> object:
    """Validate a value by the type of its field, without the validators of the class.

    Raises:
        ValidationError: it is not valid.
    """
    mark = field.metadata[-1] if field.metadata else None
    if isinstance(mark, SecretField) and isinstance(value, (Reference, PartialSecret)):
        return mark.read(value, lambda value: value)
    with leave_unresolved():
        kind = cast("type[object]", Annotated[field.annotation, field])
        return TypeAdapter(kind).validate_python(value)
