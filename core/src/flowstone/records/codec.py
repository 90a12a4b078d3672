"""Encode records as JSON and decode them: field by field, by their annotations."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ForwardRef, Generic, NamedTuple, TypeVar

from flowstone.errors import RecordInvalid
from flowstone.records.record import is_record, list_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

R = TypeVar("R")
Json = dict[str, Any]
#: Converts the value of a field to JSON, or back.
Transform = Callable[..., object]

#: Annotations of values that JSON has itself; with ``| None`` as well.
PLAIN = frozenset({"str", "int", "float", "bool", "Kind", "object"})


class FieldForm(NamedTuple):
    """How a value that JSON lacks is encoded and decoded."""

    encode: Transform
    decode: Transform


class FieldCodec(NamedTuple):
    """A field of a record.

    Attributes:
        key: its name in JSON.
        form: how its value is encoded; None if JSON has it.
    """

    name: str
    key: str
    form: FieldForm | None


class RecordCodec(Generic[R]):
    """Encodes records of one type as JSON objects, and decodes them.

    The JSON may come from another version: an unknown key is ignored, and a field whose key is
    missing gets its default.
    """

    def __init__(
        self,
        record: type[R],
        forms: Mapping[str, FieldForm],
        *,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        """Read the fields of the record.

        Args:
            record: a record, a dataclass or a named tuple, whose annotations are strings.
            forms: by annotation or by the name of a field, which comes first.
            keys: names in JSON, where they differ from those of the fields.
        """
        self.record = record
        self.fields = [
            FieldCodec(name, (keys or {}).get(name, name), find_form(annotation, forms, name))
            for name, annotation in read_annotations(record)
        ]
        self._read = attrgetter(*(field.name for field in self.fields))

    def encode(self, record: R) -> Json:
        return {
            key: value if form is None or value is None else form.encode(value)
            for (_, key, form), value in zip(self.fields, self._read(record), strict=True)
        }

    def decode(self, body: Json) -> R:
        """Return the record.

        Raises:
            RecordInvalid: a field without a default is missing.
        """
        values = {
            name: body[key] if form is None or body[key] is None else form.decode(body[key])
            for name, key, form in self.fields
            if key in body
        }
        try:
            return self.record(**values)
        except TypeError as error:
            raise RecordInvalid(self.record.__name__, str(error)) from error

    @property
    def form(self) -> FieldForm:
        """Return the form of this record as a field of another."""
        return FieldForm(self.encode, self.decode)


def read_annotations(record: type[Any]) -> Iterator[tuple[str, str]]:
    """Yield the fields of a record, dataclass or named tuple, each with its annotation.

    Those of a named tuple are forward references, which contain it.
    """
    if hasattr(record, "_fields"):
        for name, annotation in record.__annotations__.items():
            text = annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else annotation
            yield name, text
    elif is_record(record):
        for field in list_fields(record):
            yield field.name, field.annotation
    else:
        # Takes 10 ms to import; for a dataclass it is loaded already.
        from dataclasses import fields

        for each in fields(record):
            yield each.name, str(each.type)


def find_form(annotation: str, forms: Mapping[str, FieldForm], name: str) -> FieldForm | None:
    """Return how a field is encoded; None if JSON has its values.

    Raises:
        TypeError: the table of forms has no entry for it.
    """
    annotation = annotation.removesuffix(" | None")
    form = forms.get(name) or forms.get(annotation)
    if form is None and annotation not in PLAIN:
        raise TypeError(f"no form for field {name!r} of type {annotation!r}")
    return form
