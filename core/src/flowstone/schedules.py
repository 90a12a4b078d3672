"""Schedules of deployments."""

from flowstone.records.schedules import Cron, Interval, RRule

__all__ = ["Cron", "Interval", "RRule"]
