"""Overrides of a job's settings for one run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from flowstone.runtime import flow_run
from flowstone_dbt.cloud.records import JsonObject

CAUSE = "Triggered by Flowstone"


class TriggerJobRunOptions(BaseModel):
    """Overrides for one run of a dbt Cloud job; None keeps the job's setting."""

    model_config = ConfigDict(extra="forbid")

    cause: str | None = Field(
        default=None, description="The reason shown in dbt Cloud; by default, the flow run."
    )
    git_sha: str | None = Field(default=None, description="The commit to check out.")
    git_branch: str | None = Field(default=None, description="The branch to check out.")
    schema_override: str | None = Field(default=None, description="Another schema to build in.")
    dbt_version_override: str | None = Field(default=None, description="Another version of dbt.")
    threads_override: int | None = Field(default=None, description="Another number of threads.")
    target_name_override: str | None = Field(default=None, description="Another target name.")
    generate_docs_override: bool | None = Field(
        default=None, description="Whether docs are generated."
    )
    timeout_seconds_override: int | None = Field(
        default=None, description="Seconds after which dbt Cloud itself cancels the run."
    )
    steps_override: list[str] | None = Field(
        default=None, description="Commands to run instead of those of the job."
    )

    def make_body(self) -> JsonObject:
        """Return the body of the request that triggers a run."""
        given = self.model_dump(exclude_none=True)
        return {"cause": _make_cause(), **given}


def _make_cause() -> str:
    return f"{CAUSE}, flow run {flow_run.name}" if flow_run.name else CAUSE
