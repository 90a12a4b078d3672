"""What AWS answers and is asked, in JSON's types."""

from __future__ import annotations

from typing import Any, TypeAlias

#: A request or an answer of the SDK, or a part of one.
Record: TypeAlias = dict[str, Any]
#: A value of JSON: what a function of Lambda gets and gives.
JsonValue: TypeAlias = Any
