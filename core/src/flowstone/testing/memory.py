"""Services in memory, for tests: nothing is kept, and only the secret key touches the disk."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from flowstone.ambient import Services
from flowstone.blocks.vault import Vault
from flowstone.settings import Settings
from flowstone.stores.memory import MemoryDocuments, MemoryRuns

if TYPE_CHECKING:
    from pathlib import Path


class RealClock:
    """Time as it is."""

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def memory_services(home: Path) -> Services:
    """Return services whose stores are empty and in memory, and whose key file is in `home`."""
    settings = Settings(home=home, store="memory")
    return Services(settings, MemoryRuns(), MemoryDocuments(), Vault(settings), RealClock())
