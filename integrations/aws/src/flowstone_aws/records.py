"""Types of AWS's requests and responses: the SDK makes its clients at run time, without types."""

from __future__ import annotations

from typing import Any, TypeAlias

#: A value that JSON can hold: what a function of Lambda gets and gives.
JsonValue: TypeAlias = Any
#: A request or an answer of the SDK, or a part of one.
Record: TypeAlias = dict[str, JsonValue]
#: A client of the SDK, or a part of one.
Client: TypeAlias = Any
