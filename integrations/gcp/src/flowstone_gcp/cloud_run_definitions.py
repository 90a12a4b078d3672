"""Definitions of Cloud Run jobs, and the overrides for runs of existing jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from flowstone.errors import JobError
from flowstone.records.redaction import redact
from flowstone_gcp.labels import make_labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone_gcp.cloud_run import CloudRunJob

#: The label of definitions that are deleted at the end of their only execution.
ONCE = "flowstone_once"
#: Cloud Run's default time limit of an attempt: 10 minutes.
USUAL_TIMEOUT = 600
#: Number of characters of a block's name in the name of a definition, which may have 63.
LONGEST = 30


def make_job_id(block: CloudRunJob) -> str:
    """Return a new name for a definition, derived from the name of the block."""
    letters = "".join(each if each.isalnum() else "-" for each in (block.name or "job").lower())
    return f"flowstone-{letters[:LONGEST].strip('-')}-{uuid4().hex[:12]}"


def make_definition(block: CloudRunJob) -> dict[str, object]:
    """Return the definition of a job; see https://cloud.google.com/run/docs/reference/rest/v2/.

    It contains only the names of secrets.
    """
    container: dict[str, object] = {
        "image": block.image,
        "command": block.command,
        "args": block.args,
        "env": list_env(block),
        "resources": {"limits": {"cpu": block.cpu, "memory": block.memory}},
    }
    task: dict[str, object] = {
        "containers": [container],
        "max_retries": block.max_retries,
        "timeout": {"seconds": block.timeout or USUAL_TIMEOUT},
    }
    if block.service_account_name:
        task["service_account"] = block.service_account_name
    if block.vpc_connector_name:
        task["vpc_access"] = {"connector": block.vpc_connector_name}
    if block.cloudsql_instances:
        volume = {"name": "cloudsql", "cloud_sql_instance": {"instances": block.cloudsql_instances}}
        task["volumes"] = [volume]
        container["volume_mounts"] = [{"name": "cloudsql", "mount_path": "/cloudsql"}]
    labels = make_labels(block.labels)
    if not block.keep_job:
        labels[ONCE] = "true"
    execution: dict[str, object] = {"labels": labels, "template": task}
    if block.task_count:
        execution["task_count"] = block.task_count
    if block.parallelism:
        execution["parallelism"] = block.parallelism
    return {"labels": labels, "launch_stage": block.launch_stage, "template": execution}


def make_overrides(block: CloudRunJob) -> dict[str, object]:
    """Return the overrides for a run of an existing job: only the fields that are set."""
    found: dict[str, object] = {}
    container: dict[str, object] = {}
    if block.args:
        container["args"] = block.args
    if env := list_env(block):
        container["env"] = env
    if container:
        found["container_overrides"] = [container]
    if block.task_count:
        found["task_count"] = block.task_count
    if block.timeout:
        found["timeout"] = {"seconds": block.timeout}
    return found


def list_env(block: CloudRunJob) -> list[dict[str, object]]:
    """Return the environment variables, with secrets as references."""
    plain: list[dict[str, object]] = [
        {"name": name, "value": value} for name, value in block.env.items()
    ]
    return plain + [
        {
            "name": name,
            "value_source": {"secret_key_ref": {"secret": each.secret, "version": each.version}},
        }
        for name, each in block.env_from_secrets.items()
    ]


def refuse_secrets(block: CloudRunJob, where: str) -> None:
    """Refuse a definition that would show a secret to everyone who may see the job.

    Raises:
        JobError: a secret that this process knows is in `env`, `command`, `args` or `labels`.
    """
    for place, text in _list_texts(block):
        if redact(text) != text:
            raise JobError(
                where,
                f"{place} contains a secret, which anyone who may see the job could read",
                "Store it in Secret Manager, and refer to it in env_from_secrets.",
            )


def _list_texts(block: CloudRunJob) -> Iterator[tuple[str, str]]:
    yield from ((f"env[{name!r}]", value) for name, value in block.env.items())
    yield from ((f"labels[{name!r}]", value) for name, value in block.labels.items())
    yield from ((f"command[{number}]", text) for number, text in enumerate(block.command))
    yield from ((f"args[{number}]", text) for number, text in enumerate(block.args))
