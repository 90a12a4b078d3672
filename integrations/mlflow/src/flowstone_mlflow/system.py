"""System metrics, as in MLflow."""

from __future__ import annotations

from time import monotonic

from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

#: Seconds between samples, as with MLflow.
INTERVAL = 10.0


class SystemMonitor:
    """Samples CPU, memory, disk and network usage, under the names that MLflow displays."""

    def __init__(self) -> None:
        self._monitors = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
        self._due = 0.0

    def sample(self) -> dict[str, float]:
        """Return the metrics by name; nothing before the next sample is due."""
        if monotonic() < self._due:
            return {}
        self._due = monotonic() + INTERVAL
        found: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            found |= {f"system/{key}": value for key, value in monitor.aggregate_metrics().items()}
            monitor.clear_metrics()
        return found
