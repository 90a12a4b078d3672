"""What dbt Cloud answers: objects of JSON, whose fields are those of its API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: A run, a job, a step: as the API's pages describe them.
JsonObject = dict[str, Any]
#: The content of an artifact: what its JSON says, or else its text.
Artifact = JsonObject | list[Any] | str
#: The query of a request.
QueryValue = str | int | float | bool | None
Query = Mapping[str, QueryValue | Sequence[QueryValue]]
