"""The style of pictures: colors for light and dark pages, and a mark for each kind of state."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from flowstone.records.states import COMPLETED

if TYPE_CHECKING:
    from flowstone.graphs.parts import Tally

#: The color of each kind of state, on light and on dark pages. They differ in lightness or between
#: blue and yellow, so that color-blind people can distinguish them; the mark helps, too.
COLOURS = {
    "completed": ("#007a5a", "#43c99b"),
    "cached": ("#007a5a", "#43c99b"),
    "failed": ("#b32d06", "#ff8f66"),
    "crashed": ("#701c61", "#dc8fce"),
    "cancelled": ("#a67a00", "#e6b645"),
    "cancelling": ("#a67a00", "#e6b645"),
    "paused": ("#a67a00", "#e6b645"),
    "running": ("#0b62c4", "#6db3ff"),
    "pending": ("#5d6674", "#7f8a98"),
    "scheduled": ("#5d6674", "#7f8a98"),
}
_DISC = '<circle cx="8" cy="8" r="8"/>'
_RING = '<circle class="ring" cx="8" cy="8" r="7.1"/>'
_CLOCK = f'{_RING}<path class="line" d="M8 4.2v4.1l2.6 1.5"/>'
_DASH = f'{_DISC}<path d="M4.6 8h6.8"/>'
#: In squares of 16 by 16.
MARKS = {
    "completed": f'{_DISC}<path d="M4.4 8.3l2.5 2.5 4.8-5.2"/>',
    "cached": f'{_RING}<path class="line" d="M4.6 8.3l2.4 2.4 4.5-5"/>',
    "failed": f'{_DISC}<path d="M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4"/>',
    "crashed": '<path class="shape" d="M5.2 0h5.6L16 5.2v5.6L10.8 16H5.2L0 10.8V5.2z"/>'
    '<path d="M8.9 3.4L5.6 8.4h4.8L7.2 12.8"/>',
    "cancelled": _DASH,
    "cancelling": _DASH,
    "paused": f'{_DISC}<path d="M6.2 5v6M9.8 5v6"/>',
    "running": f'{_DISC}<path d="M6.4 4.9l4.9 3.1-4.9 3.1z"/>',
    "pending": _CLOCK,
    "scheduled": _CLOCK,
}
_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"


def find_mark(tally: Tally) -> str:
    """Return the kind of mark of a state."""
    reused = tally.type is COMPLETED and tally.name == "Cached"
    return "cached" if reused else tally.type.value.lower()


def _paint_marks(place: int) -> dict[str, str]:
    rules: dict[str, str] = {}
    for kind, colours in COLOURS.items():
        rules[f".{kind}"] = f"fill:{colours[place]};stroke:{colours[place]}"
    return rules


_LAID_OUT = {
    ".title": f"font:600 13px {_FONT}",
    ".facts": f"font:400 11.5px {_FONT};font-variant-numeric:tabular-nums",
    ".end": "text-anchor:end",
    "rect": "stroke-width:1.2",
    ".edge": "fill:none;stroke-width:1.5",
    ".edge.call": "stroke-dasharray:1.5 4;stroke-linecap:round",
    ".mark circle": "stroke:none",
    ".mark path": "fill:none;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round",
    ".mark .shape": "fill:inherit;stroke:none",
    ".mark .ring": "fill:none;stroke:inherit;stroke-width:1.6",
}


def _paint(place: int) -> dict[str, str]:
    """Return the rules with colors: for light pages with 0, for dark ones with 1."""

    def of(light: str, dark: str) -> str:
        return (light, dark)[place]

    bad = COLOURS["failed"][place]
    return {
        ".page": f"fill:{of('#ffffff', '#0d1117')}",
        "rect.frame": f"fill:{of('#f6f8fa', '#151b23')};stroke:{of('#d1d9e0', '#3d444d')}",
        ".nested rect.frame": f"fill:{of('#eceff3', '#1c2430')}",
        "rect.card": f"fill:{of('#ffffff', '#0d1117')};stroke:{of('#b6c0cb', '#4b5563')}",
        "rect.card.good": f"stroke:{of('#9fcfbf', '#2c6d58')}",
        "rect.card.bad": f"fill:{of('#fff4ef', '#2a150d')};stroke:{bad};stroke-width:1.8",
        "rect.frame.bad": f"stroke:{bad}",
        "rect.card.stopped": f"stroke:{COLOURS['cancelled'][place]}",
        "rect.card.open": f"stroke:{COLOURS['running'][place]}",
        ".title": f"fill:{of('#1a2029', '#f0f3f6')}",
        ".facts": f"fill:{of('#525c69', '#a5afbb')}",
        ".edge": f"stroke:{of('#8792a0', '#6f7a88')}",
        ".tip": f"fill:{of('#8792a0', '#6f7a88')}",
        ".mark path": f"stroke:{of('#ffffff', '#0d1117')}",
        ".mark .line": "stroke:inherit",
        **_paint_marks(place),
    }


def _join_rules(rules: dict[str, str]) -> str:
    return "".join(f".flowstone-graph {where}{{{rule}}}" for where, rule in rules.items())


@cache
def write_style_sheet() -> str:
    """Return the CSS of a picture, for light pages and for dark ones."""
    dark = f"@media (prefers-color-scheme:dark){{{_join_rules(_paint(1))}}}"
    return f"{_join_rules(_LAID_OUT)}{_join_rules(_paint(0))}{dark}"
