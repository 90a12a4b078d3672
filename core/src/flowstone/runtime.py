"""What the current run is: read its facts anywhere in its code."""

from flowstone.context.runtime import (
    DeploymentFacts,
    FlowRun,
    TaskRun,
    deployment,
    flow_run,
    task_run,
)

__all__ = ["DeploymentFacts", "FlowRun", "TaskRun", "deployment", "flow_run", "task_run"]
