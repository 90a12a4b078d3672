"""Tracebacks in which the frames of Flowstone are collapsed."""

from __future__ import annotations

import sys
from traceback import FrameSummary, StackSummary, TracebackException
from typing import TYPE_CHECKING

from flowstone.plugins.known import load_known_packages

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The file name of the frame that replaces frames of Flowstone; its line is their number.
_FOLD = "<flowstone>"


class _Folded(StackSummary):
    def format_frame_summary(self, frame_summary: FrameSummary, **options: bool) -> str:
        if frame_summary.filename != _FOLD:
            return super().format_frame_summary(frame_summary, **options)
        count = frame_summary.lineno or 0
        return f"  … {count} {'frame' if count == 1 else 'frames'} of Flowstone\n"


def format_traceback(error: BaseException) -> str:
    """Return the traceback of an error and its causes, with frames of Flowstone collapsed.

    If all frames are Flowstone's, as in its own errors, none is collapsed.
    """
    found = TracebackException.from_exception(error)
    if _has_foreign_frame(found):
        places = _find_places()
        for one in _walk(found):
            one.stack = _fold(one.stack, places)
    return "".join(found.format()).rstrip()


def has_foreign_frame(error: BaseException) -> bool:
    """Return whether the traceback of an error, or of a cause, has frames of other code."""
    return _has_foreign_frame(TracebackException.from_exception(error))


def _has_foreign_frame(error: TracebackException) -> bool:
    places = _find_places()
    return any(not frame.filename.startswith(places) for one in _walk(error) for frame in one.stack)


def _find_places() -> tuple[str, ...]:
    """Return the directories of the imported Flowstone packages."""
    packages = (name.replace("-", "_") for name in ("flowstone", *load_known_packages()))
    files = [getattr(sys.modules.get(name), "__file__", None) for name in packages]
    return tuple(file.removesuffix("__init__.py") for file in files if file)


def _walk(error: TracebackException) -> Iterator[TracebackException]:
    """Yield an error, and the causes and contexts that are shown with it."""
    left = [error]
    while left:
        one = left.pop()
        yield one
        left += [more for more in (one.__cause__, one.__context__) if more is not None]
        left += one.exceptions or []


def _fold(stack: StackSummary, places: tuple[str, ...]) -> StackSummary:
    folded, ours = _Folded(), 0
    for frame in stack:
        if frame.filename.startswith(places):
            ours += 1
            continue
        if ours and folded:  # the calls before the first foreign frame don't matter
            folded.append(FrameSummary(_FOLD, ours, "", lookup_line=False, line=""))
        folded.append(frame)
        ours = 0
    if ours and folded:
        folded.append(FrameSummary(_FOLD, ours, "", lookup_line=False, line=""))
    return folded
