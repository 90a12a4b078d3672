from __future__ import annotations

from collections.abc import (
    # % if interface == "job"
    Callable,
    # % endif
    # % if interface == "database"
    Iterator,
    # % endif
    Mapping,
    Sequence,
)
from secrets import token_hex

import pytest

from flowstone.blocks import Block, Credentials
from flowstone_template import (
    TemplateCredentials,
    # % if interface == "database"
    TemplateDatabase,
    # % endif
    # % if interface == "job"
    TemplateJob,
    # % endif
    # % if interface == "notifier"
    TemplateNotifier,
    # % endif
    # % if interface == "secrets"
    TemplateSecrets,
    # % endif
    # % if interface == "store"
    TemplateStore,
    # % endif
)
from flowstone_testing import (
    BlockSuite,
    CredentialsSuite,
    # % if interface == "database"
    DatabaseSuite,
    # % endif
    Example,
    # % if interface == "job"
    JobSuite,
    # % endif
    # % if interface == "notifier"
    NotifierSuite,
    # % endif
    # % if interface == "store"
    ObjectStoreSuite,
    # % endif
    PluginSuite,
    # % if interface == "secrets"
    SecretsSuite,
    # % endif
    TaskSuite,
    reserve_closed_port,
)

# % if interface == "notifier"
from .channels import PATIENCE, Channels

# % endif
from .server import Service


def nowhere() -> str:
    """Return the address of a closed port."""
    return f"http://127.0.0.1:{reserve_closed_port()}"


class TestTemplateCredentialsBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [
            TemplateCredentials(),
            TemplateCredentials(url="https://example.org", token=token_hex(), timeout_seconds=1),
        ]


class TestTemplateLogin(CredentialsSuite):
    @pytest.fixture
    def good(self, login: TemplateCredentials) -> Credentials:
        return login

    @pytest.fixture
    def refused(self, service: Service) -> Credentials:
        return TemplateCredentials(url=service.url, token=token_hex())

    @pytest.fixture
    def unreachable(self) -> Credentials:
        return TemplateCredentials(url=nowhere(), token=token_hex())


# % if interface == "database"
class TestTemplateDatabaseBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        login = TemplateCredentials(url="https://example.org", token=token_hex())
        return [
            TemplateDatabase(database="shop"),
            TemplateDatabase(database="shop", credentials=login),
        ]


class TestTemplateDatabase(DatabaseSuite):
    keeps = frozenset[type]()
    count = 200_000
    most_bytes = 12 * 1024 * 1024

    @pytest.fixture
    def database(self, login: TemplateCredentials) -> Iterator[TemplateDatabase]:
        with TemplateDatabase(database=token_hex(), credentials=login) as database:
            yield database


# % endif
# % if interface == "job"
class TestTemplateJobBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        login = TemplateCredentials(url="https://example.org", token=token_hex())
        return [
            TemplateJob(program="count"),
            TemplateJob(program="count", credentials=login),
        ]


class TestTemplateJob(JobSuite):
    wanted = "one\ntwo"
    lines = ("one", "two")

    @pytest.fixture
    def good(self, login: TemplateCredentials) -> TemplateJob:
        return TemplateJob(program="count", credentials=login)

    @pytest.fixture
    def bad(self, login: TemplateCredentials) -> TemplateJob:
        return TemplateJob(program="fail", credentials=login)

    @pytest.fixture
    def long(self, login: TemplateCredentials) -> TemplateJob:
        return TemplateJob(program="wait", credentials=login)

    @pytest.fixture
    def alive(self, service: Service) -> Callable[[str], bool]:
        return service.programs.is_running


# % endif
# % if interface == "notifier"
class TestTemplateNotifierBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        login = TemplateCredentials(url="https://example.org", token=token_hex())
        return [
            TemplateNotifier(channel="alerts"),
            TemplateNotifier(channel="alerts", credentials=login, timeout_seconds=1),
        ]


class TestTemplateNotifier(NotifierSuite):
    patience = PATIENCE

    @pytest.fixture
    def desk(self, service: Service) -> Channels:
        return service.channels

    @pytest.fixture
    def notifier(self, login: TemplateCredentials) -> TemplateNotifier:
        return TemplateNotifier(channel="alerts", credentials=login)

    @pytest.fixture
    def absent(self) -> TemplateNotifier:
        login = TemplateCredentials(url=nowhere(), token=token_hex())
        return TemplateNotifier(channel="alerts", credentials=login)


# % endif
# % if interface == "secrets"
class TestTemplateSecretsBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        login = TemplateCredentials(url="https://example.org", token=token_hex())
        return [TemplateSecrets(), TemplateSecrets(credentials=login)]


class TestTemplateSecrets(SecretsSuite):
    name = "template-secrets"

    @pytest.fixture
    def provider(self, login: TemplateCredentials) -> TemplateSecrets:
        return TemplateSecrets(credentials=login)

    @pytest.fixture
    def refused(self, service: Service) -> TemplateSecrets:
        wrong = TemplateCredentials(url=service.url, token=token_hex())
        return TemplateSecrets(credentials=wrong)


# % endif
# % if interface == "store"
class TestTemplateStoreBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        login = TemplateCredentials(url="https://example.org", token=token_hex())
        return [
            TemplateStore(space="raw"),
            TemplateStore(space="raw", credentials=login, folder="a/b"),
        ]


class TestTemplateStore(ObjectStoreSuite):
    count = 600

    @pytest.fixture
    def store(self, login: TemplateCredentials) -> TemplateStore:
        return TemplateStore(space="raw", credentials=login, folder="in/side")

    @pytest.fixture
    def outside(self, login: TemplateCredentials) -> TemplateStore:
        return TemplateStore(space="raw", credentials=login)


# % endif
class TestTemplatePlugin(PluginSuite):
    plugin = "template"
    package = "flowstone_template"
    sdks = ("httpx",)


class TestTemplateTasks(TaskSuite):
    plugin = "template"

    # % if interface == "database"
    @pytest.fixture
    def shop(self, login: TemplateCredentials) -> Iterator[TemplateDatabase]:
        with TemplateDatabase(database=token_hex(), credentials=login) as shop:
            shop.insert("orders", [{"id": 1, "item": "tea"}], create=True)
            yield shop

    # % endif
    @pytest.fixture
    def examples(
        self,
        login: TemplateCredentials,
        # % if interface == "database"
        shop: TemplateDatabase,
        # % endif
    ) -> Mapping[str, Example]:
        found: dict[str, Example] = {"template_whoami": lambda: {"credentials": login}}
        # % if interface == "database"
        found["template_query"] = lambda: {"query": "SELECT 1", "database": shop}
        # % endif
        # % if interface == "job"
        job = TemplateJob(program="count", credentials=login)
        found["template_run"] = lambda: {"job": job}
        # % endif
        # % if interface == "notifier"
        alerts = TemplateNotifier(channel="alerts", credentials=login)
        found["template_send"] = lambda: {"body": "a note", "notifier": alerts}
        # % endif
        # % if interface == "store"
        store = TemplateStore(space="raw", credentials=login, folder="in/side")
        found["template_list_objects"] = lambda: {"store": store, "folder": "a"}
        found["template_upload"] = lambda: {"content": b"1", "path": token_hex(), "store": store}
        # % endif
        return found
