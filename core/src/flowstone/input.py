"""What a run asks a person: models whose fields are filled in when it is resumed."""

from __future__ import annotations

from copy import copy
from typing import Any, ClassVar, Self

from pydantic import BaseModel, create_model
from pydantic.errors import PydanticInvalidForJsonSchema

from flowstone.errors import ConfigurationError, nearest

__all__ = ["RunInput"]


class RunInput(BaseModel):
    """Input of a run: a pydantic model that can bring its first values, and words for a person."""

    description_for_people: ClassVar[str | None] = None

    @classmethod
    def with_initial_data(cls, description: str | None = None, **initial: Any) -> type[Self]:
        """Return this model with other defaults.

        Args:
            description: what a person should know before they answer, as Markdown.
            **initial: values of fields; whoever resumes the run may change them.

        Raises:
            ConfigurationError: there is no field of that name.
        """
        fields: dict[str, Any] = {}
        for name, value in initial.items():
            if name not in cls.model_fields:
                known = nearest(name, cls.model_fields).strip() or "It has no fields."
                raise ConfigurationError(
                    f"{cls.__name__}.with_initial_data", f"there is no field {name!r}", known
                )
            field = copy(cls.model_fields[name])
            field.default, field.default_factory = value, None
            fields[name] = (field.annotation, field)
        model = create_model(cls.__name__, __base__=cls, __module__=cls.__module__, **fields)
        model.description_for_people = description
        return model


def modelled(wanted: Any) -> type[BaseModel]:
    """Return the model of what a run asks; of any other type one with the field ``value``."""
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        return wanted
    return create_model("Input", value=(wanted, ...))


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a model, by which others ask for it.

    Raises:
        ConfigurationError: it has a field that has none.
    """
    try:
        return model.model_json_schema()
    except PydanticInvalidForJsonSchema as error:
        raise ConfigurationError(
            f"wait_for_input={model.__name__}",
            f"a field of it has no form that a person could fill in: {error}",
            "Use texts, numbers, dates, choices, lists, and models of these.",
        ) from error
