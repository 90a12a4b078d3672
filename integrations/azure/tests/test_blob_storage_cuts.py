"""Connections to Azure that end anywhere: an error or the right value, and nothing by half."""

from __future__ import annotations

import random
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from tests.services.azure import KEY
from tests.services.proxy import How, Proxy

from flowstone.errors import ObjectMissing, StorageError
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials

if TYPE_CHECKING:
    from tests.services.azure import Azurite

Container = AzureBlobStorageContainer
OLD, NEW = b"old content" * 1000, b"the new content" * 2000
LARGE = b"0123456789abcdef" * 600_000
FAILED = object()

# What is looked for is a hang.
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=[True, False], ids=["obstore", "sdk"])
def container(
    container: AzureBlobStorageContainer, request: pytest.FixtureRequest
) -> AzureBlobStorageContainer:
    """The container, with obstore and without."""
    return container.model_copy(update={"use_obstore": request.param})


def behind(url: str, store: Container) -> Container:
    """Return the same container, reached by another address, with little patience."""
    patience = {"retry_total": 0, "read_timeout": 5, "connection_timeout": 5}
    login = AzureBlobStorageCredentials(account_url=url, account_key=KEY, client_options=patience)
    return store.model_copy(update={"credentials": login})


def attempt(work: Callable[[], object]) -> object:
    try:
        return work()
    except StorageError:
        return FAILED


def read_any(store: Container, path: str) -> bytes | None:
    try:
        return store.read_path(path)
    except ObjectMissing:
        return None


def write(cut: Container, direct: Container) -> object:
    done = attempt(lambda: cut.write_path("a", NEW))
    assert direct.read_path("a") in ([OLD, NEW] if done is FAILED else [NEW])
    return done


def write_in_blocks(cut: Container, direct: Container) -> object:
    done = attempt(lambda: cut.write_path("a", LARGE))
    assert direct.read_path("a") in ([OLD, LARGE] if done is FAILED else [LARGE])
    return done


def read(cut: Container, direct: Container) -> object:
    found = attempt(lambda: cut.read_path("a"))
    assert found in (FAILED, OLD)
    return found


def read_in_ranges(cut: Container, direct: Container) -> object:
    target = BytesIO()
    done = attempt(lambda: cut.download_object_to_file_object("large", target))
    assert done is FAILED or target.getvalue() == LARGE
    return done


def look(cut: Container, direct: Container) -> object:
    found = attempt(lambda: cut.object_info("a"))
    assert found in (FAILED, direct.object_info("a"))
    return found


def list_all(cut: Container, direct: Container) -> object:
    found = attempt(lambda: list(cut.list_objects()))
    assert found in (FAILED, list(direct.list_objects()))
    return found


def move(cut: Container, direct: Container) -> object:
    done = attempt(lambda: cut.move_object("a", "moved"))
    found = [read_any(direct, path) for path in ("a", "moved")]
    assert found in ([[OLD, None], [None, OLD], [OLD, OLD]] if done is FAILED else [[None, OLD]])
    return done


def delete_many(cut: Container, direct: Container) -> object:
    for number in range(10):
        direct.write_path(f"many/{number}", OLD)
    done = attempt(lambda: cut.delete_folder("many"))
    assert done is FAILED or not list(direct.list_objects("many"))
    return done


def prepare(store: Container) -> None:
    store.delete_object("moved")
    store.write_path("a", OLD)
    store.write_path("b", OLD)


@pytest.mark.parametrize("how", ["end", pytest.param("reset", marks=pytest.mark.check)])
@pytest.mark.parametrize(
    "work", [write, write_in_blocks, read, read_in_ranges, look, list_all, move, delete_many]
)
def test_an_end_of_the_connection_is_an_error_or_is_retried(
    container: Container,
    emulated: Azurite,
    work: Callable[[Container, Container], object],
    how: How,
) -> None:
    if work is read_in_ranges:
        container.write_path("large", LARGE)
    prepare(container)
    with Proxy(emulated.url, keeps=False) as whole:
        assert work(behind(whole.url, container), container) is not FAILED
    failures, chance = 0, random.Random(11)
    for way, passed in zip(
        ("requests", "answers"), [each.passed for each in whole.ways], strict=True
    ):
        for place in (1, 40, 300, chance.randrange(1, passed), passed - 1):
            prepare(container)
            # A new address makes a new client, which has no connection yet.
            cuts: dict[str, Any] = {way: (place,), "always": True, "how": how}
            with Proxy(emulated.url, keeps=False, **cuts) as between:
                failures += work(behind(between.url, container), container) is FAILED
    assert failures
