"""Types of AWS's requests and responses; the SDK creates its clients at run time, untyped."""

from __future__ import annotations

from typing import Any, TypeAlias

#: A JSON value, such as the input and output of a Lambda function.
JsonValue: TypeAlias = Any
#: A request or response of the SDK, or a part of one.
Record: TypeAlias = dict[str, JsonValue]
#: A client of the SDK, or a part of one.
Client: TypeAlias = Any
