"""The table of all options in docs/options.md, made from the one that `@flow` and `@task` use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowstone.calls.option_types import FlowOptions, TaskOptions
from flowstone.calls.options import OPTIONS

from ..architecture.house import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.calls.options import OptionRow

PAGE = ROOT / "docs/options.md"
_HEAD = "| option | of | type | default | meaning |"
#: The table, from its head to its last row.
TABLE = re.compile(rf"^{re.escape(_HEAD)}\n(?:\|.*\n)+", re.MULTILINE)
_TYPES = {**FlowOptions.__annotations__, **TaskOptions.__annotations__}


def render_table() -> str:
    """Return the table as the page has to have it."""
    return "".join(f"{line}\n" for line in (_HEAD, "|---|---|---|---|---|", *map(_render, _list())))


def _list() -> Iterator[tuple[str, OptionRow]]:
    """Yield each option with what takes it: those of both first."""
    flows, tasks = OPTIONS["flow"], OPTIONS["task"]
    yield from (("both", row) for name, row in flows.items() if name in tasks)
    yield from (("flows", row) for name, row in flows.items() if name not in tasks)
    yield from (("tasks", row) for name, row in tasks.items() if name not in flows)


def _render(option: tuple[str, OptionRow]) -> str:
    owner, row = option
    hint = str(_TYPES[row.name].__forward_arg__).removesuffix(" | None").replace("|", "\\|")
    default = f"`{row.default}`" if row.default in {"True", "False"} else row.default
    cells = f"`{row.name}`", owner, f"`{hint}`", default, row.help
    return f"| {' | '.join(cell.replace('``', '`') for cell in cells)} |"


def main() -> None:
    page = PAGE.read_text("utf-8")
    PAGE.write_text(TABLE.sub(lambda _: render_table(), page), encoding="utf-8")


if __name__ == "__main__":
    main()
