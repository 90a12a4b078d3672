"""The conformance kit: one suite for each interface, used by a subclass and its fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone_testing.conformance.blocks import BlockSuite
    from flowstone_testing.conformance.credentials import CredentialsSuite
    from flowstone_testing.conformance.database import DatabaseSuite
    from flowstone_testing.conformance.documents import DocumentStoreSuite
    from flowstone_testing.conformance.infrastructure import InfrastructureSuite
    from flowstone_testing.conformance.job import JobSuite
    from flowstone_testing.conformance.notifier import NotifierSuite
    from flowstone_testing.conformance.objectstore import ObjectStoreSuite
    from flowstone_testing.conformance.observer import ObserverSuite
    from flowstone_testing.conformance.plugins import PluginSuite
    from flowstone_testing.conformance.runner import RunnerSuite
    from flowstone_testing.conformance.runs import RunStoreSuite
    from flowstone_testing.conformance.secretprovider import SecretsSuite
    from flowstone_testing.conformance.slots import SlotStoreSuite
    from flowstone_testing.conformance.suite import EmulatorGap, Suite, capability, needs
    from flowstone_testing.conformance.tasks import Arguments, Example, TaskSuite
    from flowstone_testing.desks import web_desk
    from flowstone_testing.ports import reserve_closed_port

__all__ = [
    "Arguments",
    "BlockSuite",
    "CredentialsSuite",
    "DatabaseSuite",
    "DocumentStoreSuite",
    "EmulatorGap",
    "Example",
    "InfrastructureSuite",
    "JobSuite",
    "NotifierSuite",
    "ObjectStoreSuite",
    "ObserverSuite",
    "PluginSuite",
    "RunStoreSuite",
    "RunnerSuite",
    "SecretsSuite",
    "SlotStoreSuite",
    "Suite",
    "TaskSuite",
    "capability",
    "needs",
    "reserve_closed_port",
    "web_desk",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".conformance.blocks": ("BlockSuite",),
            ".conformance.credentials": ("CredentialsSuite",),
            ".conformance.database": ("DatabaseSuite",),
            ".conformance.documents": ("DocumentStoreSuite",),
            ".conformance.infrastructure": ("InfrastructureSuite",),
            ".conformance.job": ("JobSuite",),
            ".conformance.notifier": ("NotifierSuite",),
            ".conformance.objectstore": ("ObjectStoreSuite",),
            ".conformance.observer": ("ObserverSuite",),
            ".conformance.plugins": ("PluginSuite",),
            ".conformance.runner": ("RunnerSuite",),
            ".conformance.runs": ("RunStoreSuite",),
            ".conformance.secretprovider": ("SecretsSuite",),
            ".conformance.slots": ("SlotStoreSuite",),
            ".conformance.suite": ("EmulatorGap", "Suite", "capability", "needs"),
            ".conformance.tasks": ("Arguments", "Example", "TaskSuite"),
            ".desks": ("web_desk",),
            ".ports": ("reserve_closed_port",),
        },
    )
