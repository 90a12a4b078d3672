"""The names that users import, each imported and used as they use it; only imports are changed."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.services.mail import mail_desk
from tests.services.slack import serve_slack
from tests.services.vendors import open_vendors

from flowstone.blocks import notifications
from flowstone.blocks.abstract import JobBlock, SecretBlock
from flowstone.errors import BlockInvalid, ConfigurationError, DocumentInvalid, ObjectMissing
from flowstone_testing.desks import web_desk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.parity.conftest import Program, Script
    from tests.services.s3 import Moto

CANARY = f"canary-{secrets.token_hex(12)}"


# ---------------------------------------------------------------- notes and mail


def test_notifiers_by_their_old_module(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of the environment stands for the vendors' services."""
    with open_vendors() as vendors, web_desk(bytes.decode) as desk:
        for name, value in vendors.environment.items():
            monkeypatch.setenv(name, value)
        made = program(
            """
            from prefect.blocks.notifications import (
                CustomWebhookNotificationBlock, DiscordWebhook, MattermostWebhook,
                MicrosoftTeamsWebhook, NotificationBlock, OpsgenieWebhook, PagerDutyWebHook,
                SendgridEmail, TwilioSMS,
            )
            from prefect.blocks.fields import SecretDict

            workflow = "https://prod-1.westus.logic.azure.com:443/workflows/" + "0" * 32
            blocks = [
                DiscordWebhook(webhook_id="1" * 18, webhook_token="t" * 68, botname="flow"),
                MicrosoftTeamsWebhook(url=(
                    f"{workflow}/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Frun&sv=1.0"
                    "&sig=KODuebWbDGYFr0z0eu"
                )),
                OpsgenieWebhook(apikey="4b799eed-4f10-4a6a-9e7e-e4d4d0b1e1a5", target_team=["us"]),
                PagerDutyWebHook(integration_key="0" * 32, api_key="key", component="load"),
                SendgridEmail(api_key="SG.key-of-it", sender_email="us@example.org",
                              to_emails=["you@example.org"]),
                TwilioSMS(account_sid="AC" + "0" * 32, auth_token="0" * 32,
                          from_phone_number="+15551234567", to_phone_numbers=["+15557654321"]),
                MattermostWebhook(hostname="127.0.0.1", secure=False, token="t" * 26, port=port),
                CustomWebhookNotificationBlock(name="ours", url=url, json_data={"text": "{{body}}"},
                                               headers=SecretDict({"X-Key": "a-key"})),
            ]
            for block in blocks:
                assert isinstance(block, NotificationBlock)
                block.notify("12 rows are missing", subject="Orders")
            """,
            port=int(desk.url.rpartition(":")[2]),
            url=f"{desk.url}/hook",
        )
        assert len(made.blocks) == 8
        assert (len(vendors.received()), len(desk.received())) == (6, 2)
        for note in (*vendors.received(), *desk.received()):
            assert "12 rows are missing" in note


def test_slack(program: Program) -> None:
    with serve_slack("xoxb-of-the-test") as slack:
        program(
            """
            from prefect import flow
            from prefect_slack import SlackCredentials, SlackWebhook
            from prefect_slack import send_chat_message, send_incoming_webhook_message

            @flow
            def tell():
                bot = SlackCredentials(token="xoxb-of-the-test", base_url=f"{url}/api")
                send_chat_message(slack_credentials=bot, channel="#alerts", text="by a bot")
                hook = SlackWebhook(url=f"{url}/services/T0/B0/" + "x" * 24)
                send_incoming_webhook_message(slack_webhook=hook, text="by a webhook")
                hook.notify("as a note")

            tell()
            """,
            url=slack.url,
        )
        assert [each["text"] for each in slack.messages] == [
            "by a bot",
            "by a webhook",
            "as a note",
        ]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while")
def test_mail(program: Program, tmp_path: Path) -> None:
    with mail_desk(tmp_path, "SSL", CANARY) as desk:
        program(
            """
            from prefect import flow
            from prefect_email import EmailServerCredentials, email_send_message

            @flow
            def tell():
                login = EmailServerCredentials(
                    username="me@example.org", password=password, smtp_server="127.0.0.1",
                    smtp_port=port, smtp_type="SSL", verify=False,
                )
                email_send_message.with_options(name="mail")(
                    email_server_credentials=login, subject="Orders", msg="<b>12 rows</b>",
                    msg_plain="12 rows", email_to="you@example.org",
                )

            tell()
            """,
            port=desk.port,
            password=CANARY,
        )
        ((recipients, mail),) = desk.mails
        assert (recipients, mail["Subject"]) == (["you@example.org"], "Orders")


# ---------------------------------------------------------------- file systems


def test_file_systems(program: Program) -> None:
    made = program(
        """
        from prefect import flow, task
        from prefect.filesystems import LocalFileSystem, NullFileSystem, RemoteFileSystem

        made = RemoteFileSystem(basepath=f"memory://{place}/data", settings={"auto_mkdir": True})
        made.save("remote")
        remote = RemoteFileSystem.load("remote")
        remote.write_path("a.txt", b"1")
        content = remote.read_path("a.txt")

        calls = []

        @task(persist_result=True, cache_key_fn=lambda context, parameters: "one key")
        def compute():
            calls.append(1)
            return len(calls)

        @flow
        def twice(storage):
            each = compute.with_options(result_storage=storage)
            return [each(), each()]

        kept, lost = twice(remote), twice(NullFileSystem())
        nothing = NullFileSystem()
        nothing.write_path("a.txt", b"1")
        LocalFileSystem(basepath="data").write_path("a.txt", b"1")
        """,
        place=secrets.token_hex(8),
    )
    assert (made.content, made.kept, made.lost) == (b"1", [1, 1], [2, 3])
    with pytest.raises(ObjectMissing):
        made.nothing.read_path("a.txt")
    made.remote.delete_folder("")


# ---------------------------------------------------------------- blocks


def test_what_a_block_type_tells_and_loads(program: Program) -> None:
    made = program("""
        from prefect.blocks.core import Block
        from prefect.blocks.fields import SecretDict
        from prefect.blocks.system import Secret
        from prefect.blocks.webhook import Webhook
        from pydantic import SecretStr

        class Warehouse(Block):
            \"\"\"Where the rows are.\"\"\"
            _block_type_name = "Our Warehouse"
            _code_example = "Warehouse.load('prod')"
            host: str
            keys: SecretDict = SecretDict({})

        Warehouse.register_type_and_schema()
        Warehouse(host="a", keys={"user": secret}).save("prod")
        by_name = Warehouse.load("prod", validate=True)
        by_reference = Block.load_from_ref("our-warehouse/prod")
        told = (Warehouse.get_description(), Warehouse.get_code_example(),
                Warehouse.get_block_type_name(), Warehouse.get_block_type_slug())

        class Warehouse(Block):
            _block_type_name = "Our Warehouse"
            host: str
            region: str

        newer = Warehouse
        older = Warehouse.load("prod", validate=False)
        Secret(value=secret).save("token")
        token = Secret.load("token").get()
        hook = Webhook(url="https://example.org", method="POST")
    """, secret=CANARY)  # fmt: skip
    assert made.told == (
        "Where the rows are.", "Warehouse.load('prod')", "Our Warehouse", "our-warehouse",
    )  # fmt: skip
    assert made.by_name == made.by_reference
    assert made.by_name.keys.get_secret_value() == {"user": CANARY}
    assert CANARY not in repr((made.by_name, made.older))
    with pytest.raises(DocumentInvalid):
        made.newer.load("prod")
    with pytest.raises(BlockInvalid, match="region"):
        made.older.save(overwrite=True)
    made.older.region = "north"
    made.older.save(overwrite=True)
    assert (made.newer.load("prod").region, made.token) == ("north", CANARY)


def test_classes_of_the_interfaces(program: Program) -> None:
    """As people write them: their methods, and no provider."""
    made = program("""
        import asyncio
        from prefect import flow, notify_by
        from prefect.blocks.abstract import (
            CredentialsBlock, DatabaseBlock, JobBlock, JobRun, NotificationBlock,
            ObjectStorageBlock, SecretBlock,
        )

        sent = []

        class Pager(NotificationBlock):
            _block_type_name = "Our Pager"

            async def notify(self, body, subject=None):
                self.logger.info("paging")
                sent.append((body, subject))

        class Login(CredentialsBlock):
            user: str = "me"

            def get_client(self, *args, **kwargs):
                return f"client of {self.user}"

        class ExportRun(JobRun[list[int]]):
            def __init__(self, rows):
                self.rows = rows

            async def wait_for_completion(self):
                self.rows.append(3)

            async def fetch_result(self):
                return self.rows

        class Export(JobBlock[list[int]]):
            rows: list[int]

            async def trigger(self):
                return ExportRun(self.rows)

        class Vault(SecretBlock):
            def read_secret(self):
                return b"value"

            def write_secret(self, secret_data):
                return secret_data.decode()

        class Rows(DatabaseBlock):
            def fetch_one(self, operation, parameters=None, **kwargs): return (operation,)
            def fetch_many(self, operation, parameters=None, size=None, **kwargs): return [(1,)]
            def fetch_all(self, operation, parameters=None, **kwargs): return [(1,), (2,)]
            def execute(self, operation, parameters=None, **kwargs): pass
            def execute_many(self, operation, seq_of_parameters, **kwargs): pass

        class Shelf(ObjectStorageBlock):
            def download_object_to_path(self, from_path, to_path): return to_path
            def download_object_to_file_object(self, from_path, to_file_object): pass
            def download_folder_to_path(self, from_folder, to_folder): return to_folder
            def upload_from_path(self, from_path, to_path): return to_path
            def upload_from_file_object(self, from_file_object, to_path): return to_path
            def upload_from_folder(self, from_folder, to_folder): return to_folder

        @flow
        async def use():
            await Pager().notify("12 rows", subject="Orders")
            Login().save("login")
            run = await Export(rows=[1, 2]).trigger()
            await run.wait_for_completion()
            with Rows() as rows:
                found = rows.fetch_all("select")
            return (
                Login.load("login").get_client(), Login().client(), await run.fetch_result(),
                Vault().read_secret(), Vault().write_secret(b"x"), found,
                Shelf().upload_from_path("a", "b"),
            )

        found = asyncio.run(use())

        @flow
        def load(): pass

        Pager().save("pager")
        load.on_completion(notify_by("our-pager/pager"))
        load()
    """)
    assert made.found == (
        "client of me", "client of me", [1, 2, 3], b"value", "x", [(1,), (2,)], "b",
    )  # fmt: skip
    assert made.sent[0] == ("12 rows", "Orders")
    assert len(made.sent) == 2
    assert "'load': Completed" in made.sent[1][1]
    check = made.Login().check()
    assert check.ok
    assert "no request was sent to the service" in check.reason
    calls: list[Callable[[], object]] = [
        lambda: made.Shelf().exists("a"),
        lambda: made.Rows().stream("select").__next__(),
        lambda: made.ExportRun.__mro__[1]().status(),
        lambda: made.Vault().ls(),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="provider"):
            call()


@pytest.mark.parametrize("method", ["notify", "nothing"])
def test_an_interface_that_is_not_filled_is_refused(method: str) -> None:
    for interface in (JobBlock, SecretBlock):
        kind: Any = type(
            "Unfinished", (interface,), {method: lambda self: None, "__module__": __name__}
        )
        with pytest.raises(TypeError, match="abstract"):
            kind()


def test_names_that_are_in_no_package() -> None:
    for name in ("SlackWebhook", "DiscordWebhook"):
        assert issubclass(getattr(notifications, name), notifications.NotificationBlock)
    for name in ("S3Bucket", "Nothing", "_private"):
        with pytest.raises(AttributeError, match=name):
            getattr(notifications, name)


# ---------------------------------------------------------------- marks, policies, locks


def test_marks_and_the_version(program: Program) -> None:
    made = program("""
        import prefect
        from prefect import flow, task, freeze, opaque, quote, unmapped

        @task
        def pair(a, b): return a, b

        @flow
        def f():
            table = {"big": [1, 2]}
            return pair(freeze(table), quote(table)), pair.map([1, 2], opaque([3])).result()

        found = f()
        version = prefect.__version__
    """)
    table = {"big": [1, 2]}
    assert made.found == ((table, table), [(1, [3]), (2, [3])])
    assert made.version.split(".")[0].isdigit()


def test_policies_and_serializers(program: Program) -> None:
    made = program("""
        from prefect import flow, task
        from prefect.cache_policies import (
            INPUTS, CachePolicy, FlowParameters, Inputs, RunId, TaskSource,
        )
        from prefect.serializers import Serializer

        class Mine(CachePolicy):
            def compute_key(self, task_ctx, inputs, flow_parameters, **kwargs):
                parts = [Inputs(exclude=["noise"]), TaskSource(), FlowParameters()]
                keys = [p.compute_key(task_ctx, inputs, flow_parameters) for p in parts]
                assert RunId().compute_key(task_ctx, inputs, flow_parameters)
                return "-".join(keys)

        class Text(Serializer):
            type: str = "our-text"
            def dumps(self, obj): return str(obj).encode()
            def loads(self, blob): return "read " + blob.decode()

        ran = []

        @task(cache_policy=Mine(), result_serializer=Text(), persist_result=True)
        def compute(x, noise):
            ran.append(x)
            return x

        @flow
        def f(n): return [compute(n, 1), compute(n, 2)]

        found = f(1), f(1), f(2)
    """)
    assert made.ran == [1, 2]
    assert made.found == ([1, "read 1"], ["read 1", "read 1"], [2, "read 2"])


def test_locks(program: Program, tmp_path: Path) -> None:
    made = program(
        """
        import asyncio
        from pathlib import Path
        from prefect.locking.filesystem import FileSystemLockManager
        from prefect.locking.memory import MemoryLockManager

        def use(manager):
            first = manager.acquire_lock("key", holder="me", hold_timeout=60)
            told = (first, manager.is_locked("key"), manager.is_lock_holder("key", "me"),
                    manager.is_lock_holder("key", "you"), manager.wait_for_lock("key", timeout=0))
            manager.release_lock("key", holder="me")

            async def again():
                found = await manager.aacquire_lock("key", holder="you", acquire_timeout=1)
                manager.release_lock("key", holder="you")
                return found, await manager.await_for_lock("key", timeout=1)

            return (*told, *asyncio.run(again()))

        found = [use(MemoryLockManager()), use(FileSystemLockManager(Path(folder)))]
        """,
        folder=str(tmp_path / "locks"),
    )
    assert made.found == [(True, True, True, False, False, True, True)] * 2


def test_facts_in_a_context(program: Program) -> None:
    made = program("""
        from prefect import flow, runtime, task
        from prefect.context import get_run_context
        from prefect.task_runners import ThreadPoolTaskRunner

        @task
        def inner():
            told = runtime.task_run
            return get_run_context().task_run.state_name, told.state_name, told.start_time

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
        def outer():
            context = get_run_context()
            return (context.flow_run.state_name, runtime.flow_run.start_time,
                    type(runtime.flow_run.task_runner), inner())

        name, began, runner, told = outer()
    """)
    assert (made.name, made.runner) == ("Running", made.ThreadPoolTaskRunner)
    assert made.told[:2] == ("Running", "Running")
    assert made.told[2] >= made.began


# ---------------------------------------------------------------- options and settings


def test_none_unsets_an_option(program: Program) -> None:
    made = program("""
        from prefect import flow, task
        from prefect.cache_policies import INPUTS

        @task(retries=3, timeout_seconds=5, cache_policy=INPUTS, log_prints=True,
              task_run_name="x", on_failure=[lambda *_: None], tags=["a"])
        def work(): pass

        @flow(retries=2, timeout_seconds=5, flow_run_name="x", on_completion=[lambda *_: None])
        def load(): pass

        names = ["retries", "timeout_seconds", "log_prints", "task_run_name"]
        plain = work.with_options(**dict.fromkeys([*names, "cache_policy", "on_failure", "tags"]))
        same = work.with_options(name="other")
        bare = load.with_options(
            retries=None, timeout_seconds=None, flow_run_name=None, on_completion=None
        )
    """)
    default = made.task(lambda: None)
    for name in (*made.names, "cache_policy", "tags"):
        assert getattr(made.plain, name) == getattr(default, name), name
    assert not made.plain.spec.hooks
    assert (made.same.retries, made.same.task_run_name, made.same.name) == (3, "x", "other")
    assert (made.bare.retries, made.bare.timeout_seconds, made.bare.flow_run_name) == (
        None, None, None,
    )  # fmt: skip
    assert not made.bare.spec.hooks


@pytest.mark.slow
def test_settings_of_results(script: Script, tmp_path: Path) -> None:
    text = """
        from prefect import flow, task
        from prefect.filesystems import LocalFileSystem

        if LOCAL:
            LocalFileSystem(basepath="there").save("results", overwrite=True)

        @task(cache_key_fn=lambda context, parameters: "key")
        def compute(): return {"x": 1}

        @flow
        def load(): compute()

        load()
    """
    path, block = "FLOWSTONE_RESULTS_LOCAL_STORAGE_PATH", "FLOWSTONE_RESULTS_DEFAULT_STORAGE_BLOCK"
    how = {
        "FLOWSTONE_RESULTS_PERSIST_BY_DEFAULT": "true",
        "FLOWSTONE_RESULTS_DEFAULT_SERIALIZER": "json",
    }
    for local, where in (
        ("False", {path: str(tmp_path / "here")}),
        ("True", {block: "local-directory/results"}),
    ):
        done = script(text.replace("LOCAL", local), **how, **where)
        assert done.returncode == 0, done.stderr
    for folder in ("here", "there"):
        files = [each.read_bytes() for each in (tmp_path / folder).rglob("*") if each.is_file()]
        assert [content for content in files if b'{"x":1}' in content.replace(b" ", b"")]


# ---------------------------------------------------------------- clouds


def login_text(url: str) -> dict[str, Any]:
    return {
        "aws_access_key_id": "AKIA-OF-THE-TEST",
        "aws_secret_access_key": CANARY,
        "region_name": "us-east-1",
        "aws_client_parameters": {"endpoint_url": url},
    }


def test_logins_are_keys_and_parameters_are_arguments(program: Program) -> None:
    made = program("""
        from functools import lru_cache
        from prefect_aws import AwsClientParameters, AwsCredentials
        from prefect_aws import MinIOCredentials
        from prefect_azure import AzureBlobStorageCredentials
        from prefect_gcp import GcpCredentials
        from prefect_slack import SlackCredentials
        from prefect_snowflake import SnowflakeCredentials

        opened = []

        @lru_cache(maxsize=8)
        def open_client(login, service="s3"):
            opened.append(type(login).__name__)
            return object()

        def make():
            return [
                AwsCredentials(aws_secret_access_key=secret, region_name="eu-west-1"),
                MinIOCredentials(minio_root_user="me", minio_root_password=secret),
                AzureBlobStorageCredentials(account_url="https://a.blob.core.windows.net"),
                GcpCredentials(project="p"), SlackCredentials(token="xoxb-" + secret),
                SnowflakeCredentials(account="a", user="me", password=secret),
            ]

        clients = [open_client(login) for login in make()]
        again = [open_client(login) for login in make()]
        parameters = AwsClientParameters(endpoint_url="http://127.0.0.1:9", verify=False)
        override = parameters.get_params_override()
    """, secret=CANARY)  # fmt: skip
    assert made.clients == made.again
    assert len(made.opened) == len(set(made.opened)) == 6
    assert made.override == {"endpoint_url": "http://127.0.0.1:9", "verify": False}


def test_secrets_and_buckets_of_aws(program: Program, moto: Moto) -> None:
    name = f"test-{secrets.token_hex(8)}"
    made = program(
        """
        from prefect import flow
        from prefect_aws import AwsCredentials, AwsSecret, S3Bucket
        from prefect_aws import (
            create_secret, delete_secret, read_secret, update_secret,
        )

        aws = AwsCredentials(**fields)

        @flow
        def use_secrets():
            created = create_secret(
                secret_name=name, secret_value="42", aws_credentials=aws, description="d",
                tags=[{"Key": "team", "Value": "data"}],
            )
            text = read_secret(secret_name=name, aws_credentials=aws, version_stage="AWSCURRENT")
            updated = update_secret(
                secret_name=name, secret_value=b"\\x00\\xff", aws_credentials=aws
            )
            raw = read_secret(name, aws)
            deleted = delete_secret(name, aws, recovery_window_in_days=7)
            return created, text, updated, raw, deleted

        created, text, updated, raw, deleted = use_secrets()
        block = AwsSecret(aws_credentials=aws, secret_name=name + "-block")
        arn = block.write_secret("a text")
        as_text = block.read_secret()
        block.write_secret(b"bytes")
        as_bytes = block.read_secret()
        block.delete_secret(force_delete_without_recovery=True)

        for each in (name, name + "-other"):
            aws.get_s3_client().create_bucket(Bucket=each)
        bucket = S3Bucket(bucket_name=name, credentials=aws, bucket_folder=None)
        bucket.write_path("a.txt", b"1")
        bucket.copy_object("a.txt", "b.txt", to_bucket=name + "-other")
        bucket.move_object("a.txt", "c.txt", to_bucket=name + "-other")
        there = S3Bucket(bucket_name=name + "-other", credentials=aws)
        """,
        fields=login_text(moto.url),
        name=name,
    )
    assert made.created.keys() == made.updated.keys() == {"ARN", "Name", "VersionId"}
    assert made.deleted.keys() == {"ARN", "Name", "DeletionDate"}
    assert made.created["Name"] == made.updated["Name"] == made.deleted["Name"] == name
    assert (made.text, made.raw) == ("42", b"\x00\xff")
    assert (made.as_text, made.as_bytes) == ("a text", b"bytes")
    assert made.arn.startswith("arn:aws:secretsmanager:")
    assert sorted(info.path for info in made.there.list_objects()) == ["b.txt", "c.txt"]
    assert made.bucket.bucket_folder == ""
    assert list(made.bucket.list_objects()) == []
