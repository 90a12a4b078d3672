"""BaseSerializer: the base class for custom serializers; its public name is `Serializer`."""

from __future__ import annotations

from abc import ABC, abstractmethod


class BaseSerializer(ABC):
    """Converts values to bytes and back; subclass it, and pass it as `result_serializer`.

    Attributes:
        type: the name that is stored with a result; by default that of the class. A result is read
            by the serializer of the task that reads it, if it has this name.
    """

    type: str

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "type" not in cls.__dict__:
            cls.type = cls.__name__

    @abstractmethod
    def dumps(self, value: object) -> bytes:
        """Return a value as bytes.

        Raises:
            NotSerializable: it can't restore this value.
        """

    @abstractmethod
    def loads(self, content: bytes) -> object:
        """Return the value."""
