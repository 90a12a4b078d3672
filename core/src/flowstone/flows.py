"""Flows: functions whose calls are runs with tasks in them."""

from flowstone.calls.flow import Flow, flow

__all__ = ["Flow", "flow"]
