"""A parser for docstrings in Google style."""

from __future__ import annotations

import doctest
import inspect
import re
from dataclasses import dataclass, field

_HEADING = re.compile(r"(?P<title>[A-Z]\w+):$")
_ITEM = re.compile(r"^(?P<names>[\w.*]+(, [\w.*]+)*): (?P<text>.*(\n[ \t]+.*)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Docstring:
    """The parts of a docstring.

    Attributes:
        summary: its first paragraph, on one line.
        notes: the rest, without what is in `arguments` and `example`.
        arguments: the text for each parameter, on one line; names have no stars.
        raises: the text for each error, on one line.
        example: code; prompts are removed.
    """

    summary: str = ""
    notes: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    raises: dict[str, str] = field(default_factory=dict)
    example: str = ""


def parse(doc: str | None) -> Docstring:
    """Parse a docstring."""
    free: list[str] = []
    sections: dict[str, list[str]] = {}
    lines = free
    for line in inspect.cleandoc(doc or "").splitlines():
        heading = _HEADING.match(line)
        if heading:
            lines = sections.setdefault(heading["title"], [])
        elif line and not line[0].isspace() and lines is not free:
            lines = free
            lines += ["", line]
        else:
            lines.append(line)
    summary, _, rest = "\n".join(free).partition("\n\n")
    arguments = _split_items(sections.pop("Args", []))
    example = _extract_code([*sections.pop("Example", []), *sections.pop("Examples", [])])
    told = [f"{title}:\n{_dedent_block(found)}" for title, found in sections.items()]
    notes = "\n\n".join(part for part in (*re.split(r"\n{2,}", rest.strip("\n")), *told) if part)
    return Docstring(
        " ".join(summary.split()),
        notes,
        arguments,
        _split_items(sections.get("Raises", [])),
        example,
    )


def _dedent_block(lines: list[str]) -> str:
    return "\n".join(lines).rstrip()


def _split_items(lines: list[str]) -> dict[str, str]:
    told: dict[str, str] = {}
    for found in _ITEM.finditer(inspect.cleandoc("\n" + "\n".join(lines))):
        for name in found["names"].split(", "):
            told[name.lstrip("*")] = " ".join(found["text"].split())
    return told


def _extract_code(lines: list[str]) -> str:
    text = inspect.cleandoc("\n" + "\n".join(lines))
    prompts = doctest.DocTestParser().get_examples(text) if text.startswith(">>>") else []
    return "".join(each.source for each in prompts).rstrip() or text
