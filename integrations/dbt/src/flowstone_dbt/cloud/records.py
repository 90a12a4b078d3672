"""Types of dbt Cloud's responses: JSON objects with the fields of its API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: A run, a job or a step, as documented in the API.
JsonObject = dict[str, Any]
#: The content of an artifact: parsed JSON, or else text.
Artifact = JsonObject | list[Any] | str
#: The query parameters of a request.
QueryValue = str | int | float | bool | None
Query = Mapping[str, QueryValue | Sequence[QueryValue]]
