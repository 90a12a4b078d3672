"""Tasks: functions whose calls are retried, cached and recorded."""

from flowstone.calls.task import Task, exponential_backoff, task, task_input_hash

__all__ = ["Task", "exponential_backoff", "task", "task_input_hash"]
