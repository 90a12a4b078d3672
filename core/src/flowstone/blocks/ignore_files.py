"""Ignore files: patterns as in a .gitignore, for uploads of whole directories."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """One line of an ignore file."""

    pattern: re.Pattern[str]
    keeps: bool
    folders_only: bool


def read_rules(lines: Iterable[str]) -> list[IgnoreRule]:
    """Return the rules of an ignore file, in order; skip comments and blank lines."""
    rules = []
    for raw in lines:
        line = raw.rstrip("\r\n")
        line = re.sub(r"(?<!\\)[ \t]+$", "", line)
        if not line or line.startswith("#"):
            continue
        keeps = line.startswith("!")
        line = line[keeps:]
        line = line[1:] if line[:2] in {"\\#", "\\!"} else line
        folders_only = line.endswith("/")
        line = line.rstrip("/")
        if line:
            rules.append(IgnoreRule(_compile_line(line), keeps, folders_only))
    return rules


def is_ignored(rules: Iterable[IgnoreRule], path: str, *, folder: bool) -> bool:
    """Return whether a path is ignored; the last rule that matches decides.

    Walk from the top, and don't descend into an ignored folder: no rule can include its content
    again.
    """
    out = False
    for rule in rules:
        if (folder or not rule.folders_only) and rule.pattern.fullmatch(path):
            out = not rule.keeps
    return out


def is_ignored_anywhere(rules: Sequence[IgnoreRule], path: str) -> bool:
    """Return whether a file is ignored, by itself or because of a folder above it."""
    if not rules:
        return False
    parts = path.split("/")
    folders = ("/".join(parts[:count]) for count in range(1, len(parts)))
    return any(is_ignored(rules, folder, folder=True) for folder in folders) or is_ignored(
        rules, path, folder=False
    )


def _compile_line(line: str) -> re.Pattern[str]:
    anchored = "/" in line
    parts = line.lstrip("/").split("/")
    text = "" if anchored else "(?:.*/)?"
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            text += ".+" if last else "(?:.*/)?"
        else:
            text += _translate_segment(part) + ("" if last else "/")
    return re.compile(text, re.DOTALL)


def _translate_segment(part: str) -> str:
    text, i = "", 0
    while i < len(part):
        char, i = part[i], i + 1
        if char == "*":
            text += "[^/]*"
        elif char == "?":
            text += "[^/]"
        elif char == "\\" and i < len(part):
            text, i = text + re.escape(part[i]), i + 1
        elif char == "[" and (end := part.find("]", i + 1)) > 0:
            inner = part[i:end].replace("\\", "\\\\").replace("[", "\\[")
            text += f"(?!/)[{'^' + inner[1:] if inner[0] in '!^' else inner}]"
            i = end + 1
        else:
            text += re.escape(char)
    return text
