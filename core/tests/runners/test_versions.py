from __future__ import annotations

import platform

from flowstone import __version__
from flowstone.task_runners.remote_pool import make_version_error
from flowstone.task_runners.shared_site import describe_versions


def test_a_process_tells_its_versions() -> None:
    python = ".".join(platform.python_version_tuple()[:2])
    assert describe_versions() == {"Python": python, "flowstone": __version__}


def test_what_differs_is_named() -> None:
    ours = {"Python": "3.11", "flowstone": "0.1.0"}
    error = make_version_error(ours, {"Python": "3.12", "flowstone": "0.1.0"})
    assert "Python 3.12 there and 3.11 here" in str(error)
    assert "flowstone 0.1.0" not in str(error)
