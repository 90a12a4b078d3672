"""The current context of Great Expectations in this process.

Great Expectations has one current context per process, which decides whether results are sent to
its cloud. A validation never replaces the caller's context. If there is none, an empty stand-in is
set while validations run.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING

from great_expectations.data_context.data_context.abstract_data_context import AbstractDataContext
from great_expectations.data_context.data_context.context_factory import project_manager
from great_expectations.data_context.data_context.ephemeral_data_context import (
    EphemeralDataContext,
)
from great_expectations.data_context.data_context.file_data_context import FileDataContext
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
)
from great_expectations.exceptions.exceptions import DataContextError

from flowstone_great_expectations.errors import ValidationInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

_guard = Lock()
_running = RLock()


class _Stand:
    """The stand-in for a missing context, and the number of validations that use it."""

    context: AbstractDataContext | None = None
    users = 0


def find_current() -> AbstractDataContext | None:
    """Return the current context of the process; None if there is none."""
    try:
        return project_manager._project  # noqa: SLF001 - the only way in older versions
    except DataContextError:
        return None


def _find_stand() -> AbstractDataContext | None:
    """Return the stand-in; None if there is none."""
    if not _Stand.users:
        return None
    _Stand.context = _Stand.context or _make_empty()
    return _Stand.context


@contextmanager
def stand_in() -> Iterator[None]:
    """Ensure that there is a current context; remove a stand-in after its last use."""
    with _guard:
        _Stand.users += 1
        if find_current() is None:
            project_manager.set_project(_find_stand())
    try:
        yield
    finally:
        with _guard:
            _Stand.users -= 1
            if find_current() is _Stand.context:
                project_manager.set_project(_find_stand())


@contextmanager
def make_current(context: AbstractDataContext) -> Iterator[None]:
    """Make a context the current one, for one caller at a time; then restore the previous one."""
    with _running:
        with _guard:
            before = find_current()
            project_manager.set_project(context)
        try:
            yield
        finally:
            with _guard:
                is_own = before is not None and before is not _Stand.context
                project_manager.set_project(before if is_own else _find_stand())


def open_context(context: object) -> AbstractDataContext:
    """Return the caller's context: the object itself, or the one of a project folder.

    The current context does not change.

    Raises:
        ValidationInvalid: it is neither.
    """
    if isinstance(context, AbstractDataContext):
        return context
    if not isinstance(context, (str, Path)):
        problem = f"a {type(context).__name__} is not a context"
        remedy = "Pass what `great_expectations.get_context` returned, or a project folder."
        raise ValidationInvalid("context", problem, remedy)
    folder = Path(context).expanduser()
    places = (folder, folder / "gx", folder / "great_expectations")
    root = next((each for each in places if (each / FileDataContext.GX_YML).is_file()), None)
    if root is None:
        problem = f"there is no Great Expectations project in {str(folder)!r}"
        remedy = "Pass a folder that has a great_expectations.yml, or has one in gx/."
        raise ValidationInvalid("context", problem, remedy)
    with _running:  # their YAML reader is shared by all threads
        return FileDataContext(context_root_dir=str(root))


def _make_empty() -> AbstractDataContext:
    defaults = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    config = DataContextConfig(store_backend_defaults=defaults, analytics_enabled=False)
    return EphemeralDataContext(project_config=config)
