"""Small objects by obstore: used where it can be, and the SDK does the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from tests.services.azure import KEY, Azurite
from tests.services.recorder import Recorded, Recorder, serve_recorder
from tests.services.web import Handler, Response, serve_web

from flowstone.errors import CredentialsError, ObjectExists, ObjectMissing, PathInvalid
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials
from flowstone_azure.blob_storage_fast import BlobFastClient, open_fast

from .logins import Place, account_sas, by_identity

BY_OBSTORE = "flowstone-azure obstore"
URL = "https://mydata.blob.core.windows.net"


class Seen:
    """A container behind a recorder, and who has asked for something."""

    def __init__(self, recorder: Recorder, container: AzureBlobStorageContainer) -> None:
        self.recorder, self.container = recorder, container

    def who(self) -> list[str]:
        """Return who has sent requests since the last call, in turn."""
        requests = [each for each in self.recorder.take() if "comp" not in each.query]
        return [name_sender(each.headers["user-agent"]) for each in requests]


def name_sender(agent: str) -> str:
    return "obstore" if BY_OBSTORE in agent else "sdk"


@pytest.fixture
def recorder(emulated: Azurite) -> Iterator[Recorder]:
    with serve_recorder(emulated.url) as found:
        yield found


@pytest.fixture
def seen(recorder: Recorder, container_name: str) -> Seen:
    login = AzureBlobStorageCredentials(account_url=recorder.url, account_key=KEY)
    return Seen(
        recorder, AzureBlobStorageContainer(container_name=container_name, credentials=login)
    )


def test_small_objects_go_by_obstore(seen: Seen, tmp_path: Path) -> None:
    name = "a b/ä+%.txt"
    seen.container.write_path(name, b"1", metadata={"team": "data"})
    assert seen.container.read_path(name) == b"1"
    done = seen.container.download_object_to_path(name, tmp_path / "a")
    assert done.read_bytes() == b"1"
    assert seen.who() == ["obstore"] * 3
    info = seen.container.object_info(name)
    assert (info.content_type, info.metadata) == ("text/plain", {"team": "data"})


def test_folders_go_by_obstore(seen: Seen, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number in range(50):
        (tmp_path / "a" / f"{number}.bin").write_bytes(bytes([number]) * 1000)
    seen.container.put_directory(str(tmp_path / "a"), "here")
    assert set(seen.who()) == {"obstore"}
    seen.container.get_directory("here", str(tmp_path / "b"))
    for number in range(50):
        assert (tmp_path / "b" / f"{number}.bin").read_bytes() == bytes([number]) * 1000


def test_it_can_be_turned_off(seen: Seen) -> None:
    store = seen.container.model_copy(update={"use_obstore": False})
    store.write_path("a", b"1")
    assert store.read_path("a") == b"1"
    assert seen.who() == ["sdk"] * 2
    assert store.make_provider().parallel < seen.container.make_provider().parallel


def test_larger_objects_go_by_the_sdk(seen: Seen) -> None:
    content = bytes(600_000)
    seen.container.write_path("a", content)
    assert seen.who() == ["sdk"]
    assert [seen.container.read_path("a") for _ in range(5)] == [content] * 5
    assert seen.who() == ["obstore", "sdk"] * 3 + ["sdk"] * 2  # it has learned


def test_conditions_are_left_to_the_sdk(seen: Seen) -> None:
    seen.container.write_path("a", b"1", if_none_match="*")
    with pytest.raises(ObjectExists):
        seen.container.write_path("a", b"2", if_none_match="*")
    assert set(seen.who()) == {"sdk"}


@pytest.mark.parametrize("fields", [{"storage_class": "Cool"}, {"tags": {"team": "data"}}])
def test_fields_that_it_lacks_are_left_to_the_sdk(seen: Seen, fields: dict[str, object]) -> None:
    seen.container.model_copy(update=fields).write_path("a", b"1")
    assert seen.who() == ["sdk"]
    assert seen.container.read_path("a") == b"1"
    assert seen.who() == ["obstore"]


def test_what_is_missing_is_said_by_the_sdk(seen: Seen) -> None:
    with pytest.raises(ObjectMissing) as caught:
        seen.container.read_path("a")
    assert "obstore" not in str(caught.value)
    assert seen.who() == ["obstore", "sdk"]


def test_a_folder_is_no_object(seen: Seen) -> None:
    client = seen.container.credentials.get_blob_client(seen.container.container_name, "a")
    client.upload_blob(b"", metadata={"hdi_isfolder": "true"})
    with pytest.raises(ObjectMissing, match="it is a folder"):
        seen.container.read_path("a")


@pytest.mark.parametrize("name", ["a\\b", "a."])
def test_names_that_azure_would_change_are_refused_as_ever(seen: Seen, name: str) -> None:
    for work in (
        lambda: seen.container.write_path(name, b"1"),
        lambda: seen.container.read_path(name),
    ):
        with pytest.raises(PathInvalid):
            work()
    assert seen.who() == []


def test_names_that_it_would_change_are_left_to_the_sdk(seen: Seen) -> None:
    client = seen.container.credentials.get_container_client(seen.container.container_name)
    for name in ("a//b", "a/"):
        client.upload_blob(name, b"1")
    seen.who()
    found = {seen.container.read_path(each.path) for each in seen.container.list_objects()}
    assert found == {b"1"}
    assert "obstore" not in seen.who()


def test_the_sdk_does_what_fails_and_soon_all(seen: Seen) -> None:
    seen.container.write_path("a", b"1")
    seen.who()

    def refuse(request: Recorded) -> Response | None:
        is_fast = BY_OBSTORE in request.headers["user-agent"]
        return (503, [], b"") if is_fast else None

    seen.recorder.refuse = refuse
    assert [seen.container.read_path("a") for _ in range(5)] == [b"1"] * 5
    assert seen.who() == ["obstore", "sdk"] * 3 + ["sdk"] * 2
    for _ in range(5):
        seen.container.write_path("a", b"2")
    assert seen.who() == ["obstore", "sdk"] * 3 + ["sdk"] * 2


class Cut(Handler):
    """Ends each response to obstore in the middle."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        sender = name_sender(self.headers["User-Agent"])
        Cut.asked.append(sender)
        is_part = "x-ms-range" in self.headers
        self.send_response(206 if is_part else 200)
        for name, value in {
            "Content-Length": "10",
            **({"Content-Range": "bytes 0-9/10"} if is_part else {}),
            "Content-Type": "text/plain",
            "ETag": '"0x8DD"',
            "Last-Modified": "Wed, 12 Oct 2022 17:50:00 GMT",
            "x-ms-blob-type": "BlockBlob",
            "x-ms-request-id": "1",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"01234" if sender == "obstore" else b"0123456789")
        self.close_connection = True


def test_cut_content_is_read_by_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cut, "asked", [])
    with serve_web(Cut) as server:
        login = AzureBlobStorageCredentials(account_url=f"{server.url}/mydata", account_key=KEY)
        store = AzureBlobStorageContainer(container_name="raw", credentials=login)
        assert store.read_path("a") == b"0123456789"
    assert Cut.asked == ["obstore", "sdk"]


# -- logins ------------------------------------------------------------------------------------


def open_here(store: AzureBlobStorageContainer) -> BlobFastClient | None:
    fast = open_fast(store.credentials.find_login(), store.container_name)
    if fast is None:
        return None
    assert isinstance(fast.client, BlobFastClient)
    return fast.client


def at(url: str = URL, **fields: object) -> AzureBlobStorageContainer:
    login = AzureBlobStorageCredentials.model_validate({"account_url": url, **fields})
    return AzureBlobStorageContainer(container_name="raw", credentials=login)


@pytest.fixture
def _no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_no_authorities")
def test_the_address_is_that_of_the_sdk() -> None:
    for url in (URL, "http://127.0.0.1:10000/mydata"):
        client = open_here(at(url, account_key=KEY))
        assert client is not None
        assert (client.store.config["endpoint"], client.store.config["account_name"]) == (
            url,
            "mydata",
        )


@pytest.mark.usefixtures("_no_authorities")
def test_authorities_are_left_to_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_here(at(account_key=KEY)) is not None
    for verify in ("/authorities.pem", False):
        options = {"connection_verify": verify}
        assert open_here(at(account_key=KEY, client_options=options)) is None
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/authorities.pem")
    assert open_here(at(account_key=KEY)) is None
    assert open_here(at("http://127.0.0.1:10000/mydata", account_key=KEY)) is not None


def test_an_account_without_a_name_is_left_to_the_sdk() -> None:
    assert open_here(at("https://blobs.example.com", sas_token="sv=1&sig=2")) is None


def test_variables_of_its_own_change_nothing(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://nowhere.invalid")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "another")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "YW5vdGhlcg==")
    seen.container.write_path("a", b"1")
    assert seen.who() == ["obstore"]


def test_a_variable_that_would_encrypt_is_left_to_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    store = at("http://127.0.0.1:10000/mydata", account_key=KEY)
    assert open_here(store) is not None
    monkeypatch.setenv("AZURE_STORAGE_ENCRYPTION_KEY", KEY)
    assert open_here(store) is None


def test_a_sas_is_sent(seen: Seen) -> None:
    fields = account_sas(seen.recorder.url, seen.container.container_name)
    login = AzureBlobStorageCredentials(**fields)
    store = seen.container.model_copy(update={"credentials": login})
    store.write_path("a", b"1")
    assert store.read_path("a") == b"1"
    assert seen.who() == ["obstore"] * 2


def test_tokens_are_those_of_the_sdk(place: Place) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        place.environment.delenv(name, raising=False)
    store = at(client_id=by_identity(place)["client_id"])
    client = open_here(store)
    assert client is not None
    provide = client.store.credential_provider
    assert provide is not None
    given = provide()
    assert isinstance(given, dict)
    assert store.credentials.find_login().get_token() in given.values()


def test_no_token_is_sent_in_clear(place: Place) -> None:
    store = at("http://127.0.0.1:10000/mydata", client_id=by_identity(place)["client_id"])
    assert open_here(store) is None
    with pytest.raises(CredentialsError, match="only supported with HTTPS"):
        store.read_path("a")
    assert place.entra.given == []


FORK = """
import os, signal, sys
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials

login = AzureBlobStorageCredentials(account_url=sys.argv[1], account_key=sys.argv[2])
container = AzureBlobStorageContainer(container_name=sys.argv[3], credentials=login)
container.write_path("forked", b"1")
child = os.fork()
if not child:
    signal.alarm(60)
    os._exit(0 if container.read_path("forked") == b"1" else 1)
sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_the_child_of_a_fork_goes_by_the_sdk(seen: Seen) -> None:
    url, name = seen.recorder.url, seen.container.container_name
    subprocess.run([sys.executable, "-c", FORK, url, KEY, name], check=True)
    assert seen.who() == ["obstore", "sdk"]
