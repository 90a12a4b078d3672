"""TemplateJob: programs of the service, as jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from pydantic import Field

from flowstone.blocks import Job, JobProvider, JobStatus, Report
from flowstone_template.credentials import TemplateCredentials
from flowstone_template.errors import raise_job_errors

if TYPE_CHECKING:
    import httpx


class TemplateJob(Job):
    """A program that the service runs."""

    _block_type_name: ClassVar[str | None] = "Template Job"
    _block_type_slug: ClassVar[str | None] = "template-job"
    _description: ClassVar[str | None] = "A program that the service runs, as a job."
    _code_example: ClassVar[str | None] = 'text = TemplateJob(program="count").run()'

    program: str = Field(description="The name of the program in the service.")
    credentials: TemplateCredentials = Field(
        default_factory=TemplateCredentials,
        description="Credentials; default: the environment's.",
    )

    def make_provider(self) -> ProgramProvider:
        """Return the provider that runs the program."""
        return ProgramProvider(self)


class ProgramProvider(JobProvider):
    """A program of the service; a handle is the number of a run there."""

    #: Maximum seconds between two polls.
    poll_seconds = 2.0
    grace_seconds = 30.0

    def __init__(self, job: TemplateJob) -> None:
        self._job = job

    @property
    def where(self) -> str:
        return f"{self._job.credentials.url or ''}/programs/{self._job.program}"

    def start(self) -> str:
        content = {"program": self._job.program}
        with self._job.credentials.client() as client, raise_job_errors(self.where):
            handle: str = client.post("/runs", json=content).raise_for_status().json()
        return handle

    def report(self, handle: str) -> Report:
        found = self._ask("GET", handle).json()
        return Report(JobStatus(found["status"]), found["problem"])

    def cancel(self, handle: str) -> None:
        self._ask("DELETE", handle)

    def read_logs(self, handle: str, seen: int) -> list[str]:
        lines: list[str] = self._ask("GET", handle).json()["lines"]
        return lines[seen:]

    def read_result(self, handle: str) -> str:
        """Return the output."""
        return "\n".join(self.read_logs(handle, 0))

    def _ask(self, method: str, handle: str) -> httpx.Response:
        with self._job.credentials.client() as client, raise_job_errors(self.where, handle):
            response = client.request(method, f"/runs/{quote(handle, safe='')}")
            return response.raise_for_status()
