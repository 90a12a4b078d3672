"""The base of every suite: standard tests run as they are, or stand in `gaps`, strictly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Gap:
    """A standard test that an implementation does not pass yet.

    The test still runs, and must fail with `raises`: once it passes, the gap has to go.
    """

    reason: str
    raises: type[BaseException] | tuple[type[BaseException], ...]


class Suite:
    """Standard tests of one port or interface.

    Join by one subclass that has the fixtures which the suite names. A subclass may add tests; it
    can't replace a standard one, only name it in `gaps`.
    """

    gaps: ClassVar[Mapping[str, Gap]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        standard = {name for name in dir(cls) if name.startswith("test") and _homes(cls, name)}
        replaced = sorted(name for name in standard if _is_replaced(cls, name))
        if replaced:
            raise TypeError(
                f"{cls.__name__} replaces the standard tests {', '.join(replaced)}. "
                "Give yours other names; where a standard test can't pass yet, name it in `gaps`."
            )
        unknown = sorted(set(cls.gaps) - standard)
        if unknown:
            raise TypeError(
                f"{cls.__name__}.gaps names {', '.join(unknown)}, which the suite does not have. "
                "Take them out."
            )

    @pytest.fixture(autouse=True)
    def _gap(self, request: pytest.FixtureRequest) -> None:
        name = getattr(request.node, "originalname", None) or request.node.name
        gap = self.gaps.get(name)
        if gap is not None:
            mark = pytest.mark.xfail(strict=True, raises=gap.raises, reason=gap.reason)
            request.applymarker(mark)


def _homes(cls: type, name: str) -> list[type]:
    """Return the suites that define a test, the standard's own first."""
    return [
        home for home in reversed(cls.__mro__) if issubclass(home, Suite) and name in vars(home)
    ]


def _is_replaced(cls: type, name: str) -> bool:
    found = next(home for home in cls.__mro__ if name in vars(home))
    return found is not _homes(cls, name)[0]
