"""Schedules: when the runs of a deployment are due."""

from flowstone.records.schedules import Cron, Interval, RRule

__all__ = ["Cron", "Interval", "RRule"]
