"""The tables of the guide for people who come from Prefect: each row was typed in, here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from flowstone.cli.app import flowstone

if TYPE_CHECKING:
    from tests.parity.conftest import Program

GUIDE = Path(__file__).parents[2] / "docs/migrating-from-prefect.md"

#: What a row says, as a program; by what the row begins with. Only `prefect` is replaced in it.
ROWS = {
    "`flow`, `task`, `.submit`": """
        from prefect import allow_failure, flow, quote, tags, task, unmapped
        @task
        def add(a, b=0): return a + b
        @task
        def fails(): raise ValueError("no")
        @task
        def look(x): return type(x).__name__
        @flow
        def f():
            with tags("a"):
                first = add.submit(1)
            broken = fails.submit()
            state = add(1, return_state=True)
            return (first.result(), add.map([1, 2], unmapped(1)).result(),
                    add.submit(2, wait_for=[first]).result(), state.name,
                    look(quote([1])), look(allow_failure(broken)))
        assert f() == (1, [2, 3], 2, "Completed", "list", "ValueError")
        """,
    "`with_options`": """
        from prefect import flow, task
        seen = []
        @task(task_run_name="of-{x}", log_prints=True)
        def t(x): print(x)
        @flow(flow_run_name="run-{x}", on_completion=[lambda f, run, state: seen.append(run.name)])
        def f(x): t.with_options(name="other")(x)
        f(1)
        assert seen == ["run-1"]
        """,
    "`retries`": """
        from prefect import flow, task
        from prefect.tasks import exponential_backoff
        tries = []
        @task(retries=2, retry_delay_seconds=exponential_backoff(2), retry_jitter_factor=0.1,
              retry_condition_fn=lambda task, run, state: True)
        def t():
            tries.append(1)
            if len(tries) < 3: raise ValueError
        @flow(retries=1, retry_delay_seconds=[1])
        def f(): t()
        f()
        assert len(tries) == 3
        """,
    "`ThreadPoolTaskRunner`, `Conc": """
        from prefect import flow
        from prefect.task_runners import ConcurrentTaskRunner, ThreadPoolTaskRunner
        @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
        def f(): return 1
        assert f() == f.with_options(task_runner=ConcurrentTaskRunner())() == 1
        """,
    "`prefect.states`": """
        from prefect import flow
        from prefect.states import Completed, Failed, get_state_exception, raise_state_exception
        @flow
        def f(ok): return Completed(data=1) if ok else Failed(message="no")
        assert f(True) == 1
        state = f(False, return_state=True)
        assert "no" in str(get_state_exception(state))
        try: raise_state_exception(state)
        except Exception as error: assert "no" in str(error)
        else: raise AssertionError
        """,
    "`prefect.blocks.abstract`": """
        from prefect.blocks import abstract
        from prefect.blocks import Credentials, Database, Job, Notifier, ObjectStore, SecretProvider
        assert abstract.CredentialsBlock is Credentials and abstract.DatabaseBlock is Database
        assert abstract.JobBlock is Job and abstract.NotificationBlock is Notifier
        assert abstract.ObjectStorageBlock is ObjectStore
        assert abstract.SecretBlock is SecretProvider
        class Mine(abstract.CredentialsBlock):
            def get_client(self): return self.logger.name
        assert "Mine" in Mine().get_client()
        """,
    "`prefect.blocks.core`": """
        from prefect.blocks.core import Block
        from prefect.blocks.fields import SecretDict
        from prefect.blocks.system import Secret
        from prefect.blocks.webhook import Webhook
        from prefect import blocks
        assert (Block, SecretDict) == (blocks.Block, blocks.SecretDict)
        assert (Secret, Webhook) == (blocks.Secret, blocks.Webhook)
        """,
    "`Block.load(name, validate=False)`": """
        from prefect.blocks.system import Secret
        Secret(value="of-a-row").save("row")
        assert Secret.load("row", validate=False).get() == "of-a-row"
        assert Secret.get_description() and Secret.get_code_example()
        assert Secret.register_type_and_schema() is None
        """,
    "`LocalFileSystem`": """
        from prefect.filesystems import LocalFileSystem
        LocalFileSystem(basepath="data").save("data")
        LocalFileSystem.load("data").write_path("a", b"1")
        from prefect.blocks import Block
        assert Block.load("local-directory/data").read_path("a") == b"1"
        """,
    "`RemoteFileSystem`": """
        from prefect.filesystems import NullFileSystem, RemoteFileSystem
        remote = RemoteFileSystem(basepath="memory://guide/row", settings={"a": 1})
        remote.write_path("a", b"1")
        assert remote.read_path("a") == b"1" and remote.delete_object("a") is None
        assert remote.settings.get_secret_value() == {"a": 1}
        NullFileSystem().write_path("a", b"1")
        """,
    "`prefect.variables`": """
        from prefect import flow
        from prefect.artifacts import Artifact, create_markdown_artifact
        from prefect.variables import Variable
        Variable.set("x", 1)
        @flow
        def f(): return create_markdown_artifact("# hello", key="report")
        assert Variable.get("x") == 1
        assert isinstance(f(), str)
        """,
    "`prefect.runtime`": """
        from prefect import flow, runtime, task
        from prefect.context import get_run_context
        @task(cache_key_fn=lambda context, parameters: f"{context.task_run.name}-{parameters}")
        def t(x): return get_run_context().task_run.id == runtime.task_run.id
        @flow
        def f(): return t(1) and get_run_context().flow_run.name == runtime.flow_run.name
        assert f()
        """,
    "`disable_run_logger`": """
        import logging
        from prefect.logging import LogEavesdropper, disable_run_logger, get_logger
        with disable_run_logger(): get_logger("x").info("nobody hears it")
        with LogEavesdropper("mine", level=logging.INFO) as heard:
            logging.getLogger("mine").warning("hello")
        assert "hello" in heard.text()
        from prefect.settings import Settings
        assert Settings().extra_loggers == ()
        """,
    "`cache_policy`": """
        from datetime import timedelta
        from prefect import flow, task
        from prefect.cache_policies import INPUTS
        from prefect.filesystems import LocalFileSystem
        ran = []
        @task(cache_policy=INPUTS, cache_expiration=timedelta(hours=1), persist_result=True,
              result_storage=LocalFileSystem(basepath="kept"))
        def t(x): ran.append(x)
        @flow
        def f(): t(1); t(1); t.with_options(cache_key_fn=lambda c, p: "k")(1)
        f()
        assert ran == [1, 1]
        """,
    "`prefect.cache_policies`": """
        from prefect.cache_policies import DEFAULT, INPUTS, NO_CACHE
        from prefect.locking.filesystem import FileSystemLockManager
        from prefect.locking.memory import MemoryLockManager
        from prefect.serializers import JSONSerializer, PickleSerializer
        INPUTS.configure(lock_manager=MemoryLockManager())
        assert JSONSerializer().loads(JSONSerializer().dumps([1])) == [1]
        """,
    "`PREFECT_TASKS_DEFAULT_RETRIES`": """
        from prefect.settings import Settings
        names = {field.metadata.get("variable") for field in Settings.__dataclass_fields__.values()}
        assert {
            "FLOWSTONE_TASKS_DEFAULT_RETRIES", "FLOWSTONE_RESULTS_PERSIST_BY_DEFAULT",
            "FLOWSTONE_RESULTS_DEFAULT_SERIALIZER", "FLOWSTONE_RESULTS_LOCAL_STORAGE_PATH",
            "FLOWSTONE_RESULTS_DEFAULT_STORAGE_BLOCK",
        } <= names
        """,
    "`transaction`": """
        from prefect import flow, task
        from prefect.transactions import atransaction, get_transaction, transaction
        seen = []
        @task
        def t(): get_transaction().set("a", 1)
        @t.on_rollback
        def undo(txn): seen.append(("undo", txn.get("a")))
        @t.on_commit
        def done(txn): seen.append("done")
        @flow
        def f(fails):
            with transaction():
                t()
                if fails: raise ValueError
        f(False)
        f(True, return_state=True)
        assert seen == ["done", ("undo", 1)]
        """,
    "`prefect.concurrency.sync`": """
        from prefect import flow
        from prefect.concurrency.asyncio import concurrency as aconcurrency
        from prefect.concurrency.sync import concurrency, rate_limit
        @flow
        def f():
            with concurrency("database", occupy=1): return 1
        assert f() == 1
        """,
    "`as_completed`": """
        from prefect import flow, task
        from prefect.futures import as_completed, wait
        from prefect.task_runners import ProcessPoolTaskRunner
        @task
        def t(x): return x
        @flow
        def f():
            futures = t.map([1, 2])
            done, not_done = wait(futures)
            return sorted(x.result() for x in as_completed(futures)), len(done), len(not_done)
        assert f() == ([1, 2], 2, 0)
        """,
    "`flow.visualize()`": """
        from prefect import flow, task
        @task(viz_return_value=1)
        def t(): raise AssertionError
        @flow
        def f(): t()
        assert "t" in str(f.visualize()) and "t" in f.generate_mermaid_graph()
        """,
    "`cache_result_in_memory`": """
        from prefect import flow, task
        from prefect.futures import resolve_futures_to_results, resolve_futures_to_states
        @task(cache_result_in_memory=False)
        def t(x): return x
        @flow
        def f():
            futures = [t.submit(1), t.submit(2)]
            states = resolve_futures_to_states(futures)
            return resolve_futures_to_results(futures), [s.name for s in states]
        assert f() == ([1, 2], ["Completed", "Completed"])
        """,
    "generators": """
        from prefect import flow, task
        @task
        def t():
            yield 1
            yield 2
        @flow
        def f(): yield from t()
        assert list(f()) == [1, 2]
        """,
    "`pause_flow_run`": """
        from prefect import apause_flow_run, pause_flow_run, resume_flow_run, suspend_flow_run
        from prefect.input import RunInput
        class Approval(RunInput):
            ok: bool
        assert Approval.with_initial_data(ok=True)
        """,
    "`block register`": """
        from prefect.blocks import Block
        class Fresh(Block):
            x: int = 1
        Fresh().save("a")
        assert Block.load("fresh/a") == Fresh()
        """,
    "`prefect_aws.S3Bucket`": """
        from prefect_aws import (
            AwsCredentials, EcsTask, LambdaFunction, S3Bucket, batch_submit, client_waiter,
            s3_upload,
        )
        bucket = S3Bucket(bucket_name="raw", bucket_folder=None, credentials=AwsCredentials())
        assert bucket.find_bucket("other").bucket_name == "other"
        assert LambdaFunction(function_name="f")
        assert {"image", "cpu", "memory"} <= set(EcsTask.model_fields)
        """,
    "`prefect_aws.secrets_manager`": """
        from prefect_aws import (
            AwsSecret, aread_secret, create_secret, delete_secret, read_secret, update_secret,
        )
        assert AwsSecret(secret_name="a").secret_name == "a"
        """,
    "`prefect_gcp.secret_manager`": """
        from prefect_gcp import (
            GcpSecret, create_secret, delete_secret, delete_secret_version, read_secret,
            update_secret,
        )
        assert GcpSecret(secret_name="a").secret_version == "latest"
        """,
    "`prefect_azure": """
        from prefect_azure import (
            AzureBlobStorageContainer, AzureBlobStorageCredentials, blob_storage_download,
            blob_storage_list, blob_storage_upload,
        )
        login = AzureBlobStorageCredentials(account_url="https://a.blob.core.windows.net")
        place = AzureBlobStorageContainer(container_name="raw", base_folder="in", credentials=login)
        assert place.find_bucket("other").base_folder is None
        """,
    "`prefect_dbt.DbtCoreOperation`": """
        from prefect_dbt import (
            DbtCliProfile, DbtCoreOperation, DbtProject, DbtResult, DbtRunner, PrefectDbtRunner,
            run_dbt_build, trigger_dbt_cli_command,
        )
        assert DbtRunner(
            DbtProject(project_dir="."), retries=1, test_strategy="deferred", threads=2,
            defer=False, create_summary_artifact=True,
        )
        """,
    "`prefect_gcp.GcsBucket`": """
        from prefect_gcp import (
            BigQueryWarehouse, CloudRunJob, GcpCredentials, GcpSecret, GcsBucket, bigquery_query,
            cloud_storage_upload_blob_from_string,
        )
        assert GcsBucket(bucket="raw", bucket_folder=None).bucket_folder == ""
        """,
    "`prefect_snowflake": """
        from prefect_snowflake import (
            SnowflakeConnector, SnowflakeCredentials, snowflake_multiquery, snowflake_query,
        )
        login = SnowflakeCredentials(account="a", user="u", password="p")
        assert SnowflakeConnector(credentials=login, database="d", warehouse="w", schema="s")
        """,
    "`prefect_dask": """
        import dask
        from distributed import LocalCluster
        from prefect import flow, task
        from prefect_dask import DaskTaskRunner, get_async_dask_client, get_dask_client

        @task
        def say(name):
            with get_dask_client() as client:
                return client.submit(str.upper, name).result()

        with LocalCluster(
            n_workers=1, threads_per_worker=2, dashboard_address=":0"
        ) as cluster:

            @flow(task_runner=DaskTaskRunner(address=cluster.scheduler_address))
            def greetings(names):
                with dask.annotate(priority=10):
                    return say.map(names).result()

            assert greetings(["arthur", "trillian"]) == ["ARTHUR", "TRILLIAN"]
        """,
    "`prefect_ray": """
        from prefect import flow, task
        from prefect_ray import RayTaskRunner
        from prefect_ray.context import remote_options

        @task
        def say_hello(name):
            return f"hello {name}"

        @flow(task_runner=RayTaskRunner(
            init_kwargs={"num_cpus": 2, "object_store_memory": 80_000_000}
        ))
        def greetings(names):
            with remote_options(num_cpus=1):
                hello = say_hello.submit("ford")
            return [hello.result(), *say_hello.map(names).result()]

        assert greetings(["arthur", "trillian"]) == ["hello ford", "hello arthur", "hello trillian"]
        """,
    "`prefect_sqlalchemy": """
        from prefect_sqlalchemy import (
            AsyncSqlAlchemyConnector, ConnectionComponents, SqlAlchemyConnector, SyncDriver,
        )
        parts = ConnectionComponents(driver=SyncDriver.SQLITE_PYSQLITE, database=":memory:")
        with SqlAlchemyConnector(connection_info=parts) as database:
            assert database.fetch_one("SELECT 1") == (1,)
        """,
    "`prefect.blocks.system.Webhook`": """
        from prefect.blocks import Webhook
        from prefect_email import EmailServerCredentials
        from prefect_slack import SlackWebhook
        assert Webhook(url="https://example.org")
        assert SlackWebhook(url="https://hooks.slack.com/services/T0/B0/" + "x" * 24)
        assert EmailServerCredentials(username="me", password="p").smtp_server == "gmail"
        """,
    "`prefect_email.email_send_message`": """
        from prefect_email import aemail_send_message, email_send_message
        assert email_send_message.name
        """,
    "`prefect_slack`": """
        from prefect_slack import (
            SlackCredentials, asend_chat_message, send_chat_message, send_incoming_webhook_message,
        )
        assert SlackCredentials(token="xoxb-1")
        """,
    "`prefect.blocks.notifications`": """
        from prefect.blocks.notifications import (
            CustomWebhookNotificationBlock, DiscordWebhook, MicrosoftTeamsWebhook, SlackWebhook,
        )
        assert CustomWebhookNotificationBlock(name="a", url="https://example.org")
        """,
    "`prefect_shell": """
        from prefect.blocks import ShellOperation
        from prefect.builtin.shell_tasks import shell_run_command
        assert ShellOperation(commands=["echo hello"]).run() == ["hello"]
        """,
    "`prefect_test_harness`": """
        from prefect import flow
        from prefect.testing import flowstone_test_harness
        @flow
        def f(): return 1
        with flowstone_test_harness(): assert f() == 1
        """,
    "`PrefectFuture`": """
        from prefect import flow, task
        from prefect.futures import Future, FutureList
        @task
        def t(): return 1
        @flow
        def f(): return isinstance(t.submit(), Future), isinstance(t.map([]), FutureList)
        assert f() == (True, True)
        """,
    "`prefect.__version__`": """
        import prefect
        assert prefect.__version__
        """,
    "`prefect.serializers.Serializer`": """
        from prefect.serializers import Serializer
        class Text(Serializer):
            type = "text"
            def dumps(self, value): return str(value).encode()
            def loads(self, content): return content.decode()
        assert Text().loads(Text().dumps(1)) == "1"
        """,
    "`MemoryLockManager`": """
        import asyncio
        from prefect.locking import FileSystemLockManager, MemoryLockManager
        manager = MemoryLockManager()
        assert manager.acquire_lock("k", holder="me", hold_timeout=9)
        assert manager.is_lock_holder("k", "me") and not manager.wait_for_lock("k", timeout=0)
        manager.release_lock("k", holder="me")
        assert asyncio.run(manager.aacquire_lock("k", holder="you"))
        """,
    "`prefect.utilities.annotations`": """
        from prefect import allow_failure, freeze, opaque, quote, unmapped
        assert freeze(1).unfreeze() == quote(1).unquote() == opaque(1).unwrap() == 1
        """,
    "`Block.load_from_ref(": """
        from prefect.blocks import Block, Secret
        Secret(value="of-a-token").save("token")
        assert Block.load_from_ref("secret/token").get() == "of-a-token"
        """,
    "`prefect.context`": """
        from prefect import flow, runtime, task
        @task
        def t(): return runtime.task_run.state_name, runtime.task_run.start_time is not None
        @flow
        def f(): return runtime.flow_run.state_name, bool(runtime.flow_run.task_runner), t()
        assert f() == ("Running", True, ("Running", True))
        """,
    "`prefect.logging.loggers`": """
        from prefect.logging import flow_run_logger, task_run_logger
        assert callable(flow_run_logger) and callable(task_run_logger)
        """,
    "`Flow(fn, name=…)`": """
        from prefect import flow, task
        seen = []
        def fn(): return 1
        made = task(on_commit=[seen.append])(fn)
        assert flow(name="Named")(lambda: made())() == 1 and len(seen) == 1
        """,
    "a task runner of your own": """
        from prefect import flow, task
        from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
        class Mine(TaskRunner):
            def open(self, settings): return ThreadPoolTaskRunner(max_workers=1).open(settings)
        @task
        def t(): return 1
        @flow(task_runner=Mine())
        def f(): return t.submit().result()
        assert f() == 1
        """,
    "`state.state_details`": """
        from prefect.states import Completed
        state = Completed(message="m", data=1)
        assert (state.type, state.name) == ("COMPLETED", "Completed")
        assert (state.message, state.data) == ("m", 1) and state.timestamp
        """,
    "`FlowRun`, `TaskRun`": """
        from prefect import flow
        from prefect.records.runs import Run
        seen = []
        @flow(on_completion=[lambda f, run, state: seen.append(run)])
        def f(x): pass
        f(1)
        (run,) = seen
        assert isinstance(run, Run) and run.parameters == {"x": 1}
        assert (run.state_name, run.state_type, run.run_count) == ("Completed", "COMPLETED", 1)
        assert run.id and run.name and not run.tags and run.state and run.start_time <= run.end_time
        """,
    "`logging.yml`": """
        import logging
        from prefect import flow, get_run_logger
        heard = []
        class Keep(logging.Handler):
            def emit(self, record): heard.append(record.getMessage())
        handler = Keep()
        logging.getLogger("flowstone").addHandler(handler)
        @flow
        def f(): get_run_logger().warning("hello")
        f()
        logging.getLogger("flowstone").removeHandler(handler)
        assert "hello" in heard
        """,
    "`ResultStore`": """
        from prefect import flow
        from prefect.filesystems import LocalFileSystem
        from prefect.results import ResultStore, get_result_store
        from prefect.transactions import transaction
        store = ResultStore(result_storage=LocalFileSystem(basepath="kept"), serializer="json")
        @flow
        def f():
            with transaction(key="k", store=store) as txn: txn.stage(1)
            return get_result_store() is not None
        assert f()
        """,
    "`prefect.schedules.Cron`": """
        from prefect.schedules import Cron, Interval, RRule
        assert str(Cron("0 3 * * *", timezone="Europe/Berlin")).startswith("cron '0 3 * * *'")
        assert Interval(60, slug="often").slug == "often"
        assert RRule("FREQ=DAILY").rrule == "FREQ=DAILY"
        """,
    "`flow.serve(…)`": """
        from prefect import flow, serve
        from prefect.errors import ConfigurationError
        @flow
        def f(n: int = 1): return n
        made = f.to_deployment("d", cron="0 3 * * *", parameters={"n": 2})
        assert made.full_name == "f/d"
        for refused in (lambda: f.serve("d", triggers=[]), serve):
            try:
                refused()
            except ConfigurationError:
                continue
            raise AssertionError(refused)
        """,
    "`flow.from_source(…)`": """
        from pathlib import Path
        from tempfile import TemporaryDirectory
        from prefect import flow
        from prefect.deployments import GitRepository
        with TemporaryDirectory() as folder:
            text = "from flowstone import flow\\n@flow\\ndef f(n: int = 1): return n\\n"
            Path(folder, "etl.py").write_text(text)
            found = flow.from_source(source=folder, entrypoint="etl.py:f")
            assert found.to_deployment("d").full_name == "f/d"
            assert found(n=2) == 2
        assert GitRepository(url="https://example.com/x.git", branch="main").commit_sha is None
        """,
    "`flow.deploy(…)`": """
        from prefect import deploy, flow
        from prefect.deployments import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
        from prefect.errors import ConfigurationError
        from prefect.workers import create_work_pool
        @flow
        def f(n: int = 1): return n
        create_work_pool("p")
        limit = ConcurrencyLimitConfig(1, ConcurrencyLimitStrategy.CANCEL_NEW)
        made = f.deploy("d", work_pool_name="p", job_variables={"env": {"A": "1"}},
                        concurrency_limit=limit)
        assert (made.full_name, made.concurrency_limit) == ("f/d", 1)
        deploy(f.to_deployment("e"), work_pool_name="p")
        for refused in ("image", "build", "push"):
            try:
                f.deploy("d", work_pool_name="p", **{refused: "x"})
            except ConfigurationError:
                continue
            raise AssertionError(refused)
        """,
    "`run_deployment(…)`": """
        import asyncio
        from prefect import flow
        from prefect.deployments import arun_deployment, run_deployment
        from prefect.deployments.documents import save_deployment
        from prefect.errors import ConfigurationError, ObjectNotFound
        try:
            run_deployment("f/none")
        except ObjectNotFound:
            pass
        else:
            raise AssertionError
        @flow
        def f(n: int = 1): return n
        save_deployment(f.to_deployment("d"))
        asked = dict(timeout=0, idempotency_key="k", as_subflow=False, tags=["t"])
        first = run_deployment("f/d", {"n": 2}, **asked)
        assert asyncio.run(arun_deployment("f/d", {"n": 3}, **asked)).id == first.id
        try:
            run_deployment("f/d", timeout=0, client=object())
        except ConfigurationError:
            pass
        else:
            raise AssertionError
        """,
    "`wait_for_flow_run(…)`": """
        import asyncio
        from prefect import aserve, flow
        from prefect.deployments import run_deployment
        from prefect.deployments.documents import save_deployment
        from prefect.errors import ConfigurationError, RunTimeout
        from prefect.flow_runs import wait_for_flow_run
        @flow
        def f(n: int = 1): return n
        save_deployment(f.to_deployment("d"))
        run = run_deployment("f/d", timeout=0)
        try:
            asyncio.run(wait_for_flow_run(run.id, timeout=0, log_states=True))
        except TimeoutError as error:
            assert isinstance(error, RunTimeout)
        else:
            raise AssertionError
        try:
            asyncio.run(aserve())
        except ConfigurationError:
            pass
        else:
            raise AssertionError
        """,
    "`PrefectTaskRunner`": """
        from prefect import flow, task
        from prefect.task_worker import TaskWorker
        @task
        def add(a, b=1): return a + b
        worker = TaskWorker(add)
        @flow
        def f():
            sent = [add.apply_async((n,)) for n in range(3)]
            worker.start(timeout=0)
            return [each.result() for each in sent]
        assert f() == [1, 2, 3]
        """,
    "`task.delay(…)`": """
        from prefect import task
        from prefect.futures import DistributedFuture
        from prefect.task_worker import TaskWorker, aserve, serve
        @task
        def add(a, b=1): return a + b
        worker = TaskWorker(add, limit=10)
        futures = [add.delay(1), add.apply_async((1,), {"b": 2}, idempotency_key="k")]
        worker.start(timeout=0)
        assert [each.result(timeout=0) for each in futures] == [2, 3]
        assert DistributedFuture(futures[0].task_run_id).result(timeout=0) == 2
        """,
    "`prefect.exceptions`": """
        from prefect.errors import FlowstoneError, ObjectNotFound
        assert issubclass(ObjectNotFound, FlowstoneError)
        """,
}
#: Rows about the command line: what is typed, and what is in the answer.
COMMANDS = {
    "`prefect flow-run retry`": (["run", "retry", "--help"], "Usage: "),
    "`prefect deployment ls`": (["deployment", "--help"], "show"),
    "`prefect deployment schedule create`": (["deployment", "schedule", "--help"], "delete"),
    "`prefect.yaml`": (["deploy", "--help"], "--prune"),
    "`prefect work-pool create`": (["pool", "--help"], "show"),
    "`prefect work-queue create`": (["pool", "queue", "--help"], "resume"),
    "`prefect worker start": (["worker", "start", "--help"], "--run-once"),
    "`prefect.concurrency.sync`": (["limit", "set", "--help"], "Usage: "),
}


def list_rows() -> list[str]:
    """Return the first cell of each row of the guide's tables, without the heads."""
    lines = GUIDE.read_text("utf-8").splitlines()
    cells = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    return [cell for cell in cells if cell not in {"Prefect", "there"}]


def test_each_row_is_typed_in() -> None:
    typed = [*ROWS, *COMMANDS]
    missing = [row for row in list_rows() if not any(row.startswith(each) for each in typed)]
    assert not missing
    gone = [each for each in typed if not any(row.startswith(each) for row in list_rows())]
    assert not gone


@pytest.mark.parametrize("row", ROWS, ids=lambda row: re.sub(r"\W+", "-", row).strip("-"))
def test_a_row(program: Program, row: str) -> None:
    text = ROWS[row]
    program(text if "prefect" in text else f"import prefect\n{text}")


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: re.sub(r"\W+", "-", row).strip("-"))
def test_a_row_of_commands(row: str) -> None:
    words, found = COMMANDS[row]
    answer = CliRunner().invoke(flowstone, words)
    assert answer.exit_code == 0, answer.output
    assert found in answer.output
