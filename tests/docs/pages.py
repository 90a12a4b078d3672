"""The pages of the documentation, and the code blocks in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "core/README.md",
    "integrations/*/README.md",
    "plugin-template/README.md",
)
FENCE = re.compile(r"^```(\S*) *(.*)$")
REASON = re.compile(r"<!-- no-run: (.+) -->")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        line: of its first line of text, from 1.
        language: ``python``, ``console``, ``text`` …
        options: what stands behind the language: ``no-run``, ``file=hello.py``.
        reason: why it does not run, from the comment before it.
        follows: whether nothing but blank lines stands between it and the block before.
    """

    line: int
    language: str
    options: tuple[str, ...]
    text: str
    reason: str | None
    follows: bool

    @property
    def file(self) -> str | None:
        """The file that the block is to be written to."""
        named = [option.removeprefix("file=") for option in self.options if "file=" in option]
        return named[0] if named else None


def pages() -> list[Path]:
    return [path for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]


def title(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page.

    Raises:
        ValueError: a block is not closed.
    """
    found: list[Block] = []
    lines = text.splitlines()
    place = between = 0
    while place < len(lines):
        opening = FENCE.match(lines[place])
        if opening:
            end = next((n for n in range(place + 1, len(lines)) if lines[n] == "```"), None)
            if end is None:
                raise ValueError(f"the block of line {place + 1} is not closed")
            before = "\n".join(lines[between:place])
            reason = REASON.search(before.rpartition("\n\n")[2] or before)
            found.append(
                Block(
                    place + 2,
                    opening[1],
                    tuple(opening[2].split()),
                    "\n".join(lines[place + 1 : end]),
                    reason[1] if reason else None,
                    not before.strip(),
                )
            )
            place = between = end
            between += 1
        place += 1
    return found
