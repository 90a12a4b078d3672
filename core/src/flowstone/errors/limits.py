"""Errors of concurrency limits and locks."""

from __future__ import annotations

from flowstone.errors.base import FlowstoneError


class LimitError(FlowstoneError):
    """Slots under a limit can't be acquired or kept."""


class SlotTimeout(LimitError, TimeoutError):
    """Slots did not become free before the timeout."""

    def __init__(self, owner: str, occupy: int, seconds: float, refusal: str) -> None:
        self.owner, self.occupy, self.seconds, self.refusal = owner, occupy, seconds, refusal
        super().__init__(
            f"{owner!r} has waited {seconds:.3g} s for {occupy} slot{'s' * (occupy != 1)}: "
            f"{refusal}. Wait for longer, or give the limit more slots with `flowstone limit set`."
        )


class SlotsLost(LimitError, RuntimeError):
    """The lease of slots could not be renewed, so other processes may hold them now."""

    def __init__(self, owner: str, names: str) -> None:
        self.owner, self.names = owner, names
        super().__init__(
            f"{owner!r} was stopped, as it has lost its slots under {names}. Check that the store "
            "can be reached, or pass raise_on_lease_renewal_failure=False to continue anyway."
        )


class LockNotHeld(FlowstoneError, ValueError):
    """A lock was released by a caller that does not hold it."""

    def __init__(self, key: str, holder: str) -> None:
        self.key, self.holder = key, holder
        super().__init__(
            f"the lock of {key!r} is not held by {holder!r}, so it was not released. "
            "Call release_lock as the holder that acquired it, and only once."
        )
