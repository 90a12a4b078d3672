"""The requests for an `EcsTask`: the content of its definition, and the request that runs it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from flowstone.errors import JobError
from flowstone_aws.job_errors import translate_job_errors
from flowstone_aws.job_variables import find_secret, list_variables

if TYPE_CHECKING:
    from flowstone_aws.credentials import AwsCredentials
    from flowstone_aws.ecs import EcsTask
    from flowstone_aws.ecs_definitions import TaskDefinition
    from flowstone_aws.launches import Launch
    from flowstone_aws.records import Record

CPU, MEMORY = 1024, 2048
CONTAINER = "flowstone"
LOG_GROUP = LOG_PREFIX = "flowstone"
ON_FARGATE = frozenset({"FARGATE", "FARGATE_SPOT"})


def make_definition(where: str, task: EcsTask) -> Record:
    """Return the content of a task's definition, as parameters of ``RegisterTaskDefinition``.

    Command and variables are not part of it: they are sent with each run.

    Raises:
        JobError: the region is unknown, which the log needs.
        SecretMissing: there is no such secret.
    """
    login, name = task.aws_credentials, task.container_name or CONTAINER
    container: Record = {"name": name, "image": task.image, "essential": True}
    if task.secret_references:
        container["secrets"] = [
            {"name": variable, "valueFrom": find_secret(reference, login)}
            for variable, reference in sorted(task.secret_references.items())
        ]
    if has_log(task):
        container["logConfiguration"] = {
            "logDriver": "awslogs",
            "options": _make_log_options(where, task),
        }
    if task.stop_timeout is not None:
        container["stopTimeout"] = task.stop_timeout
    found: Record = {
        "containerDefinitions": [container],
        "cpu": str(task.cpu or CPU),
        "memory": str(task.memory or MEMORY),
        "taskRoleArn": task.task_role_arn,
        "executionRoleArn": task.execution_role_arn,
    }
    if task.launch_type in ON_FARGATE or task.capacity_provider_strategy:
        found["networkMode"] = "awsvpc"
    if task.launch_type in ON_FARGATE and not task.capacity_provider_strategy:
        found["requiresCompatibilities"] = ["FARGATE"]
    content = {key: value for key, value in found.items() if value is not None}
    digest = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {"family": task.family or f"flowstone-{digest[:12]}", **content}


def has_log(task: EcsTask) -> bool:
    """Return whether the container of a generated definition writes to CloudWatch Logs."""
    if task.configure_cloudwatch_logs is None:
        return task.execution_role_arn is not None
    return task.configure_cloudwatch_logs


def _make_log_options(where: str, task: EcsTask) -> dict[str, str]:
    region = task.cloudwatch_logs_options.get("awslogs-region") or find_region(task.aws_credentials)
    if region is None:
        remedy = "Set region_name of the credentials."
        raise JobError(where, "the region for its log is not known", remedy)
    return {
        "awslogs-group": LOG_GROUP,
        "awslogs-create-group": "true",
        "awslogs-region": region,
        "awslogs-stream-prefix": task.cloudwatch_logs_prefix or LOG_PREFIX,
        **task.cloudwatch_logs_options,
    }


def find_region(login: AwsCredentials) -> str | None:
    """Return the region that a login's clients use."""
    return login.region_name or login.get_boto3_session().region_name


def make_run_request(
    where: str, task: EcsTask, definition: TaskDefinition, launch: Launch
) -> Record:
    """Return the parameters of ``RunTask`` for a definition.

    Raises:
        JobError: the network is unknown.
    """
    request: Record = {
        "taskDefinition": definition.arn,
        "cluster": task.cluster,
        "count": 1,
        "clientToken": launch.token,
        "startedBy": launch.owner[:128],
        "tags": [
            {"key": key, "value": value} for key, value in launch.make_tags(task.labels).items()
        ],
        "overrides": _make_overrides(task, definition),
        **_choose_capacity(task),
    }
    if definition.needs_network:
        network = task.network_configuration or find_network(where, task)
        request["networkConfiguration"] = {"awsvpcConfiguration": network}
    return {key: value for key, value in request.items() if value}


def _choose_capacity(task: EcsTask) -> Record:
    if task.capacity_provider_strategy:
        return {"capacityProviderStrategy": task.capacity_provider_strategy}
    if task.launch_type == "FARGATE_SPOT":
        return {"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}
    return {"launchType": task.launch_type}


def _make_overrides(task: EcsTask, definition: TaskDefinition) -> Record:
    container: Record = {
        "command": task.command,
        "environment": list_variables(task.env),
    }
    given = {key: value for key, value in container.items() if value}
    found: Record = {}
    if given:
        found["containerOverrides"] = [{"name": definition.container, **given}]
    if task.task_definition_arn is not None:
        own = {
            "cpu": task.cpu and str(task.cpu),
            "memory": task.memory and str(task.memory),
            "taskRoleArn": task.task_role_arn,
            "executionRoleArn": task.execution_role_arn,
        }
        found.update({key: value for key, value in own.items() if value})
    return found


def find_network(where: str, task: EcsTask) -> Record:
    """Return the subnets of a task's VPC, or of the region's default one.

    Raises:
        JobError: there is no such VPC, or it has no subnets.
    """
    login, vpc = task.aws_credentials, task.vpc_id
    with translate_job_errors(where, login.describe_login):
        client = login.client("ec2")
        if vpc is None:
            wanted = [{"Name": "isDefault", "Values": ["true"]}]
            found = client.describe_vpcs(Filters=wanted)["Vpcs"]
            if not found:
                problem = "the region has no default VPC"
                raise JobError(where, problem, "Set vpc_id or network_configuration.")
            vpc = found[0]["VpcId"]
        of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
        subnets = client.describe_subnets(Filters=of_vpc)["Subnets"]
    if not subnets:
        remedy = "Set another vpc_id, or network_configuration."
        raise JobError(where, f"there is no VPC {vpc!r} with subnets", remedy)
    return {"subnets": sorted(each["SubnetId"] for each in subnets), "assignPublicIp": "ENABLED"}
