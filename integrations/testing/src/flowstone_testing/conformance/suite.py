"""The base of every suite: a vendor's limits are capabilities, an emulator's are gaps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Test = TypeVar("Test", bound="Callable[..., None]")


@dataclass(frozen=True, slots=True)
class EmulatorGap:
    """A standard test that the service passes, and its emulator does not.

    The test still runs on the emulator and must fail there; once it passes, the gap has to be
    removed. With ``--live`` it runs like any other test.

    Attributes:
        emulator: the emulator of the service: ``moto``.
        version: the version of the emulator that was last seen to fail.
        reason: what the emulator does not support.
        raises: the error that the test raises there; any other error is a failure.
    """

    emulator: str
    version: str
    reason: str
    raises: type[BaseException] | tuple[type[BaseException], ...] = (
        Exception,
        pytest.fail.Exception,
    )

    def __str__(self) -> str:
        return f"{self.emulator} {self.version}: {self.reason}"


def capability(name: str, lacking: type[BaseException], words: str = "") -> Callable[[Test], Test]:
    """Mark the standard test of a capability that not every provider has.

    A test class that declares it must pass the test. For one that does not, the provider must
    refuse it: the test has to raise `lacking`. So a capability is declared, or the suite fails.

    Args:
        name: the class attribute of the suite that declares the capability.
        lacking: the error that a provider without it raises.
        words: text that the message of that error contains.
    """

    def mark(test: Test) -> Test:
        @wraps(test)
        def either(self: Suite, *args: object, **kwargs: object) -> None:
            has = bool(getattr(self, name))
            try:
                test(self, *args, **kwargs)
            except lacking as error:
                if has:
                    error.add_note(f"`{name} = True` is declared: remove it, or support it.")
                    raise
                if words not in str(error):
                    raise
            else:
                if not has:
                    pytest.fail(f"Supported: declare `{name} = True` in {type(self).__name__}")

        vars(either)["capability"] = name
        return cast("Test", either)

    return mark


def needs(*names: str) -> Callable[[Test], Test]:
    """Mark a standard test that needs capabilities; it is skipped if one is not declared.

    Args:
        *names: the capabilities; each has its own test, marked by `capability`.
    """

    def mark(test: Test) -> Test:
        vars(test)["needs"] = names
        return test

    return mark


class Suite:
    """Standard tests of one port or interface.

    Use it by a subclass with the fixtures that the suite names. A subclass may add tests; it
    can't replace a standard one, only name it in `gaps`.

    Attributes:
        gaps: the standard tests that only the emulator fails, by name; each of them must fail.
        kind: the kind of entry in a package's `Collection` that the suite tests: ``block``,
            ``task`` …
        interface: limits the suite to subclasses of this; None if it tests all of that kind.
    """

    gaps: ClassVar[Mapping[str, EmulatorGap]] = {}
    kind: ClassVar[str] = ""
    interface: ClassVar[type | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        standard = {name for name in dir(cls) if name.startswith("test") and _homes(cls, name)}
        replaced = sorted(name for name in standard if _is_replaced(cls, name))
        if replaced:
            raise TypeError(
                f"{cls.__name__} replaces the standard tests {', '.join(replaced)}. "
                "Rename yours. If only an emulator fails the standard test, name it in `gaps`."
            )
        unknown = sorted(set(cls.gaps) - standard)
        if unknown:
            raise TypeError(
                f"{cls.__name__}.gaps names {', '.join(unknown)}, which the suite does not have. "
                "Remove them."
            )

    @pytest.fixture(autouse=True)
    def _respect_declarations(self, request: pytest.FixtureRequest) -> None:
        name = getattr(request.node, "originalname", None) or request.node.name
        lacks = list_lacks(type(self), name)
        if lacks:
            pytest.skip(f"not declared: {', '.join(lacks)}")
        gap = self.gaps.get(name)
        if gap is not None and not request.config.getoption("--live"):
            mark = pytest.mark.xfail(strict=True, raises=gap.raises, reason=str(gap))
            request.applymarker(mark)


def _homes(cls: type, name: str) -> list[type]:
    """Return the classes that define a test, the one of the standard first."""
    return [
        home for home in reversed(cls.__mro__) if issubclass(home, Suite) and name in vars(home)
    ]


def _is_replaced(cls: type, name: str) -> bool:
    found = next(home for home in cls.__mro__ if name in vars(home))
    return found is not _homes(cls, name)[0]


def find_suite(cls: object) -> type[Suite] | None:
    """Return the suite of the kit that a class uses; None if it uses none."""
    if not (isinstance(cls, type) and issubclass(cls, Suite)):
        return None
    joined = [home for home in cls.__mro__ if home.__module__.startswith(__package__)]
    suites = [home for home in joined if home.__name__.endswith("Suite") and home is not Suite]
    return suites[0] if suites else None


def list_lacks(cls: type[Suite], test: str) -> list[str]:
    """Return the capabilities that a test needs and a class does not declare."""
    wanted = getattr(getattr(cls, test, None), "needs", ())
    return [name for name in wanted if not getattr(cls, name)]


def list_tests(cls: type[Suite]) -> list[str]:
    """Return the standard tests of a class's suite, without those that it skips."""
    suite = find_suite(cls) or cls
    names = (name for name in dir(suite) if name.startswith("test"))
    return [name for name in names if not list_lacks(cls, name)]


def describe_stale_gap(cls: type[Suite], test: str) -> str:
    """Return what to do about a gap whose test passes."""
    gap = cls.gaps[test]
    return f"{gap.emulator} passes {test} now: remove it from `{cls.__name__}.gaps`"


def list_capabilities(cls: type[Suite]) -> dict[str, bool]:
    """Return the capabilities of a class's suite, and whether the class declares each."""
    found = (getattr(getattr(cls, name), "capability", None) for name in dir(cls))
    return {name: bool(getattr(cls, name)) for name in found if name}
