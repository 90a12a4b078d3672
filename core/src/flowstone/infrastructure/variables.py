"""Job variables: those of a pool, its deployments and their runs, merged and checked."""

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
    """Return the infrastructure with a name.

    Raises:
        UnknownName: no installed package offers it; the error names the package to install.
        PluginBroken: the package that offers it can't be loaded.
    """
    # Looking up the offers of packages takes 25 ms; listing pools doesn't need it.
    from flowstone.plugins import catalog

    made: Infrastructure = catalog.load("infrastructure", name)()
    return made


def merge_variables(*layers: Mapping[str, object]) -> dict[str, object]:
    """Return merged variables: later layers take precedence; mappings are merged.

    A key with a dot is part of a mapping: ``{"env.A": "1"}`` is ``{"env": {"A": "1"}}``.
    None removes the value of earlier layers.
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
    """Return the merged and checked variables of several layers.

    Args:
        owner: their owner, for messages.
        infrastructure: the infrastructure that defines them.
        *layers: layers of job variables; later ones take precedence.

    Raises:
        ConfigurationError: some are not valid; each is named, without its value.
    """
    from pydantic import ValidationError  # takes 40 ms; only for pools and workers

    if not is_exact([dict(each) for each in layers]):
        problem = "they contain a secret, or a value that JSON does not have"
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
    """Check layers of which the last is about to be saved: it must not contain secrets.

    Its values are compared with the secrets of all saved blocks, which would be too slow in
    `check_variables`.

    Args:
        owner: their owner, for messages.
        infrastructure: the infrastructure that defines them.
        *layers: layers of job variables; later ones take precedence.

    Raises:
        ConfigurationError: some are not valid, or contain a secret; no value is shown.
    """
    # Opening secrets takes 30 ms; only needed for saving.
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
    """Return variables with each environment variable separately, as ``env.X``."""
    flat = merge_variables(variables)
    environ = flat.get("env")
    if isinstance(environ, dict):
        del flat["env"]
        flat |= {f"env.{name}": value for name, value in environ.items()}
    return flat


def read_variable(infrastructure: Infrastructure, key: str, text: str) -> object:
    """Return a job variable from user input: as text, or as JSON if only that is valid.

    Args:
        infrastructure: the infrastructure that defines it.
        key: its name; `check_variables` reports an unknown one.
        text: the input.
    """
    try:
        check_variables("", infrastructure, {key: text})
    except ConfigurationError:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
