"""The flows and the block whose runs and documents stand in the golden store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field, SecretBytes, SecretStr

from flowstone import flow, suspend_flow_run, tags, task
from flowstone.artifacts import create_markdown_artifact, create_table_artifact
from flowstone.blocks import Block, Secret, SecretDict
from flowstone.input import RunInput
from flowstone.logging import get_run_logger


class OldLogin(Block):
    """A login with each kind of secret."""

    user: str = "ada"
    password: SecretStr
    pin: SecretBytes | None = None
    by_reference: SecretStr | None = None
    looks_like_a_reference: SecretStr | None = None
    table: SecretDict | None = None
    many: list[SecretStr] = Field(default_factory=list)
    shared: Secret | None = None


@dataclass(frozen=True)
class Parcel:
    """Whatever a task returns that only pickle keeps."""

    things: dict[str, Any]


class Approval(RunInput):
    """What the suspended run waits for."""

    by: str
    rows: int = 1


VALUES: dict[str, Any] = {
    "auto": {"rows": [1, 2, 3], "name": "ünï"},
    "json": [1, "two", None],
    "pickle": {1, 2, 3},
    "compressed/pickle": {"a": (1, 2)},
    "compressed/json/gzip": {"b": [True]},
}


@task(persist_result=True, result_serializer="pickle", result_storage_key="parcel")
def pack(things: dict[str, Any]) -> Parcel:
    return Parcel(things)


@task(persist_result=True)
def keep(value: Any) -> Any:
    return value


@flow
def keeps() -> int:
    """Keep a value by each serializer; with an artifact, tags and a log line."""
    with tags("golden"):
        for name, value in VALUES.items():
            key = name.replace("/", "-")
            keep.with_options(name=f"keep-{key}", result_serializer=name, result_storage_key=key)(
                value
            )
    get_run_logger().info("all are kept")
    create_markdown_artifact("# Kept", key="report", description="What was kept.")
    create_table_artifact([{"serializer": name} for name in VALUES], key="serializers")
    return len(VALUES)


@flow
def fails(number: int) -> None:
    raise ValueError(f"{number} is too many")


@task(persist_result=True, result_storage_key="doubled")
def double(number: int) -> int:
    return number * 2


@flow
def waits(number: int = 21) -> str:
    """Wait, apart from any process, for somebody who approves."""
    doubled = double(number)
    approval = suspend_flow_run(Approval)
    return f"{doubled} by {approval.by}, {approval.rows}"
