"""The public names as pyright sees them, strictly; mypy sees these files with all the others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..docs.pages import blocks, pages, title

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PYRIGHT = str(Path(sys.executable).with_name("basedpyright"))

#: What pages are not held to: they show mistakes, and give blocks texts for paths and secrets,
#: which pydantic turns into such; a type checker knows of that by pydantic's own plugin only.
SHOWN = ("reportArgumentType", "reportCallIssue", "reportRedeclaration")
#: The types of boto3's answers, where each key may be missing; what Great Expectations exports
#: without saying so.
FOREIGN = ("reportTypedDictNotRequiredAccess", "reportPrivateImportUsage")
#: A page that changes a block type has it twice; and a login that the reader is to write.
APART = ("docs-blocks/page.py", "docs-conformance/test_lamp_login.py")


def problems(folder: Path, **settings: object) -> list[str]:
    """Return what pyright says of the files of a folder, and of nothing but them."""
    config = folder / "pyrightconfig.json"
    config.write_text(json.dumps({"include": ["."], "pythonVersion": "3.11", **settings}))
    done = subprocess.run(
        [PYRIGHT, "-p", str(config), "--pythonpath", sys.executable, "--outputjson"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] >= len(list(folder.rglob("*.py")))
    return [
        f"{Path(found['file']).relative_to(folder)}:{found['range']['start']['line'] + 1}: "
        f"{found['message']} ({found.get('rule')})"
        for found in report["generalDiagnostics"]
    ]


def test_a_strict_program_has_no_problem_and_a_mistake_has(tmp_path: Path) -> None:
    for path in (HERE / "calls.py", HERE / "mistakes.py"):
        (tmp_path / path.name).write_text(path.read_text("utf-8"), "utf-8")
    assert not problems(
        tmp_path,
        typeCheckingMode="strict",
        enableTypeIgnoreComments=True,
        reportUnnecessaryTypeIgnoreComment="error",
    )


def test_the_code_of_the_pages_has_right_types(tmp_path: Path) -> None:
    for page in pages():
        folder = tmp_path / title(page).removesuffix(".md").replace("/", "-")
        folder.mkdir()
        lines: list[str] = []  # each keeps its number on the page
        for block in blocks(page.read_text("utf-8")):
            if block.language != "python" or "no-run" in block.options:
                continue
            if block.file:
                (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
                (folder / block.file).write_text(f"{block.text}\n", "utf-8")
                continue
            lines += [""] * (block.line - 1 - len(lines))
            lines += block.text.splitlines()
        (folder / "page.py").write_text("\n".join(lines) + "\n", "utf-8")
    found = problems(
        tmp_path, typeCheckingMode="standard", **dict.fromkeys((*SHOWN, *FOREIGN), False)
    )
    assert not [each for each in found if not each.startswith(APART)]
