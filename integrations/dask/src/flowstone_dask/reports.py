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

    from distributed import Client

logger = logging.getLogger("flowstone.dask")


@contextmanager
def write_report(client: Client, path: str | Path) -> Iterator[None]:
    """Write Dask's report of the block to a file; log a warning if that fails at its end.

    Raises:
        ConfigurationError: the report can't be written.
    """
    _check(client, Path(path))
    with client.as_current():
        report = performance_report(filename=str(path))
        report.__enter__()
        try:
            yield
        finally:
            try:
                report.__exit__(None, None, None)
            except (OSError, RuntimeError) as error:  # the flow run has its own end
                logger.warning("Dask's performance report was not written to %s: %s", path, error)


def _check(client: Client, path: Path) -> None:
    if not path.absolute().parent.is_dir():
        problem = f"the folder of performance_report_path={str(path)!r} does not exist"
        raise ConfigurationError("DaskTaskRunner", problem, "Create the folder.")
    if not client.run_on_scheduler(_has_bokeh):
        problem = "performance_report_path needs bokeh where the scheduler runs"
        raise ConfigurationError("DaskTaskRunner", problem, "Install flowstone-dask[report] there.")


def _has_bokeh() -> bool:
    return find_spec("bokeh") is not None
