"""Job variables: what a pool, its deployments and their runs say, one over the other, checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flowstone.errors import ConfigurationError, suggest_names
from flowstone.records.encoding import is_exact
from flowstone.records.redaction import redact
from flowstone.records.secret_values import find_secret_names, holds_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.infrastructure.base import Infrastructure, JobVariables
    from flowstone.records.codec import Json

_INSTEAD = (
    "Save a secret in a block that the flow loads; a reference in a block is resolved in the run."
)


def load_infrastructure(name: str) -> Infrastructure:
    """Return the infrastructure of a name.

    Raises:
        UnknownName: no installed package offers it; the error says which one would.
        PluginBroken: the package that offers it can't be loaded.
    """
    # What packages offer takes 25 ms to look up, which listing pools does without.
    from flowstone.plugins import catalog

    made: Infrastructure = catalog.load("infrastructure", name)()
    return made


def merge_variables(*layers: Mapping[str, object]) -> dict[str, object]:
    """Return variables where later layers count more; values of mappings are merged.

    A key with a dot is part of a mapping: ``{"env.A": "1"}`` is ``{"env": {"A": "1"}}``.
    None takes away what earlier layers say.
    """
    merged: Json = {}
    for layer in layers:
        for key, value in layer.items():
            head, dot, rest = key.partition(".")
            given = {rest: value} if dot else value
            if given is None:
                merged.pop(head, None)
            elif isinstance(given, dict) and isinstance(merged.get(head), dict):
                left = {**merged[head], **given}
                merged[head] = {name: each for name, each in left.items() if each is not None}
            else:
                merged[head] = given
    return merged


def check_variables(
    owner: str, infrastructure: Infrastructure, *layers: Mapping[str, object]
) -> JobVariables:
    """Return what layers of variables say together.

    Args:
        owner: whose they are, for messages.
        infrastructure: whose jobs have them.
        *layers: of job variables; later ones count more.

    Raises:
        ConfigurationError: some do not fit; each is named, and no value is shown.
    """
    from pydantic import ValidationError  # 40 ms of start-up, which only pools and workers pay

    if not is_exact([dict(each) for each in layers]):
        problem = "they hold a secret, or what JSON has not"
        raise ConfigurationError(f"the job variables of {owner}", problem, _INSTEAD)
    kind = infrastructure.variables
    try:
        return kind.model_validate(merge_variables(*layers))
    except ValidationError as error:
        problems, remedies = [], []
        for each in error.errors(include_input=False, include_url=False):
            place = ".".join(map(str, each["loc"]))
            if each["type"] == "extra_forbidden":
                problems.append(f"there is no {place!r}")
                remedies.append(suggest_names(place, kind.model_fields).strip())
            else:
                problems.append(f"{place}: {each['msg']}")
        known = f"Known are {', '.join(sorted(kind.model_fields))}."
        remedy = " ".join(filter(None, remedies)) or known
        what = f"the job variables of {owner}"
        raise ConfigurationError(what, "; ".join(problems), remedy) from None


def check_new_variables(
    owner: str, infrastructure: Infrastructure, *layers: Mapping[str, object]
) -> None:
    """Check layers of which the last is about to be saved: nothing in that may be secret.

    It is compared with the secrets of all saved blocks, which `check_variables` does not take the
    time for.

    Args:
        owner: whose they are, for messages.
        infrastructure: whose jobs have them.
        *layers: of job variables; later ones count more.

    Raises:
        ConfigurationError: some do not fit, or hold a secret; no value is shown.
    """
    # Opening secrets takes 30 ms, which is paid only where something is saved.
    from flowstone.blocks.saved_secrets import register_saved_secrets

    if layers[-1]:
        register_saved_secrets()
        flat = _flatten(layers[-1])
        named = find_secret_names(flat)
        held = [name for name, value in flat.items() if holds_secret(value) or name in named]
        if held:
            problem = f"a secret would be saved and shown: {', '.join(map(redact, held))}"
            raise ConfigurationError(f"the job variables of {owner}", problem, _INSTEAD)
    check_variables(owner, infrastructure, *layers)


def _flatten(variables: Mapping[str, object]) -> dict[str, object]:
    """Return variables with each of the environment by itself, as ``env.X``."""
    flat = merge_variables(variables)
    environ = flat.get("env")
    if isinstance(environ, dict):
        del flat["env"]
        flat |= {f"env.{name}": value for name, value in environ.items()}
    return flat


def read_variable(infrastructure: Infrastructure, key: str, text: str) -> object:
    """Return a job variable that was typed: as text, or as JSON if only that fits.

    Args:
        infrastructure: whose jobs have it.
        key: its name; what fits none is found by `check_variables`.
        text: what was typed.
    """
    try:
        check_variables("", infrastructure, {key: text})
    except ConfigurationError:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
