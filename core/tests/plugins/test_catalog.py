from __future__ import annotations

import pytest

from flowstone import catalog
from flowstone.blocks import LocalDirectory, Secret
from flowstone.errors import UnknownName


def test_the_catalog_is_what_is_installed() -> None:
    core = catalog.plugins()[0]
    assert (core.name, core.distribution, core.error, core.traceback) == (
        "flowstone", "flowstone", None, "",
    )  # fmt: skip
    offers = {offer.name: offer for offer in catalog.offers("block")}
    assert list(offers) == sorted(offers)
    assert offers["secret"].plugin is core
    assert catalog.load("block", "secret") is Secret
    assert catalog.load("block", "local-directory") is LocalDirectory
    with pytest.raises(UnknownName, match="a task named 'secret'"):
        catalog.load("task", "secret")
