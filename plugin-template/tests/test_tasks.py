from __future__ import annotations

import pytest

from flowstone import flow
from flowstone_template import (
    TemplateCredentials,
    # % if interface == "database"
    TemplateDatabase,
    # % endif
    # % if interface == "notifier"
    TemplateNotifier,
    # % endif
    # % if interface == "store"
    TemplateStore,
    template_list_objects,
    # % endif
    # % if interface == "database"
    template_query,
    # % endif
    # % if interface == "notifier"
    template_send,
    # % endif
    # % if interface == "store"
    template_upload,
    # % endif
    template_whoami,
)

# % if interface == "notifier"
from .server import Service

# % endif
pytestmark = pytest.mark.usefixtures("flowstone_services")


# % if interface == "database"
def test_a_flow_queries(login: TemplateCredentials) -> None:
    orders = [{"id": 1, "item": "tea"}, {"id": 2, "item": "salt"}]

    @flow
    def look(shop: TemplateDatabase) -> list[tuple[object, ...]]:
        return template_query("SELECT item FROM orders WHERE id = :id", shop, {"id": 2})

    with TemplateDatabase(database="shop", credentials=login) as shop:
        shop.insert("orders", orders, create=True)
        assert look(shop) == [("salt",)]


# % endif
# % if interface == "notifier"
def test_a_flow_sends(login: TemplateCredentials, service: Service) -> None:
    alerts = TemplateNotifier(channel="alerts", credentials=login)

    @flow
    def tell() -> None:
        template_send("3 rows are missing", alerts, subject="Orders")

    tell()
    assert service.channels.received() == ["Orders\n3 rows are missing"]


# % endif
# % if interface == "store"
def test_a_flow_uploads_and_lists(login: TemplateCredentials) -> None:
    store = TemplateStore(space="raw", credentials=login, folder="day")

    @flow
    def publish() -> list[str]:
        names = ["a.txt", "b.txt"]
        template_upload.map([b"a", b"b"], names, [store, store]).result()
        return [info.path for info in template_list_objects(store)]

    assert publish() == ["a.txt", "b.txt"]


# % endif
def test_a_flow_asks_who_it_is(login: TemplateCredentials) -> None:
    @flow
    def who() -> list[str]:
        return template_whoami.map([login, login]).result()

    assert who() == ["tester", "tester"]
