"""Run core's tests on every other Python that is on this machine, and say which there are.

Each gets an environment of its own under `.cache/`. Pythons from 3.12 on count; the one that runs
this has had its turn in the main run. The newest runs all of core's tests; what stands between it
and the oldest runs those of what depends on the interpreter most.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WANTED = ("3.12", "3.13", "3.14", "3.15")
#: What says as much on one Python as on all: that the suites bite, and what the engine decides.
LEFT_OUT = ("*mutants*", "*/simulation/*", "*/test_check.py")
#: What depends on the interpreter: threads, loops, processes, pickles, signatures.
BETWEEN = (
    "engine",
    "runners",
    "test_async*.py",
    "test_cancelling.py",
    "test_flows.py",
    "test_futures.py",
    "test_generators.py",
    "test_hashing.py",
    "test_tasks.py",
)


def main() -> int:
    began = time.monotonic()
    uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    report = [f"python {own}: the main run"]
    failures = 0
    found = {version: _find(version, uv) for version in WANTED if version != own}
    newest = max((version for version in found if found[version]), key=WANTED.index, default="")
    for version, python in found.items():
        if python is None:
            report.append(f"python {version}: skipped, not on this machine")
            continue
        if time.time() > float(os.environ.get("TESTS_UNTIL", "inf")):
            report.append(f"python {version}: not begun in time")
            continue
        print(f"core's tests on Python {version} ({python})", flush=True)
        start = time.monotonic()
        problem = _test(version, python, uv, all_of_them=version == newest)
        failures += problem is not None
        report.append(f"python {version}: {problem or 'passed'}, {time.monotonic() - start:.0f} s")
    print(*report, f"{time.monotonic() - began:.0f} s in all", sep="\n", flush=True)
    return min(failures, 1)


def _find(version: str, uv: str) -> str | None:
    """Return a Python of that version that really starts."""
    found = [shutil.which(f"python{version}")]
    # pyenv's shims stand on PATH beside its versions, wherever its home is.
    shims = [Path(place) for place in os.get_exec_path() if Path(place).name == "shims"]
    for root in {Path.home() / ".pyenv", *(place.parent for place in shims)}:
        found += sorted(map(str, root.glob(f"versions/{version}.*/bin/python{version}")))
    found += _known_to(uv, version)
    return next((python for python in found if python and _starts(python, version)), None)


def _known_to(uv: str, version: str) -> list[str]:
    listing = subprocess.run(
        [uv, "python", "list", "--only-installed", version],
        capture_output=True,
        text=True,
        check=False,
    )
    return re.findall(r"^\S+\s+(\S+)", listing.stdout, flags=re.MULTILINE)


def _starts(python: str, version: str) -> bool:
    code = "import sys, sqlite3; print('%d.%d' % sys.version_info[:2])"
    try:
        said = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, timeout=300, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.returncode == 0 and said.stdout.strip() == version


def _test(version: str, python: str, uv: str, *, all_of_them: bool) -> str | None:
    """Run the tests; return what went wrong."""
    place = ROOT / ".cache" / f"py{version}"
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    env["UV_PROJECT_ENVIRONMENT"] = str(place)
    sync = [uv, "sync", "--quiet", "--locked", "--python", python, "--package", "flowstone"]
    core = ROOT / "core/tests"
    chosen = [core] if all_of_them else [each for name in BETWEEN for each in core.glob(name)]
    tests = [
        *(str(place / "bin" / "python"), "-m", "pytest", "-q", *map(str, chosen)),
        *("-n", "2", "-p", "no:cacheprovider", "-r", "fE"),
        *(f"--ignore-glob={glob}" for glob in LEFT_OUT),
    ]
    for what, command in (
        ("no environment", [*sync, "--all-extras", "--group", "dev"]),
        ("tests failed", tests),
    ):
        if subprocess.run(command, cwd=ROOT, env=env, check=False).returncode:
            return f"FAILED, {what}"
    return None


if __name__ == "__main__":
    sys.exit(main())
