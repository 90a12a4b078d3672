from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowstone_template import TemplateCredentials

from .server import Service, serving


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def service(running: Service) -> Service:
    running.clear()
    return running


@pytest.fixture
def login(service: Service) -> TemplateCredentials:
    return TemplateCredentials(url=service.url, token=service.token)
