"""Read pickles that were written when parts of Flowstone were in other modules."""

from __future__ import annotations

import io
import pickle
from typing import Any

#: The module name in old pickles → the module that now has its classes and functions. Only for what
#: a user's value may contain; a name that still resolves is not looked up.
MODULES = {
    "flowstone.blocks.admission": "flowstone.blocks.validation",
    "flowstone.blocks.database": "flowstone.blocks.databases.database",
    "flowstone.blocks.drivers": "flowstone.blocks.databases.driver",
    "flowstone.blocks.duckdb": "flowstone_duckdb.database",
    "flowstone.blocks.email": "flowstone_email.notifier",
    "flowstone.blocks.job": "flowstone.blocks.jobs.job",
    "flowstone.blocks.jobruns": "flowstone.blocks.jobs.job_run",
    "flowstone.blocks.local": "flowstone.blocks.object_stores.local",
    "flowstone.blocks.masked": "flowstone.secrets.values",
    "flowstone.blocks.notifier": "flowstone.blocks.notifiers.notifier",
    "flowstone.blocks.objectstore": "flowstone.blocks.object_stores.object_store",
    "flowstone.blocks.primitives": "flowstone.blocks.object_stores.provider",
    "flowstone.blocks.problems": "flowstone.blocks.validation",
    "flowstone.blocks.reference": "flowstone.secrets.reference",
    "flowstone.blocks.referring": "flowstone.secrets.values",
    "flowstone.blocks.secret": "flowstone.blocks.secret_providers.secret",
    "flowstone.blocks.secretplaces": "flowstone.blocks.secret_providers.local",
    "flowstone.blocks.secretprovider": "flowstone.blocks.secret_providers.secret_provider",
    "flowstone.blocks.shell": "flowstone.blocks.jobs.shell",
    "flowstone.blocks.slack": "flowstone_slack.notifier",
    "flowstone.blocks.sqlite": "flowstone.blocks.databases.sqlite",
    "flowstone.blocks.web": "flowstone.blocks.notifiers.http",
    "flowstone.blocks.webhook": "flowstone.blocks.notifiers.webhook",
    "flowstone.cache_policies": "flowstone.results.policies",
    "flowstone.commits": "flowstone.results.transaction",
    "flowstone.concurrency.holding": "flowstone.concurrency.slots",
    "flowstone.documents": "flowstone.records.documents",
    "flowstone.engine.arguments": "flowstone.engine.annotations",
    "flowstone.entrypoints": "flowstone.calls.entrypoints",
    "flowstone.events": "flowstone.records.events",
    "flowstone.flows": "flowstone.calls.flow",
    "flowstone.gallery": "flowstone.artifacts.read",
    "flowstone.hooks": "flowstone.calls.hooks",
    "flowstone.input": "flowstone.flow_runs.inputs",
    "flowstone.limits": "flowstone.records.limits",
    "flowstone.pauses": "flowstone.flow_runs.pauses",
    "flowstone.prebuilt.databases": "flowstone.builtin.database_tasks",
    "flowstone.prebuilt.shell": "flowstone.builtin.shell_tasks",
    "flowstone.runs": "flowstone.records.runs",
    "flowstone.sealing": "flowstone.serializers.sealed_pickle",
    "flowstone.specs": "flowstone.records.specs",
    "flowstone.states": "flowstone.records.states",
    "flowstone.streams": "flowstone.calls.map_stream",
    "flowstone.tagging": "flowstone.context.tags",
    "flowstone.tasks": "flowstone.calls.task",
}
#: The name in pickles, in the module that has it or would have it now → its location now.
NAMES = {
    "flowstone.blocks.base:Block._dumped": "flowstone.blocks.base:Block._dump",
    "flowstone.blocks.databases.driver:Aware": "flowstone.blocks.databases.driver:AwareDatetime",
    "flowstone.blocks.jobs.job_run:JobStatus": "flowstone.blocks.jobs.provider:JobStatus",
    "flowstone.blocks.jobs.job_run:Report": "flowstone.blocks.jobs.provider:Report",
    "flowstone.blocks.notifiers.notifier:Note": "flowstone.blocks.notifiers.note:Note",
    "flowstone.blocks.object_stores.provider:ObjectInfo": (
        "flowstone.blocks.object_stores.paths:ObjectInfo"
    ),
    "flowstone.blocks.validation:admitted": "flowstone.blocks.validation:validate_fields",
    "flowstone.blocks.validation:masked": "flowstone.blocks.validation:mask_inputs",
    "flowstone.errors.base:_revive": "flowstone.errors.base:revive",
    "flowstone.records.events:Line": "flowstone.records.events:LogLine",
    "flowstone.records.runs:Change": "flowstone.records.runs:StateChange",
    "flowstone.records.runs:Recipe": "flowstone.records.runs:RestartInfo",
    "flowstone.records.states:Kept": "flowstone.records.states:StoredValue",
    "flowstone.results.policies:_FlowParameters": "flowstone.results.policies:FlowParameters",
    "flowstone.results.policies:_RunId": "flowstone.results.policies:RunId",
    "flowstone.results.policies:_TaskSource": "flowstone.results.policies:TaskSource",
    "flowstone.secrets.values:Literal": "flowstone.secrets.values:LiteralSecret",
    "flowstone.secrets.values:Partly": "flowstone.secrets.values:PartialSecret",
    "flowstone.secrets.values:_dumped": "flowstone.secrets.fields:_show",
    "flowstone.secrets.values:_text": "flowstone.secrets.values:read_text",
    "flowstone.secrets.values:literal": "flowstone.secrets.values:make_literal",
    "flowstone.secrets.values:partly": "flowstone.secrets.values:make_partial",
    "flowstone.secrets.values:refer": "flowstone.secrets.values:make_reference",
    "flowstone.secrets.values:unresolved": "flowstone.secrets.values:leave_unresolved",
    "flowstone.serializers.sealed_pickle:_opened": (
        "flowstone.serializers.sealed_pickle:_open_secret"
    ),
}


class Unpickler(pickle.Unpickler):
    """An unpickler that finds what has moved since a pickle was written."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            before = f"{MODULES.get(module, module)}:{name}"
            place, _, now = NAMES.get(before, before).partition(":")
            if (place, now) == (module, name):
                raise
        return super().find_class(place, now)


def unpickle(content: bytes) -> Any:
    """Return a pickled value. Never read a pickle from an untrusted source."""
    return Unpickler(io.BytesIO(content)).load()
