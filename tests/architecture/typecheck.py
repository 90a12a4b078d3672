"""Type-check every package, tests included, each by itself: their tests share module names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def targets() -> list[list[Path]]:
    packages = [ROOT / "core", *sorted((ROOT / "integrations").glob("*")), ROOT / "plugin-template"]
    found = [[package / "src", package / "tests"] for package in packages if package.is_dir()]
    return [[path for path in pair if path.is_dir()] for pair in found] + [[ROOT / "tests"]]


def main() -> int:
    failures = 0
    for paths in targets():
        if not paths:
            continue
        base = paths[0].parent
        print(f"mypy --strict {base.relative_to(ROOT)}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"),
             "--cache-dir", str(ROOT / ".cache/mypy"), *map(str, paths)],
            cwd=base,
            env={**os.environ, "MYPYPATH": os.pathsep.join(map(str, [base / "src", base, ROOT]))},
            check=False,
        )  # fmt: skip
        failures += done.returncode != 0
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
