"""The runner of the pages must notice what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .pages import blocks

RUNNER = Path(__file__).parent / "run_page.py"


def run(text: str, folder: Path) -> tuple[int, str]:
    page = folder / "page.md"
    page.write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, RUNNER, page],
        input="{}",
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


GOOD = """
```python
value = 6 * 7
print("it is", value)
```

```text
it is …
```

```python file=later.py
print("later")
```

```console
$ python3 later.py
later
$ python3 -c "print(1); print(2); print('a    b')"
…
a  b
```

```python no-run
raise AssertionError
```
"""
WRONG = {
    "an exception": ("```python\n1 / 0\n```\n", "ZeroDivisionError"),
    "a name of no block before": ("```python\nprint(value)\n```\n", "NameError"),
    "another output": ("```python\nprint(1)\n```\n```text\n2\n```\n", "the page says:\n2"),
    "less output": ("```python\nprint(1)\n```\n```text\n1\n…\n2\n```\n", "it is:\n1"),
    "more output": ("```python\nprint(1)\nprint(2)\n```\n```text\n1\n```\n", "it is:\n1\n2"),
    "another answer of a command": ("```console\n$ echo hello\ngoodbye\n```\n", "it is:\nhello"),
    "a command that fails": ("```console\n$ false\n```\n", "ended with 1"),
    "a command that is not there": ("```console\n$ no-such-command\n```\n", "ended with 127"),
    "an exit": ("```python\nraise SystemExit(0)\n```\n", "SystemExit"),
}


def test_a_good_page_passes(tmp_path: Path) -> None:
    assert run(GOOD, tmp_path) == (0, "")


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_page_fails(case: str, tmp_path: Path) -> None:
    text, told = WRONG[case]
    code, said = run(text, tmp_path)
    assert code == 1
    assert told in said
    assert "line 2" in said or "line 5" in said or "line 6" in said


def test_a_block_that_is_not_closed_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1 is not closed"):
        blocks("```python\nprint()\n")


def test_reasons_and_files_are_read() -> None:
    first, second = blocks(
        "<!-- no-run: too dear -->\n```python no-run\nx\n```\n\n```toml file=a.toml\n```\n"
    )
    assert first.reason == "too dear"
    assert second.reason is None
    assert second.file == "a.toml"
    assert second.follows
