"""Placeholders of statements: the same for all databases, converted to each driver's style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from flowstone.blocks.databases.sql_syntax import SqlSyntax, Token, find_tokens

Style = Literal["qmark", "format", "numeric", "dollar"]
Parameters = Mapping[str, Any] | Sequence[Any] | None

#: The tokens to find besides quotes and comments.
_PLACEHOLDERS = r"(?P<mark>\?\??)|(?<![\w:]):(?P<name>[^\W\d]\w*)"
_STANDARD = SqlSyntax()


class PlaceholderMismatch(ValueError):
    """Parameters don't match the placeholders; the caller adds the database and the statement."""

    def __init__(self, problem: str, position: int | None = None) -> None:
        self.problem, self.position = problem, position
        super().__init__(problem)


def bind_placeholders(
    operation: str, parameters: Parameters, style: Style, syntax: SqlSyntax = _STANDARD
) -> tuple[str, list[Any]]:
    """Return a statement in a driver's style, and its values in the order of the placeholders.

    ``?`` takes the values of a sequence one after another, ``:name`` those of a mapping; ``??``
    is a question mark. Quoted text and comments are unchanged. Without parameters (None), so is the
    whole statement.

    Raises:
        PlaceholderMismatch: a value is missing or unused, or the parameters are neither a
            sequence nor a mapping.
    """
    if parameters is None:
        return operation, []
    if isinstance(parameters, (str, bytes)) or not isinstance(parameters, (Mapping, Sequence)):
        kind = type(parameters).__name__
        raise PlaceholderMismatch(f"its parameters are a {kind}, and not a sequence or a mapping")
    return _Binding(parameters, style).bind(operation, syntax)


def render_placeholder(style: Style, place: int) -> str:
    """Return the placeholder for the value at a position; the first one is 1."""
    return {"qmark": "?", "format": "%s", "numeric": f":{place}", "dollar": f"${place}"}[style]


class _Binding:
    """The conversion of one statement."""

    def __init__(self, parameters: Mapping[str, Any] | Sequence[Any], style: Style) -> None:
        self._parameters, self._style = parameters, style
        self._values: list[Any] = []
        self._places: dict[str, int] = {}

    def bind(self, operation: str, syntax: SqlSyntax) -> tuple[str, list[Any]]:
        parts, end = [], 0
        for token in find_tokens(operation, syntax, _PLACEHOLDERS):
            parts += [self._escape_plain(operation[end : token.start]), self._replace(token)]
            end = token.end
        parts.append(self._escape_plain(operation[end:]))
        if isinstance(self._parameters, Sequence) and len(self._values) != len(self._parameters):
            marks, given = len(self._values), len(self._parameters)
            raise PlaceholderMismatch(f"it has {marks} placeholders, but {given} values are passed")
        return "".join(parts), self._values

    def _escape_plain(self, text: str) -> str:
        return text.replace("%", "%%") if self._style == "format" else text

    def _replace(self, token: Token) -> str:
        if token.kind not in {"mark", "name"}:
            return self._escape_plain(token.text)
        if token.text == "??":
            return "?"
        if token.kind == "mark":
            if isinstance(self._parameters, Mapping):
                raise PlaceholderMismatch(
                    "it has a '?', and its parameters are a mapping", token.start
                )
            place = len(self._values)
            # Placeholders without a value are counted as well, for the error that follows.
            self._values.append(self._parameters[place] if place < len(self._parameters) else None)
            return self._placeholder()
        if not isinstance(self._parameters, Mapping):
            return token.text
        return self._bind_name(token.text[1:], token.start)

    def _bind_name(self, name: str, position: int) -> str:
        assert isinstance(self._parameters, Mapping)
        if name not in self._parameters:
            raise PlaceholderMismatch(f"no value is passed for :{name}", position)
        if name in self._places and self._style in {"numeric", "dollar"}:
            return self._placeholder(self._places[name])
        self._values.append(self._parameters[name])
        self._places[name] = len(self._values)
        return self._placeholder()

    def _placeholder(self, place: int | None = None) -> str:
        return render_placeholder(self._style, place or len(self._values))
