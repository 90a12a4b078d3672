"""Dask's performance report of a flow run."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from distributed import performance_report

from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from distributed import Client

logger = logging.getLogger("flowstone.dask")


@contextmanager
def write_report(client: Client, path: str | Path) -> Iterator[None]:
    """Write Dask's report of the block to a file; log a warning if that fails at its end.

    Raises:
        ConfigurationError: the report can't be written.
    """
    _check(client, path)
    with client.as_current():
        report = performance_report(filename=str(path))
        report.__enter__()
        try:
            yield
        finally:
            with _Warning(path):  # the flow run has its own end
                report.__exit__(None, None, None)


class _Warning:
    """Logs an error of the block as a warning."""

    def __init__(self, path: str | Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        told = "Dask's performance report was not written to %s: %s"
        logger.warning(told, self._path, error)
        return True


def _check(client: Client, path: str | Path) -> None:
    is_local = "://" not in str(path)  # Dask writes to a URL by fsspec
    if is_local and not Path(path).absolute().parent.is_dir():
        problem = f"the folder of performance_report_path={str(path)!r} does not exist"
        raise ConfigurationError("DaskTaskRunner", problem, "Create the folder.")
    if not client.run_on_scheduler(_has_bokeh):
        problem = "performance_report_path needs bokeh where the scheduler runs"
        raise ConfigurationError("DaskTaskRunner", problem, "Install flowstone-dask[report] there.")


def _has_bokeh() -> bool:
    return find_spec("bokeh") is not None
