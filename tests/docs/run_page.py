"""Run the blocks of one page, top to bottom, and tell the first thing that is not as written.

It is a program of its own, so that a page has a process to itself; on standard input it takes, as
JSON, what stands for what in the page: the address of a web server, a directory.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import traceback
from pathlib import Path
from tempfile import TemporaryFile
from types import ModuleType
from typing import Any

sys.path[:1] = [str(Path.cwd()), str(Path(__file__).resolve().parents[2])]

from tests.docs.pages import Block, blocks  # noqa: E402 - the path is set above

#: A block that takes longer hangs.
SECONDS = 600


class Wrong(Exception):
    """A block does not do what the page says."""


class Page:
    """The state that the blocks of a page share."""

    def __init__(self, path: Path, swaps: dict[str, str]) -> None:
        self.path, self.swaps = path, swaps
        # A module of its own, so that what looks names up in `__main__` finds the page's.
        module = sys.modules["__main__"] = ModuleType("__main__")
        self.names: dict[str, Any] = module.__dict__
        self.names["__file__"] = str(path)
        self.printed = ""

    def run(self, block: Block) -> None:
        if "no-run" in block.options:
            return
        text = self.swapped(block.text)
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(text + "\n", "utf-8")
        elif block.language == "python":
            self.python(block, text)
        elif block.language == "console":
            self.console(text)
        elif block.language == "text" and block.follows:
            compare(block.text, self.shown(self.printed))

    def swapped(self, text: str) -> str:
        for shown, real in self.swaps.items():
            text = text.replace(shown, real)
        return text

    def shown(self, text: str) -> str:
        for shown, real in self.swaps.items():
            text = text.replace(real, shown)
        return text

    def python(self, block: Block, text: str) -> None:
        # Blank lines before it, so that a traceback names the line of the page.
        code = compile("\n" * (block.line - 1) + text, str(self.path), "exec", dont_inherit=True)
        with TemporaryFile("w+", encoding="utf-8") as output:
            kept = [os.dup(1), os.dup(2)]
            for number in (1, 2):
                os.dup2(output.fileno(), number)
            try:
                exec(code, self.names)
            finally:
                for stream, number, old in zip((sys.stdout, sys.stderr), (1, 2), kept, strict=True):
                    stream.flush()
                    os.dup2(old, number)
                    os.close(old)
                output.seek(0)
                self.printed = output.read()

    def console(self, text: str) -> None:
        first, *steps = re.split(r"^\$ ", text, flags=re.MULTILINE)
        if first.strip():
            raise Wrong(f"a console block begins with a command: '$ …', not {first!r}")
        for step in steps:
            # A command goes on behind a backslash, as in the shell.
            command, expected = re.match(r"((?:.*\\\n)*.*)\n?([\s\S]*)", step).groups()  # type: ignore[union-attr]
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", command],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS,
                check=False,
            )
            said = self.shown(done.stdout)
            if done.returncode and "…" not in expected and not expected.strip():
                raise Wrong(f"`{command}` ended with {done.returncode}:\n{said}")
            if expected.strip():
                compare(expected, said)


def compare(expected: str, said: str) -> None:
    """Compare line by line; `…` stands for any text, and alone on its line for any lines.

    How wide the columns of a table are depends on what is in it: runs of spaces are all alike.
    """
    wanted = [narrow(line) for line in expected.strip("\n").splitlines()]
    got = [narrow(line) for line in said.strip("\n").splitlines()]
    parts = [r"(?:.*\n)*" if line.strip() == "…" else pattern(line) + r"\n" for line in wanted]
    if not re.fullmatch("".join(parts), "".join(f"{line}\n" for line in got)):
        raise Wrong("the page says:\n" + "\n".join(wanted) + "\n\nit is:\n" + "\n".join(got))


def narrow(line: str) -> str:
    return re.sub(r"(?<=\S) {2,}", "  ", line).rstrip()


def pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("…"))


def main() -> int:
    path, swaps = Path(sys.argv[1]), json.load(sys.stdin)
    page = Page(path, swaps)
    for block in blocks(path.read_text("utf-8")):
        try:
            page.run(block)
        except Wrong as wrong:
            print(f"{path.name}, line {block.line}: {wrong}")
            return 1
        except BaseException:
            print(f"{path.name}, line {block.line}:\n{page.printed}\n{traceback.format_exc()}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
