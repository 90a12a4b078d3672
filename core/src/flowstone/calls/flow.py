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
    """A function whose calls are flow runs; created by `@flow`.

    Attributes:
        fn: the undecorated function, to call it without a run.
        name: the flow's name.
        version: the flow's version.
        task_runner: the task runner of submitted tasks.
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
        """Return the parameters that a run would get: coerced, with defaults.

        Raises:
            ParameterBindError, ParameterTypeError: they don't match the parameters.
        """
        bound = self.parameters.bind((), parameters)
        self.parameters.validate(bound)
        return dict(bound.arguments)

    def serialize_parameters(self, parameters: Mapping[str, object]) -> dict[str, object]:
        """Return the parameters as JSON values, as in a run's record, with secrets masked."""
        # JSON takes 3 ms to import; a program that only runs flows in memory doesn't need it.
        from flowstone.records.encoding import describe_as_json

        return {name: describe_as_json(value) for name, value in parameters.items()}

    def visualize(self, /, *args: P.args, **kwargs: P.kwargs) -> Graph:
        """Return the graph of the runs that a call would create, without running any task.

        The flow's own code runs, with placeholders for the values of tasks. Nothing is recorded.
        On a terminal, the picture is opened in the browser. See `Graph`.

        Args:
            *args: the flow's own arguments.
            **kwargs: the flow's own keyword arguments.

        Raises:
            ValueNotComputed: the flow's code uses a task's value, rather than only passing it on.
            ParameterBindError, ParameterTypeError: the arguments do not match the parameters.
            Exception: the error of the flow's own code.
        """
        graph = self._sketch(args, kwargs)
        if sys.stdout is not None and sys.stdout.isatty():
            graph.show()
        return graph

    def generate_mermaid_graph(self, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the graph of a call as a Mermaid diagram; see `visualize`."""
        return self._sketch(args, kwargs).mermaid()

    def _sketch(self, args: tuple[object, ...], kwargs: dict[str, object]) -> Graph:
        # Layout and drawing take 10 ms to import, and running a flow doesn't need them.
        from flowstone.calls.sketch import sketch_call

        return sketch_call(self, args, kwargs)

    def run_again(self, takeover: Takeover, arguments: Mapping[str, object]) -> object:
        """Execute an existing run again; return its state, or a coroutine of it.

        Args:
            takeover: the run, and the event of its takeover, which is recorded first.
            arguments: the arguments by name.

        Raises:
            Conflict: another process was first; nothing was done.
            ParameterBindError, ParameterTypeError: they don't match; nothing was done.
        """
        return self._take_over(takeover, *self.parameters.rebind(arguments))

    def to_deployment(self, name: str, **options: Unpack[DeploymentOptions]) -> Deployment:
        """Return a deployment of the flow, for `serve`.

        Args:
            name: its name among the deployments of the flow.
            **options: see `DeploymentOptions`.

        Raises:
            ConfigurationError: no other process can load the flow from where it is defined, several
                kinds of schedules were passed, or an option is unknown.
            ScheduleInvalid: a schedule is invalid; the message points at the problem.
            ParameterTypeError: the parameters don't match the flow's.
        """
        # It belongs to a higher layer, so it is named, not imported; schedules take 20 ms to load.
        make_deployment = import_module("flowstone.deployments.declarations").make_deployment
        made: Deployment = make_deployment(self, name, options)
        return made

    def deploy(self, name: str, **options: Unpack[DeploymentOptions]) -> Deployment:
        """Deploy the flow to a work pool, whose workers execute its runs; return the deployment.

        Args:
            name: its name among the deployments of the flow.
            **options: see `DeploymentOptions`; `work_pool_name` is required.

        Raises:
            ConfigurationError, ScheduleInvalid, ParameterTypeError: as for `to_deployment`; or
                the job variables are not valid for the pool.
            ObjectNotFound: there is no such pool, or it has no such queue.
        """
        deploy_flow = import_module("flowstone.deployments.declarations").deploy_flow
        made: Deployment = deploy_flow(self, name, options)
        return made

    def serve(self, name: str | None = None, **options: Unpack[ServeOptions]) -> None:
        """Execute the flow's due and requested runs, until the process is stopped.

        Each run has its own process. After SIGTERM or Ctrl-C, this returns when the active runs
        have ended; a second signal ends those, too.

        Args:
            name: the name of the deployment; None for the flow's name.
            **options: see `ServeOptions`.

        Raises:
            ConfigurationError, ScheduleInvalid, ParameterTypeError: as for `to_deployment`.
        """
        import_module("flowstone.deployments.declarations").serve_flow(self, name, options)

    @staticmethod
    def from_source(source: CodeSource, entrypoint: str) -> SourcedFlow:
        """Return a flow from the current code of a source, to deploy or serve it.

        The code is stored in the home. It is read as text, so its imports need not be installed
        here.

        Args:
            source: the path of a directory; a `GitRepository`, or its URL; an `ObjectStore` block,
                or the name of a saved one, such as ``"s3-bucket/flows"``.
            entrypoint: the location of the flow in it: ``path/to/file.py:flow`` or
                ``package.module:flow``.

        Raises:
            ConfigurationError: the source can't be reached or is too large, or has no such flow.
            ObjectNotFound: no block is saved under that name.
            StorageError: the store refused the request.
        """
        source_flow = import_module("flowstone.deployments.sources").source_flow
        made: SourcedFlow = source_flow(source, entrypoint)
        return made

    @staticmethod
    async def afrom_source(source: CodeSource, entrypoint: str) -> SourcedFlow:
        """Async version of `from_source`."""
        return await call_blocking(Flow.from_source, source, entrypoint)

    def with_options(self, **options: Unpack[FlowOptions]) -> Flow[P, R]:
        """Return a flow with some options changed.

        An option that is omitted is not changed; one that is None is reset to its default.
        """
        unset = "task_runner" in options and options["task_runner"] is None
        default = ThreadPoolTaskRunner() if unset else self.task_runner
        runner = _make_runner(options.get("task_runner"), default)
        spec = apply_options(unset_options(self.spec, options), options)
        return Flow(self.fn, spec, runner, self._binding, self._around)


class FlowDecorator:
    """Turn a function into a flow, whose calls are flow runs: recorded, retried, calling tasks."""

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
            ConfigurationError: an option is unknown, or its value is invalid.
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
        # Looking up plugins takes 25 ms, which only the few flows that name one need.
        from flowstone.plugins import catalog

        choice = catalog.load("runner", choice)
    runner = choice() if isinstance(choice, type) else choice
    if not hasattr(runner, "open"):
        remedy = "Use one, such as ThreadPoolTaskRunner(max_workers=4), or a name like 'processes'."
        raise ConfigurationError("option task_runner", f"{runner!r} is not a task runner", remedy)
    return runner
