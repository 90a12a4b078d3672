from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution as pip would lay it out: modules, metadata, an entry point."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    before = set(sys.modules)

    def install(
        name: str,
        plugin: str,
        version: str = "1.2.3",
        entry: str = "",
        needs: str = "flowstone>=0.1",
        **modules: str,
    ) -> Path:
        package = site / name.replace("-", "_")
        package.mkdir()
        sources = {"__init__": "", "plugin": plugin, **modules}
        for module, source in sources.items():
            (package / f"{module}.py").write_text(dedent(source), encoding="utf-8")
        info = site / f"{package.name}-{version}.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(f"{metadata}Requires-Dist: {needs}\n")
        entry = entry or name.removeprefix("acme-")
        (info / "entry_points.txt").write_text(f"[flowstone]\n{entry} = {package.name}.plugin\n")
        return site

    yield install
    for module in set(sys.modules) - before:
        if module.startswith("acme"):
            del sys.modules[module]
