from __future__ import annotations

import httpx
import pytest

from flowstone.errors import (
    # % if interface == "store"
    BucketMissing,
    # % endif
    CredentialsError,
    # % if interface == "database"
    DatabaseUnreachable,
    # % endif
    # % if interface == "notifier"
    NotificationFailed,
    # % endif
    # % if interface == "store"
    ObjectMissing,
    # % endif
    StorageError,
    Unreachable,
)
from flowstone_template import TemplateCredentials

# % if interface == "database"
from flowstone_template.database import TemplateDatabase

# % endif
from flowstone_template.errors import (
    # % if interface == "database"
    STATEMENTS,
    # % endif
    TABLE,
    # % if interface == "database"
    make_database_error,
    # % endif
    # % if interface == "notifier"
    raise_notifier_errors,
    # % endif
    translate_errors,
)

# % if interface == "store"
from flowstone_template.store import TemplateStore


# % endif
@pytest.mark.parametrize("code", TABLE)
def test_every_code_of_the_service_is_ours(code: str) -> None:
    request = httpx.Request("GET", "https://example.org")
    response = httpx.Response(409, headers={"x-problem": code}, request=request)
    with pytest.raises(TABLE[code][0], match=code), translate_errors("raw/a"):
        response.raise_for_status()


def test_a_code_that_is_not_known_is_still_ours() -> None:
    response = httpx.Response(500, request=httpx.Request("GET", "https://example.org"))
    with pytest.raises(StorageError, match="500 Internal Server Error"), translate_errors("raw/a"):
        response.raise_for_status()


def test_without_an_address_it_says_where_to_put_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPLATE_URL", raising=False)
    with pytest.raises(CredentialsError, match="TEMPLATE_URL"):
        TemplateCredentials().client()


def test_a_wrong_token_is_told_without_it(login: TemplateCredentials) -> None:
    wrong = TemplateCredentials(url=login.url, token="wrong-wrong-wrong")
    with pytest.raises(CredentialsError, match="401") as caught:
        wrong.whoami()
    assert "wrong-wrong-wrong" not in str(caught.value)


# % if interface == "database"
@pytest.mark.parametrize("code", STATEMENTS)
def test_every_code_of_a_statement_is_ours(code: str) -> None:
    request = httpx.Request("POST", "https://example.org")
    response = httpx.Response(400, headers={"x-problem": code}, text="no", request=request)
    error = httpx.HTTPStatusError("", request=request, response=response)
    assert type(make_database_error("shop", error, "SELECT 1")) is STATEMENTS[code][0]
    assert make_database_error("shop", ValueError(), "SELECT 1") is None


def test_a_database_that_is_down_is_unreachable() -> None:
    login = TemplateCredentials(url="http://127.0.0.1:9", timeout_seconds=2)
    down = TemplateDatabase(database="shop", credentials=login)
    with down, pytest.raises(DatabaseUnreachable, match="url"):
        down.fetch_all("SELECT 1")


# % endif
# % if interface == "notifier"
@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_note_that_is_refused_says_what_to_do(status: int) -> None:
    response = httpx.Response(status, request=httpx.Request("POST", "https://example.org"))
    with (
        pytest.raises(NotificationFailed, match=str(status)) as caught,
        raise_notifier_errors("alerts"),
    ):
        response.raise_for_status()
    assert caught.value.status == status


# % endif
# % if interface == "store"
def test_what_is_missing_is_named(login: TemplateCredentials) -> None:
    with pytest.raises(ObjectMissing, match=r"raw/nope\.txt"):
        TemplateStore(space="raw", credentials=login).read_path("nope.txt")
    with pytest.raises(BucketMissing, match="/other"):
        list(TemplateStore(space="other", credentials=login).list_objects())


# % endif
def test_a_service_that_is_down_is_unreachable() -> None:
    down = TemplateCredentials(url="http://127.0.0.1:9", timeout_seconds=2)
    with pytest.raises(Unreachable, match="url"):
        down.whoami()
