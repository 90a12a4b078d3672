"""BaseSerializer: the base of one of your own; users know it as `Serializer`."""

from __future__ import annotations

from abc import ABC, abstractmethod


class BaseSerializer(ABC):
    """Values as bytes and back; write `dumps` and `loads`, and give it as `result_serializer`.

    Attributes:
        type: the name that a kept result carries; by default that of the class. A result is read
            by the serializer of the task that asks for it, if this is its name.
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
            NotSerializable: this is no value that it can give back.
        """

    @abstractmethod
    def loads(self, content: bytes) -> object:
        """Return the value again."""
