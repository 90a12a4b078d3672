"""Flows whose code comes from a directory, a repository or an object store."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Unpack

from flowstone.records.names import check_part_name
from flowstone.records.runs import RestartInfo

if TYPE_CHECKING:
    from flowstone.calls.deployment_options import DeploymentOptions, ServeOptions
    from flowstone.calls.runnable import Runnable
    from flowstone.records.deployments import Deployment
    from flowstone.records.runs import CodeVersion


class SourcedFlow:
    """A flow whose code comes from a source; created by `flow.from_source`.

    The code is that of the source at that time. It is read as text: its imports must be installed
    where it is executed, but not where it is deployed.

    Args:
        deployment: a deployment of the flow, without a name and options.

    Attributes:
        name: the flow's name.
        description: the flow's description.
        version: the flow's version.
        entrypoint: the location of the flow in the code.
        code: the version of the code.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.name = deployment.flow_name
        self.description, self.version = deployment.description, deployment.version
        self.entrypoint = deployment.entrypoint
        self.code: CodeVersion | None = deployment.code

    def __repr__(self) -> str:
        return f"SourcedFlow({self.entrypoint!r}, {str(self.code)!r})"

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call the flow, in this process."""
        return self.load()(*args, **kwargs)

    def load(self) -> Runnable[..., object]:
        """Import the code, and return the flow.

        Raises:
            ConfigurationError: its code raised an error, which is the cause.
        """
        # These modules belong to higher layers, so they are named, not imported.
        load_flow_of_run = import_module("flowstone.flow_runs.executions").load_flow_of_run
        found: Runnable[..., object] = load_flow_of_run(
            RestartInfo(self.entrypoint, code=self.code)
        )
        return found

    def to_deployment(self, name: str, **options: Unpack[DeploymentOptions]) -> Deployment:
        """Return a deployment of the flow; see `Flow.to_deployment`."""
        apply_options = import_module("flowstone.deployments.declarations").apply_options
        plain = replace(self._deployment, name=check_part_name("deployment", name))
        made: Deployment = apply_options(plain, options)
        return made

    def deploy(self, name: str, **options: Unpack[DeploymentOptions]) -> Deployment:
        """Deploy the flow to a work pool, and return the deployment; see `Flow.deploy`."""
        deploy_flow = import_module("flowstone.deployments.declarations").deploy_flow
        made: Deployment = deploy_flow(self, name, options)
        return made

    def serve(self, name: str | None = None, **options: Unpack[ServeOptions]) -> None:
        """Execute the flow's due runs, until the process is stopped; see `Flow.serve`."""
        import_module("flowstone.deployments.declarations").serve_flow(self, name, options)
