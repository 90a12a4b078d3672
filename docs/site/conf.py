"""The configuration of Sphinx, which `make site` runs; the pages are those of the repository."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_ROOT = Path(__file__).resolve().parents[2]

project = "Flowstone"
author = "the Flowstone developers"
project_copyright = "the Flowstone developers"
release = version = tomllib.loads((_ROOT / "core/pyproject.toml").read_text())["project"]["version"]

extensions = ["myst_parser", "sphinx_copybutton"]
# Pages link to READMEs of packages, so the source directory is the repository.
include_patterns = [
    "docs/*.md",
    "docs/packages/*.md",
    "integrations/*/README.md",
    "plugin-template/README.md",
    "core/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "changelog/README.md",
]
root_doc = "docs/index"
myst_heading_anchors = 4
# Pages that no list of the start page names are reached by links: the changelog for one.
suppress_warnings = ["toc.not_included"]

html_theme = "furo"
html_title = "Flowstone"
html_extra_path = ["start"]
html_show_sphinx = False
html_copy_source = False
pygments_dark_style = "github-dark"
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
#: The first line of a block that is a file: its fence, language and name.
_FILE = re.compile(r"^(`{3,})(\w+) file=(\S+)$", re.MULTILINE)
_ENTRY = re.compile(r"^- \[(.+?)\]\((.+?)\.md\)", re.MULTILINE)


def _prepare_page(app: Sphinx, name: str, source: list[str]) -> None:
    """Adapt a page to the site.

    The lists of the start page become the navigation, links to the repository's README lead to the
    start page, and blocks that are files show their names.
    """
    source[0] = _FILE.sub(r"\1{code-block} \2\n:caption: \3\n", source[0])
    source[0] = re.sub(r"\]\(((?:\.\./)*)README\.md\)", r"](\1docs/index.md)", source[0])
    if name == app.config.root_doc:
        source[0] += "\n\n" + "\n\n".join(_make_navigation(source[0]))


def _make_navigation(page: str) -> list[str]:
    """Return a hidden table of contents for each section that lists pages."""
    parts = _SECTION.split(page)[1:]
    return [
        f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n{entries}\n```"
        for title, text in zip(parts[::2], parts[1::2], strict=True)
        if (entries := "\n".join(f"{label} <{path}>" for label, path in _ENTRY.findall(text)))
    ]


def setup(app: Sphinx) -> None:
    """Register what changes pages as they are read."""
    app.connect("source-read", _prepare_page)
