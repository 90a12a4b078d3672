"""Task workers, which execute what `Task.delay` sends to the background."""

from flowstone.background.worker import TaskWorker, aserve, serve

__all__ = ["TaskWorker", "aserve", "serve"]
