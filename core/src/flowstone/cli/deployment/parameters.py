"""Parameters of a deployment's runs, parsed from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.records.deployments import Deployment


def read_values(found: Deployment, given: Mapping[str, object]) -> dict[str, object]:
    """Convert parameters by the schema: parse a text as JSON if that fits, or leave it as text."""
    # Takes 40 ms, for pydantic, which only this command needs.
    from flowstone.calls.parameters import Written
    from flowstone.flow_runs.schemas import find_misfits

    schema = {**found.parameter_schema, "required": []}
    values: dict[str, object] = {}
    for name, value in given.items():
        values[name] = value
        if isinstance(value, Written):
            values[name] = str(value)
            try:
                read = json.loads(value)
            except ValueError:
                continue
            if not find_misfits(schema, {name: read}):
                values[name] = read
    return values
