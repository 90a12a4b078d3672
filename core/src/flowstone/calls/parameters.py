"""A call's arguments: bound to the signature, checked by type hint, and used in run names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from types import GenericAlias, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Protocol, Self, Unpack, get_args

from flowstone.calls.hints import (
    Check,
    Hint,
    Misfit,
    Uncheckable,
    Value,
    find_hints,
    make_check,
    split_hint,
)
from flowstone.context.runtime import deployment, flow_run, task_run
from flowstone.engine.arguments import resolve
from flowstone.engine.functions import find_plain_names
from flowstone.errors import ConfigurationError, ParameterBindError, ParameterTypeError
from flowstone.records.redaction import redact, register

if TYPE_CHECKING:
    import inspect

#: Names that a run name template can use, in addition to the parameters.
RUNTIME = {"flow_run": flow_run, "task_run": task_run, "deployment": deployment}

#: A value whose type is exactly its hint needs no validation if the hint is one of these.
EXACT = frozenset({str, int, float, bool, bytes, list, dict, tuple, set})

#: Hints that a warning has already named, by function.
_named: set[tuple[str, str, str]] = set()

#: Names that every call uses itself, so no parameter may have them.
RESERVED = frozenset({"return_state", "wait_for"})

#: Positional arguments, and keyword arguments.
Placed = tuple[Any, ...]
Named = dict[str, Any]
#: The kinds of variadic parameters, as named in `inspect`.
POSITIONAL_REST, KEYWORD_REST = "VAR_POSITIONAL", "VAR_KEYWORD"
#: The recorded types of variadic parameters.
_REST: dict[str, tuple[type, ...]] = {POSITIONAL_REST: (list, tuple), KEYWORD_REST: (dict,)}
_TOLD: dict[type, str] = {list: "a list", dict: "an object"}


class Written(str):
    """A value as text, for a parameter whose type is not known yet.

    Attributes:
        on_secret: called with the parameter's name, if that turns out to take a secret.
    """

    __slots__ = ("on_secret",)

    on_secret: Callable[[str], None] | None

    def __new__(cls, text: str, on_secret: Callable[[str], None] | None = None) -> Self:
        written = super().__new__(cls, text)
        written.on_secret = on_secret
        return written


class Bound(Protocol):
    """A call's arguments; `inspect.BoundArguments` implements it."""

    arguments: Named

    @property
    def args(self) -> Placed: ...
    @property
    def kwargs(self) -> Named: ...


class _PlainBound:
    """The arguments of a function whose parameters can all be passed by position."""

    def __init__(self, arguments: Named) -> None:
        self.arguments = arguments

    @property
    def args(self) -> Placed:
        return tuple(self.arguments.values())

    @property
    def kwargs(self) -> Named:
        return {}


class Parameters:
    """The parameters of one function."""

    def __init__(
        self, fn: Callable[..., Any], name: str, around: Mapping[str, Any] | None = None
    ) -> None:
        """Take a function, and the local names that its type hints may use."""
        self.name = name
        self._around = around
        self._fn = fn
        self._plain_names = find_plain_names(fn)
        self._checks: dict[str, Check] = {}
        self._restorers: dict[str, Callable[[Value, Value], bool]] = {}

    @cached_property
    def signature(self) -> inspect.Signature:
        # 10 ms to import; most functions are plain, and their code object has the same information.
        from inspect import signature

        return signature(self._fn)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, in order."""
        plain = self._plain_names
        return tuple(self.signature.parameters) if plain is None else plain

    def get_rest(self, name: str) -> str:
        """Return the kind of a variadic parameter; an empty string for an ordinary one."""
        if self._plain_names is not None:
            return ""
        kind = self.signature.parameters[name].kind.name
        return kind if kind in _REST else ""

    def bind(self, args: Placed, kwargs: Mapping[str, Any]) -> Bound:
        """Bind the arguments, including defaults.

        Raises:
            ParameterBindError: they do not match the signature.
        """
        plain = self._bind_plain(args, kwargs)
        if plain is not None:
            return _PlainBound(plain)
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise self._make_bind_error(str(error)) from None
        bound.apply_defaults()
        return bound

    def _bind_plain(self, args: Placed, kwargs: Mapping[str, Any]) -> Named | None:
        """Bind the arguments of a plain function; return None if it isn't, or they don't match."""
        names = self._plain_names
        if names is None or len(args) > len(names):
            return None
        values = getattr(self._fn, "__defaults__", None) or ()
        defaults = dict(zip(reversed(names), reversed(values), strict=False))
        bound = dict(zip(names, args, strict=False))
        if bound.keys() & kwargs.keys() or not kwargs.keys() <= set(names):
            return None
        given = {**defaults, **kwargs, **bound}
        if len(given) < len(names):
            return None
        return {name: given[name] for name in names}

    def bind_by_name(self, args: Placed, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments by name: those of the call, defaults, and bound ones.

        Raises:
            ParameterBindError: they do not match the signature.
        """
        plain = self._plain
        if plain is not None and not kwargs and len(args) == len(plain):
            return dict(zip(plain, args, strict=True))  # most calls, in a tenth of the time
        return {**self.held, **self.bind(args, kwargs).arguments}

    @cached_property
    def held(self) -> dict[str, object]:
        """The bound arguments of the function: the `self` of a method, those of a partial."""
        return _find_held(self._fn)

    @cached_property
    def _plain(self) -> tuple[str, ...] | None:
        """The names, if all parameters can be passed both by position and by name."""
        if self._plain_names is not None:
            return self._plain_names
        kinds = {parameter.kind.name for parameter in self.signature.parameters.values()}
        plain = kinds <= {"POSITIONAL_OR_KEYWORD"}
        return self.names if plain and not self.held else None

    def bind_known(self, args: Placed, kwargs: Mapping[str, Any]) -> Named:
        """Return a call's arguments by name, with the results of futures that have ended."""
        args, kwargs = resolve(args, _resolve_if_done), resolve(kwargs, _resolve_if_done)
        return dict(self.bind(args, kwargs).arguments)

    def validate(self, bound: Bound) -> None:
        """Coerce each argument to its type hint, as pydantic does.

        Raises:
            ParameterTypeError: some do not match; the message names each, but shows no value, as
                it may be a secret.
        """
        problems: dict[str, str] = {}
        for name, value in bound.arguments.items():
            hint = self.hints.get(name, Any)
            if hint is Any or (type(value) is hint and hint in EXACT):
                continue
            try:
                bound.arguments[name] = self._coerce(name, hint, value)
            except Misfit as misfit:
                problems[name] = str(misfit)
        if problems:
            raise ParameterTypeError(self.name, problems)

    @cached_property
    def secret_hints(self) -> dict[str, object]:
        """The type hints that contain a secret type, by parameter name."""
        from flowstone.secrets.fields import hides  # pydantic: only called if it is loaded

        found = {name: hint for name in self.names if hides(hint := self.hints.get(name, Any))}
        for name, hint in found.items():
            rest = self.get_rest(name)
            if rest == POSITIONAL_REST:
                found[name] = GenericAlias(list, (hint,))
            elif rest == KEYWORD_REST:
                found[name] = GenericAlias(dict, (str, hint))
        return found

    def register_secrets(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        """Register the arguments and defaults that are secret according to the type hints."""
        from flowstone.secrets.fields import find_secret_texts  # as above

        try:
            bound = self.signature.bind_partial(*args, **kwargs)
        except TypeError:
            return  # they don't match: there will be no call
        bound.apply_defaults()
        for name, hint in self.secret_hints.items():
            for text in find_secret_texts(hint, bound.arguments.get(name)):
                register(text)

    def can_restore(self, name: str, kept: object, value: object) -> bool:
        """Return whether the type hint restores the same value from its stored form."""
        if name not in self.hints:
            return False
        # Imports JSON, 3 ms; arguments that are plain JSON values don't need it.
        from flowstone.calls.restoring import make_restorer

        if name not in self._restorers:
            self._restorers[name] = make_restorer(self.hints[name])
        return self._restorers[name](kept, value)

    def read(self, arguments: Mapping[str, Any]) -> Named:
        """Return arguments by name; those that are `Written` are parsed by their type hints.

        They are parsed as JSON; if that fails or does not match the hint, the text itself is used.
        """
        return {
            name: self._read(name, value) if isinstance(value, Written) else value
            for name, value in arguments.items()
        }

    def _read(self, name: str, written: Written) -> Any:
        import json  # 2 ms, which only the command line needs

        text = str(written)
        if (
            written.on_secret is not None
            and "pydantic" in sys.modules
            and name in self.secret_hints
        ):
            written.on_secret(name)
        try:
            value = json.loads(text)
        except ValueError:
            return text
        if isinstance(value, float) and _is_exact(self.hints.get(name, Any)):
            return text  # a float may have lost digits
        is_text_only = not self._fits(name, value) and self._fits(name, text)
        return text if is_text_only else value

    def _fits(self, name: str, value: object) -> bool:
        parameter, hint = self.signature.parameters.get(name), self.hints.get(name, Any)
        if parameter is None or hint is Any or type(value) is hint:
            return True
        try:
            self._coerce(name, hint, value)
        except Misfit:
            return False
        return True

    def rebind(self, arguments: Mapping[str, Any]) -> tuple[Placed, Named]:
        """Convert recorded arguments by name to the arguments of a call.

        Raises:
            ParameterBindError: a name is unknown or reserved; or the value of a `*` or `**`
                parameter is not a list or an object.
        """
        known = self.signature.parameters
        given = {name: value for name, value in arguments.items() if name in known}
        more = {name: value for name, value in arguments.items() if name not in known}
        for name, value in given.items():
            wanted = _REST.get(known[name].kind.name)
            if wanted is not None and not isinstance(value, wanted):
                problem = f"its parameter {name!r} takes {_TOLD[wanted[0]]} of values"
                raise self._make_bind_error(problem)
        if more:
            rest = [name for name, each in known.items() if each.kind.name == KEYWORD_REST]
            if not rest or not RESERVED.isdisjoint(more):
                name = min(RESERVED & more.keys(), default=next(iter(more)))
                raise self._make_bind_error(f"got an unexpected keyword argument {name!r}")
            given[rest[0]] = {**given.get(rest[0], {}), **more}
        # 10 ms to import, which only a run pays that is executed again, or by a command.
        from inspect import BoundArguments

        bound = BoundArguments(self.signature, {n: given[n] for n in known if n in given})
        return bound.args, bound.kwargs

    def _make_bind_error(self, problem: str) -> ParameterBindError:
        return ParameterBindError(self.name, str(self.signature), problem)

    @cached_property
    def hints(self) -> dict[str, Hint]:
        """The type hints that are checked, by parameter name."""
        hints, problems = find_hints(self._fn, self._annotations, self._around or {})
        if problems:
            self._warn("; ".join(f"{name} ({problem})" for name, problem in problems.items()))
        return hints

    @property
    def _annotations(self) -> dict[str, object]:
        if (names := self._plain_names) is not None:
            written = self._fn.__annotations__
            return {name: written[name] for name in names if name in written}
        known = self.signature.parameters.values()
        return {each.name: each.annotation for each in known if each.annotation is not each.empty}

    def _warn(self, told: str) -> None:
        """Log the hints that can't be checked, once for each function."""
        fn = self._fn
        key = (getattr(fn, "__module__", ""), getattr(fn, "__qualname__", self.name), told)
        if key not in _named:
            _named.add(key)
            import logging  # 8 ms to import, during the first run of a flow

            logging.getLogger("flowstone.parameters").warning(
                "%r: these parameters are not validated, as their type hints can't be resolved or "
                "checked: %s. Import the types at runtime, or use types that can be checked.",
                self.name,
                told,
            )

    def _coerce(self, name: str, hint: Hint, value: Value) -> Value:
        origin, inner = split_hint(hint)
        rest, unpacked = self.get_rest(name), origin is Unpack
        check = self._checks.get(name)
        if check is None:
            check = self._checks[name] = make_check(inner[0] if unpacked else hint)
        try:
            if unpacked or not rest:
                return check(value)
            if rest == POSITIONAL_REST:
                return tuple(map(check, value))
            return {key: check(item) for key, item in value.items()}
        except Uncheckable:
            self._warn(f"{name} ({hint!r})")
            self.hints[name] = Any
            return value


def _find_held(fn: Any) -> dict[str, object]:
    if find_plain_names(fn) is not None:
        return {}
    # 10 ms to import; most functions are plain.
    import inspect

    if isinstance(fn, MethodType):
        name = next(iter(inspect.signature(fn.__func__).parameters.values()))
        is_named = name.kind.name != POSITIONAL_REST
        return {name.name if is_named else "self": fn.__self__}
    if isinstance(fn, partial):  # its bound keyword arguments are defaults
        return {
            **_find_held(fn.func),
            **inspect.signature(fn.func).bind_partial(*fn.args).arguments,
        }
    if wrapped := getattr(fn, "__wrapped__", None):
        return _find_held(wrapped)
    holder = getattr(fn, "__self__", None) if inspect.isroutine(fn) else fn
    return {} if holder is None or isinstance(holder, ModuleType) else {"self": holder}


def _resolve_if_done(promise: Any, _may_fail: bool) -> Any:
    return promise.final_state().result(raise_on_failure=False) if promise.done() else promise


def _is_exact(hint: object) -> bool:
    """Return whether a type hint needs all digits of a number as written."""
    from decimal import Decimal  # 2 ms, which only the command line needs

    kinds = (hint, *get_args(hint))
    return Decimal in kinds and float not in kinds and str not in kinds


def render_run_name(
    unit: str, template: str | Callable[..., str], parameters: Mapping[str, Any]
) -> str:
    """Return a run's name from its template or function, with secrets masked.

    Raises:
        ConfigurationError: the template uses a name that is not a parameter; or the function
            failed, or did not return a string.
    """
    option = f"the run name of {unit!r}"
    if isinstance(template, str):
        try:
            return redact(template.format(**{**RUNTIME, **parameters}))
        except (KeyError, IndexError, AttributeError, ValueError) as error:
            known = ", ".join(parameters) or "none"
            problem = f"the template {template!r} can't be filled: {error}"
            raise ConfigurationError(option, problem, f"The parameters are: {known}.") from error
    takes = "parameters" in Parameters(template, unit).names
    name: object = template(parameters=dict(parameters)) if takes else template()
    if not isinstance(name, str) or not name:
        raise ConfigurationError(option, f"the function returned {name!r}", "Return a text.")
    return redact(name)
