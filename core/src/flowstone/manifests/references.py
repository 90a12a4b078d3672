"""References in texts: ``{{ variables.x }}``, ``{{ env.X }}``, ``{{ blocks.type.name }}``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from flowstone.blocks.variable import Variable
from flowstone.errors import FlowstoneError
from flowstone.settings import read_environment

if TYPE_CHECKING:
    from flowstone.manifests.source import ManifestFile, Problems

#: Four braces are an escape for two literal ones.
_OPENING, _ESCAPED = "{{", "{{{{"
_REFERENCE = re.compile(
    r"\{\{\{\{|\{\{(?!\{)\s*(?P<inside>.*?)\s*\}\}|(?P<open>\{\{(?!\{))", re.DOTALL
)
FORMS = "write {{ variables.NAME }}, {{ env.NAME }}, {{ blocks.TYPE.NAME }}, or {{{{ for two braces"


class _Unresolved(Exception):
    pass


def escape(value: object) -> object:
    """Return a value with its texts escaped for a file."""
    if isinstance(value, dict):
        return {key: escape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escape(item) for item in value]
    return value.replace(_OPENING, _ESCAPED) if isinstance(value, str) else value


class ManifestResolver:
    """Replaces references with their values, and reports unknown ones with their location."""

    def __init__(self, source: ManifestFile, problems: Problems, *, variables: bool = True) -> None:
        self._source, self._problems, self._variables = source, problems, variables

    def resolve(self, value: Any, path: tuple[str, ...]) -> Any:
        """Return the value with the references in all its texts resolved."""
        if isinstance(value, dict):
            return {key: self.resolve(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item, (*path, str(n))) for n, item in enumerate(value)]
        if not isinstance(value, str) or _OPENING not in value:
            return value
        try:
            whole = _REFERENCE.fullmatch(value)
            if whole is not None and whole["inside"] is not None:
                return self._look_up(whole["inside"])
            return _REFERENCE.sub(self._resolve_text, value)
        except (_Unresolved, FlowstoneError) as error:
            self._problems.add(self._source, path, str(error))
            return value

    def _resolve_text(self, found: re.Match[str]) -> str:
        if found["open"]:
            raise _Unresolved(f"two opening braces are not closed: {FORMS}")
        if found["inside"] is None:
            return _OPENING
        meant = self._look_up(found["inside"])
        if isinstance(meant, str):
            return meant
        if isinstance(meant, dict) and set(meant) == {"block"}:
            raise _Unresolved("a block is a field's whole value, not a part of a text")
        return json.dumps(meant)

    def _look_up(self, inside: str) -> Any:
        """Return the value for the text between the braces."""
        kind, _, name = inside.partition(".")
        if kind == "env" and name:
            value = read_environment().get(name)
            if value is None:
                raise _Unresolved(f"there is no environment variable {name!r}")
            return value
        if kind == "variables" and name:
            if not self._variables:
                raise _Unresolved("a variable can't refer to another")
            return Variable.load(name).value
        slug, _, block = name.partition(".")
        if kind == "blocks" and slug and block:
            return {"block": f"{slug}/{block}"}
        raise _Unresolved(f"{inside!r} is not a reference: {FORMS}")
