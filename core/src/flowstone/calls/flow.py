"""Flows: functions whose calls are flow runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, Unpack, overload

from flowstone.calls.decorator import find_local_names, make_spec, unwrap_function
from flowstone.calls.options import Option, apply_options, unset_options
from flowstone.calls.runnable import Runnable
from flowstone.engine.blocking_calls import call_blocking
from flowstone.errors import ConfigurationError
from flowstone.task_runners.base import TaskRunner, ThreadPoolTaskRunner

if TYPE_CHECKING:
    from flowstone.calls.deployment_options import DeploymentOptions, ServeOptions
    from flowstone.calls.option_types import FlowOptions
    from flowstone.calls.sourced_flow import SourcedFlow
    from flowstone.code.sources import CodeSource
    from flowstone.context.current import Services
    from flowstone.engine.recorder import Takeover
    from flowstone.graphs import Graph
    from flowstone.ports import Runner
    from flowstone.records.deployments import Deployment
    from flowstone.records.specs import Spec

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")

Choice = TaskRunner | type[TaskRunner] | str | None


class Flow(Runnable[P, R]):
    """A function whose calls are flow runs; made by `@flow`.

    Attributes:
        fn: the bare function, for a call without a run.
        name: the flow's name.
        version: the flow's version.
        task_runner: where submitted tasks run.
    """

    flow_run_name: Option[str | Callable[..., str] | None] = Option()

    def __init__(
        self,
        fn: Callable[P, R],
        spec: Spec,
        task_runner: TaskRunner,
        binding: type | None = None,
        around: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(fn, spec, binding, around)
        self.version = spec.version
        self.task_runner = task_runner

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self: Flow[Concatenate[Any, Q], T], instance: object, owner: type | None = ...
    ) -> Flow[Q, T]: ...
    def __get__(self, instance: object, owner: type | None = None) -> object:
        """Bind to an instance or class, as a function would be."""
        return self._bind(instance, owner)

    def _copy_with(self, fn: Callable[P, R], spec: Spec) -> Flow[P, R]:
        return Flow(fn, spec, self.task_runner, None, self._around)

    def _open_runner(self, services: Services) -> Runner:
        return self.task_runner.open(services.settings)

    def validate_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters as a run would get them: coerced, with defaults.

        Raises:
            ParameterBindError, ParameterTypeError: they do not fit.
        """
        bound = self.parameters.bind((), parameters)
        self.parameters.validate(bound)
        return dict(bound.arguments)

    def serialize_parameters(self, parameters: Mapping[str, object]) -> dict[str, object]:
        """Return the parameters as JSON values, as a run's record has them; secrets masked."""
        # JSON takes 3 ms to import; a program that only runs flows in memory does without.
        from flowstone.records.encoding import describe_as_json

        return {name: describe_as_json(value) for name, value in parameters.items()}

    def visualize(self, /, *args: P.args, **kwargs: P.kwargs) -> Graph:
        """Return the graph of what a call would run, without running any task; see `Graph`.

        The flow's own code runs, with stand-ins for the values of tasks. Nothing is kept. On a
        terminal, the picture is opened in the browser.

        Args:
            *args: the flow's own arguments.
            **kwargs: likewise.

        Raises:
            ValueNotComputed: the flow's code needs a task's value for more than to pass it on.
            ParameterBindError, ParameterTypeError: the arguments do not fit.
            Exception: what the flow's own code failed with.
        """
        graph = self._sketch(args, kwargs)
        if sys.stdout is not None and sys.stdout.isatty():
            graph.show()
        return graph

    def generate_mermaid_graph(self, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the graph of what a call would run as text for Mermaid; see `visualize`."""
        return self._sketch(args, kwargs).mermaid()

    def _sketch(self, args: tuple[object, ...], kwargs: dict[str, object]) -> Graph:
        # Layout and drawing: 10 ms that a flow that is run never needs.
        from flowstone.calls.sketch import sketch_call

        return sketch_call(self, args, kwargs)

    def run_again(self, takeover: Takeover, arguments: Mapping[str, object]) -> object:
        """Execute a run that there is once more; its state, or a coroutine of that.

        Args:
            takeover: the run, and the fact of its takeover, which is recorded first.
            arguments: by name.

        Raises:
            Conflict: somebody else was first; nothing was done.
            ParameterBindError, ParameterTypeError: they do not fit; nothing was done.
        """
        return self._take_over(takeover, *self.parameters.rebind(arguments))

    def to_deployment(self, name: str, **options: Unpack[DeploymentOptions]) -> Deployment:
        """Return a deployment of the flow, for `serve`.

        Args:
            name: its name among the deployments of the flow.
            **options: see `DeploymentOptions`.

        Raises:
            ConfigurationError: it is defined where no other process can load it, several kinds of
                schedules are given, or an option is not known.
            ScheduleInvalid: a rule can't be used; what is wrong is pointed at.
            ParameterTypeError: the parameters do not fit the flow's.
        """
        # Above this floor, so it is named, not imported; and schedules take 20 ms to load.
        make_deployment = import_module("flowstone.deployments.declarations").make_deployment
        made: Deployment = make_deployment(self, name, options)
        return made

    def deploy(self, name: str, **options: Unpack[DeploymentOptions]) -> Deployment:
        """Deploy the flow to a work pool, whose workers execute its runs; return what was saved.

        Args:
            name: its name among the deployments of the flow.
            **options: see `DeploymentOptions`; `work_pool_name` must be given.

        Raises:
            ConfigurationError, ScheduleInvalid, ParameterTypeError: as for `to_deployment`; or
                the job variables do not fit the pool.
            ObjectNotFound: there is no such pool, or it has no such queue.
        """
        deploy_flow = import_module("flowstone.deployments.declarations").deploy_flow
        made: Deployment = deploy_flow(self, name, options)
        return made

    def serve(self, name: str | None = None, **options: Unpack[ServeOptions]) -> None:
        """Run the flow when it is due, and when somebody asks for it, until this is stopped.

        Each run has a process of its own. SIGTERM or Ctrl-C ends it when the runs that are being
        executed have ended; a second one ends those, too.

        Args:
            name: of the deployment; None for the flow's name.
            **options: see `ServeOptions`.

        Raises:
            ConfigurationError, ScheduleInvalid, ParameterTypeError: as for `to_deployment`.
        """
        import_module("flowstone.deployments.declarations").serve_flow(self, name, options)

    @staticmethod
    def from_source(source: CodeSource, entrypoint: str) -> SourcedFlow:
        """Return a flow of the code that a source has now, to deploy or serve it.

        The code is kept in the home. It is read as text: what it imports does not have to be
        installed here.

        Args:
            source: the path of a directory; a `GitRepository`, or its address; an `ObjectStore`
                block, or the reference of a saved one as ``"s3-bucket/flows"``.
            entrypoint: where the flow stands in it: ``path/to/file.py:flow`` or
                ``package.module:flow``.

        Raises:
            ConfigurationError: the source can't be reached or is too large, or has no such flow.
            ObjectNotFound: no block is saved by that reference.
            StorageError: the store refused.
        """
        source_flow = import_module("flowstone.deployments.sources").source_flow
        made: SourcedFlow = source_flow(source, entrypoint)
        return made

    @staticmethod
    async def afrom_source(source: CodeSource, entrypoint: str) -> SourcedFlow:
        """Do as `from_source` does, while other coroutines run."""
        return await call_blocking(Flow.from_source, source, entrypoint)

    def with_options(self, **options: Unpack[FlowOptions]) -> Flow[P, R]:
        """Return a flow with some options changed.

        What is not given stays as it is; what is None has its default again.
        """
        unset = "task_runner" in options and options["task_runner"] is None
        default = ThreadPoolTaskRunner() if unset else self.task_runner
        runner = _make_runner(options.get("task_runner"), default)
        spec = apply_options(unset_options(self.spec, options), options)
        return Flow(self.fn, spec, runner, self._binding, self._around)


class FlowDecorator:
    """Make a function's calls flow runs: recorded, retried, and the home of task runs."""

    @overload
    def __call__(self, fn: Callable[P, R], /) -> Flow[P, R]: ...
    @overload
    def __call__(
        self, fn: None = None, /, **options: Unpack[FlowOptions]
    ) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
    def __call__(
        self, fn: Callable[..., Any] | None = None, /, **options: Unpack[FlowOptions]
    ) -> Any:
        """Return the function as a flow.

        Args:
            fn: a sync or async function, or a method.
            **options: see `FlowOptions`.

        Raises:
            ConfigurationError: an option is not known, or its value can't be used.
            UnknownName: no installed package has a task runner of that name.
        """

        def decorate(fn: Callable[..., object]) -> Flow[..., object]:
            function, binding = unwrap_function(fn)
            runner = _make_runner(options.get("task_runner"), ThreadPoolTaskRunner())
            spec = make_spec("flow", function, options)
            return Flow(function, spec, runner, binding, find_local_names())

        return decorate if fn is None else decorate(fn)

    from_source = staticmethod(Flow.from_source)
    afrom_source = staticmethod(Flow.afrom_source)


flow = FlowDecorator()


def _make_runner(choice: Choice, default: TaskRunner) -> TaskRunner:
    if choice is None:
        return default
    if isinstance(choice, str):
        # What packages offer takes 25 ms to look up, for the few flows that name one.
        from flowstone.plugins import catalog

        choice = catalog.load("runner", choice)
    runner = choice() if isinstance(choice, type) else choice
    if not hasattr(runner, "open"):
        remedy = "Use one, as ThreadPoolTaskRunner(max_workers=4), or a name, as 'processes'."
        raise ConfigurationError("option task_runner", f"{runner!r} is no task runner", remedy)
    return runner
