from __future__ import annotations

import pytest

from flowstone import flow, unmapped
from flowstone_template import (
    TemplateCredentials,
    TemplateStore,
    template_list_objects,
    template_upload,
)

pytestmark = pytest.mark.usefixtures("flowstone_services")


def test_a_flow_uploads_and_lists(login: TemplateCredentials) -> None:
    store = TemplateStore(space="raw", credentials=login, folder="day")

    @flow
    def publish() -> list[str]:
        names = ["a.txt", "b.txt"]
        template_upload.map([b"a", b"b"], names, unmapped(store)).result()
        return [info.path for info in template_list_objects(store)]

    assert publish() == ["a.txt", "b.txt"]
