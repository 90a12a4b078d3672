"""A secret that goes through flows, logs and errors is nowhere in what Flowstone keeps."""

from __future__ import annotations

import pickle
import secrets
from contextlib import closing
from pathlib import Path
from traceback import format_exception

import pytest
from click.testing import CliRunner
from pydantic import BaseModel, SecretBytes, SecretStr

from flowstone import flow, notify_by, task
from flowstone.blocks import Block, Secret, SecretDict, ShellOperation, Webhook
from flowstone.bootstrap import open_services
from flowstone.cli.app import flowstone
from flowstone.concurrency import concurrency
from flowstone.context.current import use_services
from flowstone.errors import JobFailed, SlotTimeout
from flowstone.logging import get_run_logger
from flowstone.settings import Settings
from flowstone_testing.desks import web_desk


class Inner(BaseModel):
    key: SecretStr


class Vaulted(Block):
    text: SecretStr
    data: SecretBytes
    table: SecretDict
    many: list[SecretStr]
    inner: Inner
    nested: Secret


@task(retries=1)
def work(block: Vaulted, clear: str) -> Vaulted:
    print(f"printing {clear}")
    get_run_logger().info("logging %s and %r", clear, block)
    raise ConnectionError(f"cannot log in with {clear}")


@flow(log_prints=True)
def careless(block: Vaulted, clear: str, table: dict[str, str]) -> None:
    pickle.dumps(block)
    work.submit(block, clear).result()


@pytest.mark.parametrize("reopened", [False, True])
def test_canaries_are_not_kept(tmp_path: Path, reopened: bool) -> None:
    canaries = [f"canary'{secrets.token_hex(8)}\u00e4\n\"x" for _ in range(6)]
    text, data, table, many, inner, nested = canaries
    block = Vaulted(
        text=text,
        data=data.encode(),
        table={"a": {"b": [table]}},
        many=[many],
        inner={"key": inner},
        nested=Secret(value={"deep": nested}),
    )
    services = open_services(Settings(home=tmp_path, store="sqlite"))
    with use_services(services), closing(services):
        block.save("vaulted")
        block.nested.save("nested")
        given = Vaulted.load("vaulted") if reopened else block
        for clear in canaries:
            with pytest.raises(ConnectionError):
                careless(given, clear, {"url": f"https://me:{clear}@host"})
        assert Vaulted.load("vaulted") == block
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"canary" not in kept
    assert b"********" in kept
    assert b"cannot log in with" in kept
    assert b"logging" in kept
    assert b"printing" in kept


def test_canaries_are_not_kept_with_slots(tmp_path: Path) -> None:
    canary = f"canary-{secrets.token_hex(8)}"
    services = open_services(Settings(home=tmp_path, store="sqlite"))
    with use_services(services), closing(services):
        Secret(value=canary).save("a-secret")
        services.documents.put("limit", "db", {"slots": 1})
        with concurrency("db", holder=canary):
            told = CliRunner().invoke(flowstone, ["limit", "show", "db"]).stdout
            kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        with (
            concurrency("db", holder=canary),
            pytest.raises(SlotTimeout) as caught,
            concurrency("db", timeout_seconds=0),
        ):
            pass
    assert "********" in told
    assert b"********" in kept
    assert canary.encode() not in kept
    assert canary not in told + str(caught.value)


def test_notifiers_and_jobs_keep_no_canary(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, token = f"canary-{secrets.token_hex(8)}", f"canary-{secrets.token_hex(8)}"
    services = open_services(Settings(home=tmp_path, store="sqlite"))
    with use_services(services), closing(services), web_desk() as desk:
        desk.behave("refuses")  # and quotes the path
        Webhook(url=f"{desk.url}/services/{path}?t={token}").save("alerts")
        hook = Webhook.load("alerts")
        shell = ShellOperation(
            commands=["echo said $TOKEN", "env", "echo $TOKEN >&2", "exit 3"],
            secret_env={"TOKEN": token},
        )

        @task
        def tell() -> None:
            hook.notify(f"a note with {token}")

        @flow(on_failure=[notify_by("webhook/alerts")])
        def careless() -> None:
            tell.submit().wait()
            shell.run()

        with pytest.raises(JobFailed) as caught:
            careless()
        told = "".join(format_exception(caught.value))
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for shown in (kept.decode("latin-1"), told, "".join(capfd.readouterr())):
        assert "canary" not in shown.replace("test_canaries", "").replace("no_canary", "")
    assert b"it answered 400" in kept
    assert b"said ********" in kept
    assert len(desk.requests) == 2
    assert all(token.encode() not in body for _, _, _, body in desk.requests)
