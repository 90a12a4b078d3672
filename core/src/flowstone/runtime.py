"""What the current run is: read its facts anywhere in its code."""

from flowstone.context.runtime import Deployment, FlowRun, TaskRun, deployment, flow_run, task_run

__all__ = ["Deployment", "FlowRun", "TaskRun", "deployment", "flow_run", "task_run"]
