"""A service whose password changes: what it is opened by must be read again then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import pytest
from pydantic import SecretStr

from flowstone.blocks import Job, JobProvider, JobStatus, Report
from flowstone.context import current
from flowstone.engine.clock import SystemClock
from flowstone.errors import CredentialsError
from flowstone.secrets.resolver import Resolver

if TYPE_CHECKING:
    from flowstone.blocks import SecretProvider

HOUR = 3600.0


class LateClock(SystemClock):
    """A clock that is set forward."""

    late = 0.0

    def time(self) -> float:
        return super().time() + self.late


class Door(Job):
    """Work at a service that wants a password."""

    password: SecretStr
    wanted: ClassVar[str] = ""

    def make_provider(self) -> JobProvider:
        return Doors(self)


class Doors(JobProvider):
    where = "the door"

    def __init__(self, door: Door) -> None:
        self._door = door

    def start(self) -> str:
        if self._door.password.get_secret_value() != Door.wanted:
            raise CredentialsError("the door", "the password was refused", "Try another.")
        return "open"

    def report(self, handle: str) -> Report:
        return Report(JobStatus.COMPLETED)

    def cancel(self, handle: str) -> None:
        raise AssertionError


def expect_a_rotated_secret_to_be_read_again(
    provider: SecretProvider, known: str, name: str
) -> None:
    """Change a secret, and see that it is read again where the old one is refused.

    Args:
        provider: where it is.
        known: what references name the provider by.
        name: of the secret.
    """
    provider.save("doors")
    clock = LateClock()
    services = replace(current.services(), clock=clock, references=Resolver(clock, 24 * HOUR))
    with current.use_services(services):
        provider.write(name, "the old password")
        Door.wanted = "the old password"
        door = Door.model_validate({"password": f"{known}/doors:{name}"})
        door.run()
        provider.write(name, "the new password")
        door.run()  # what was read before is good for a while
        Door.wanted = "the new password"
        clock.late = HOUR
        door.run()
        Door.wanted = "another password"
        with pytest.raises(CredentialsError, match="refused"):
            door.run()
