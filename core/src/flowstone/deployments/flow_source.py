"""Read the properties of a flow from its source, without importing it."""

from __future__ import annotations

import ast
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from flowstone.errors import ConfigurationError, suggest_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.records.codec import Json

Function = ast.FunctionDef | ast.AsyncFunctionDef

_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "List": "array",
    "Sequence": "array",
    "dict": "object",
    "Dict": "object",
    "Mapping": "object",
}
#: Types of the standard library, as pydantic describes them.
_FORMATS = {
    "date": "date",
    "datetime": "date-time",
    "time": "time",
    "timedelta": "duration",
    "UUID": "uuid",
    "Path": "path",
}
_SECRETS = frozenset({"SecretStr", "SecretBytes"})
#: A value that is not a literal in the source.
_UNKNOWN = object()


class FlowSource(NamedTuple):
    """A flow, with the properties that are literals in its source.

    Attributes:
        entrypoint: ``/path/to/file.py:flow``, or ``package.module:flow`` if that was passed.
        name: the flow's name.
        description: its docstring, or the option of `flow`.
        version: the option of `flow`, or a hash of the file.
        parameter_schema: a JSON schema: names, plain types, defaults, and which are required.
        enforces: whether the flow validates its parameters.
    """

    entrypoint: str
    name: str
    description: str | None
    version: str
    parameter_schema: Json
    enforces: bool


def read_flow_source(entrypoint: str, folder: Path, where: str | None = None) -> FlowSource:
    """Read a flow's source, so that its imports need not be installed.

    Args:
        entrypoint: ``path/to/file.py:flow``, where the flow's name may be omitted if there is only
            one, or ``package.module:flow``.
        folder: the base of relative paths and of modules.
        where: the name of the folder for messages; None for its path.

    Raises:
        ConfigurationError: there is no such file or flow, or it is not Python.
    """
    _check_text(entrypoint)
    place, _, name = entrypoint.rpartition(":")
    if entrypoint.endswith(".py"):
        place, name = entrypoint, ""
    module = _find_module(place, folder)
    file = Path(os.path.normpath(module or folder / place))
    told = str(file) if where is None else f"{place} in {where}"
    if file.suffix != ".py" or not file.is_file():
        problem = f"there is no file {told}" if place else "it is not FILE.py:FLOW"
        raise _make_error(entrypoint, problem, "Write: path/to/file.py:my_flow")
    try:
        content = file.read_bytes()
        tree = ast.parse(content)
    except SyntaxError as error:
        line = "" if error.lineno is None else f", line {error.lineno}"
        problem = f"{place}{line}: {error.msg}"
        raise _make_error(entrypoint, problem, "Correct it.") from error
    except (OSError, ValueError) as error:
        problem = f"{told} can't be read: {error}"
        raise _make_error(entrypoint, problem, "Correct it.") from error
    flows = {fn.name: fn for fn in tree.body if _is_function(fn) and _find_decorator(fn)}
    fn = _choose(entrypoint, name, flows)
    options = _read_options(fn)
    digest = sha256(content).hexdigest()[:8]
    return FlowSource(
        f"{file if module is None else place}:{fn.name}",
        str(options.get("name") or fn.name.replace("_", "-")),
        options.get("description") or ast.get_docstring(fn),
        str(options.get("version") or digest),
        _make_schema(fn),
        options.get("validate_parameters") is not False,
    )


def _check_text(entrypoint: object) -> None:
    if not isinstance(entrypoint, str):
        remedy = "Write: path/to/file.py:my_flow"
        raise ConfigurationError("entrypoint", f"{entrypoint!r} is not a string", remedy)


def _find_module(place: str, folder: Path) -> Path | None:
    """Return the file of a module; None if it is not a module there."""
    if place.endswith(".py") or not all(map(str.isidentifier, place.split("."))):
        return None
    path = folder.joinpath(*place.split("."))
    found = [path.with_suffix(".py"), path / "__init__.py"]
    return next((each for each in found if each.is_file()), None)


def _make_error(entrypoint: str, problem: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"entrypoint {entrypoint!r}", problem, remedy)


def _choose(entrypoint: str, name: str, flows: dict[str, Function]) -> Function:
    if name in flows:
        return flows[name]
    if name or not flows:
        problem = f"it has no function {name!r} with @flow" if name else "it has no flow"
        remedy = suggest_names(name, flows).strip() or "Put @flow on the function."
        raise _make_error(entrypoint, problem, remedy)
    if len(flows) > 1:
        problem = f"it has {len(flows)} flows: {', '.join(map(repr, flows))}"
        raise _make_error(entrypoint, problem, f"Name one: {entrypoint}:{next(iter(flows))}")
    return next(iter(flows.values()))


def _is_function(node: ast.stmt) -> TypeGuard[Function]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _find_decorator(fn: Function) -> ast.expr | None:
    """Return ``@flow``, ``@flow(…)`` or the same with a module, such as ``@flowstone.flow``."""
    for each in fn.decorator_list:
        called = each.func if isinstance(each, ast.Call) else each
        if _name(called) == "flow":
            return each
    return None


def _read_options(fn: Function) -> Json:
    """Return the options of ``@flow(…)`` that are literals."""
    decorator = _find_decorator(fn)
    if not isinstance(decorator, ast.Call):
        return {}
    found = {each.arg: _read_literal(each.value) for each in decorator.keywords if each.arg}
    return {name: value for name, value in found.items() if value is not _UNKNOWN}


def _make_schema(fn: Function) -> Json:
    properties: Json = {}
    required = []
    for parameter, default in _list_parameters(fn.args):
        part = {"title": parameter.arg, **_describe_hint(parameter.annotation)}
        if default is None:
            required.append(parameter.arg)
        else:
            value = _read_literal(default)
            part["default"] = None if value is _UNKNOWN else value
        properties[parameter.arg] = part
    return {
        "properties": properties,
        "required": required,
        "title": fn.name,
        "type": "object",
        "additionalProperties": fn.args.kwarg is not None,
    }


def _list_parameters(args: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """Yield the parameters that can be passed by name, each with its default."""
    plain = [*args.posonlyargs, *args.args]
    missing = [None] * (len(plain) - len(args.defaults))
    yield from zip(plain, [*missing, *args.defaults], strict=True)
    yield from zip(args.kwonlyargs, args.kw_defaults, strict=True)


def _describe_hint(hint: ast.expr | None) -> Json:
    """Return the JSON schema of a type hint; an empty one if it is not a plain type."""
    if isinstance(hint, ast.Constant) and hint.value is None:
        return {"type": "null"}
    if isinstance(hint, ast.Constant) and isinstance(hint.value, str):
        try:
            return _describe_hint(ast.parse(hint.value, mode="eval").body)
        except SyntaxError:
            return {}
    if isinstance(hint, ast.BinOp) and isinstance(hint.op, ast.BitOr):
        return _join([_describe_hint(hint.left), _describe_hint(hint.right)])
    if isinstance(hint, ast.Subscript):
        return _describe_generic(_name(hint.value), hint.slice)
    name = "" if hint is None else _name(hint)
    if name in _SECRETS:
        return {"type": "string", "format": "password", "writeOnly": True}
    if name in _FORMATS:
        return {"type": "string", "format": _FORMATS[name]}
    return {"type": _TYPES[name]} if name in _TYPES else {}


def _describe_generic(name: str, inside: ast.expr) -> Json:
    parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    if name in {"Optional", "Union"}:
        more = [{"type": "null"}] if name == "Optional" else []
        return _join([*map(_describe_hint, parts), *more])
    if name == "Literal":
        values = [_read_literal(each) for each in parts]
        return {} if _UNKNOWN in values else {"enum": values}
    if _TYPES.get(name) == "array":
        of = _describe_hint(parts[0])
        return {"type": "array", **({"items": of} if of else {})}
    if _TYPES.get(name) == "object":
        of = _describe_hint(parts[-1])
        return {"type": "object", **({"additionalProperties": of} if of else {})}
    return {}


def _join(parts: list[Json]) -> Json:
    """Return the schema of any of these; an empty one if one of them accepts anything."""
    return {} if {} in parts else {"anyOf": parts}


def _name(node: ast.expr) -> str:
    """Return the last name of ``a.b.name``; "" for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _read_literal(node: ast.expr) -> object:
    """Return the value of a literal that JSON has; `_UNKNOWN` for any other."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _UNKNOWN
    return list(value) if isinstance(value, tuple) else value
