"""Code of deployments: its sources, its versions, and its Python environments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.code.environments import find_python, make_environment
    from flowstone.code.git import GitLogin, check_git_url, fetch_repository

__all__ = [
    "GitLogin",
    "check_git_url",
    "fetch_repository",
    "find_python",
    "make_environment",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".environments": ("find_python", "make_environment"),
            ".git": ("GitLogin", "check_git_url", "fetch_repository"),
        },
    )
