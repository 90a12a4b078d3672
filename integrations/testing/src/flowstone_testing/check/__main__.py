"""The first stage of a check: ``python -m flowstone_testing.check PACKAGE FOLDER``.

It writes the inventory of the package into the folder, as facts, and a test module for pytest.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flowstone_testing.check.facts import FactLog
from flowstone_testing.check.inventory import take_stock

MODULE = """
from flowstone_testing.check.outside import make_classes

globals().update(make_classes({package!r}))
"""


def main() -> None:
    package, folder = sys.argv[1], Path(sys.argv[2])
    (folder / "test_outside.py").write_text(MODULE.format(package=package), "utf-8")
    # Its own settings, so that those of a parent directory don't apply.
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n", "utf-8")
    take_stock(package, FactLog(folder / "stock"))


if __name__ == "__main__":
    main()
