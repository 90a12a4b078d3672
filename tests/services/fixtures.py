"""The services as fixtures of a session; nothing is started that no test asks for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from tests.services import (
    azure,
    bigquery,
    drongo,
    gcs,
    mariadb,
    mlflow,
    pgbouncer,
    postgres,
    ray,
    s3,
    snowflake,
)
from tests.services.servers import Absent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    Opening = Callable[[Path | None], AbstractContextManager[Any]]

# bqemulator's own plugin wants packages that bqemulator does not bring, and drongo's is not used;
# pyproject.toml keeps them out, but not where tests start pytest in another directory, as
# `plugin check` does.
os.environ.setdefault("PYTEST_ADDOPTS", "-p no:bqemulator -p no:drongo")

#: What the reason of a skip begins with.
ABSENT = "absent service: "
#: By the name of the fixture. All processes of a run share what takes longer than half a second.
SHARED: dict[str, Opening] = {
    "moto": s3.moto,
    "moto_with_docker": s3.moto_with_docker,
    "postgres": postgres.postgres,
    "azurite": azure.azurite,
    "azurite_loose": azure.azurite_loose,
    "mariadb": mariadb.mariadb,
    "mlflow_server": mlflow.mlflow,
    "pgbouncer": pgbouncer.pgbouncer,
    "snowflake": snowflake.snowflake,
    "bigquery": bigquery.bigquery,
    "drongo": drongo.drongo,
    "ray_cluster": ray.ray_cluster,
}
OWN: dict[str, Opening] = {
    "fast_s3": s3.fast_s3,
    "gcs": gcs.gcs,
    # Their certificates are of this process.
    "azurite_tls": azure.azurite_tls,
    "mariadb_tls": mariadb.mariadb_tls,
    "postgres_tls": pgbouncer.postgres_tls,
}


def offer(name: str, opening: Opening, *, shared: bool) -> Any:
    @pytest.fixture(scope="session", name=name)
    def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
        base = tmp_path_factory.getbasetemp()
        run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
        opened = opening(run if shared else None)
        try:
            found = opened.__enter__()
        except Absent as absent:
            refuse(absent)
        else:
            yield found
            opened.__exit__(None, None, None)

    return service


def refuse(absent: Absent) -> NoReturn:
    """Skip the tests of what is not here; CI has all, so there it is an error."""
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"{ABSENT}{absent}", pytrace=False)
    pytest.skip(f"{ABSENT}{absent}")


for fixtures, are_shared in ((SHARED, True), (OWN, False)):
    for fixture, how in fixtures.items():
        globals()[fixture] = offer(fixture, how, shared=are_shared)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts a server is no unit test, and counts as slow."""
    for item in items:
        if not {*SHARED, *OWN}.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name in one line what was absent."""
    reasons = {
        str(report.longrepr[2]).partition(ABSENT)[2]
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple)
    }
    absent = sorted(reasons - {""})
    if absent:
        line = f"absent services, whose tests were skipped: {', '.join(absent)}"
        terminalreporter.write_line(line, yellow=True)
