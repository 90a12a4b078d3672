"""The connection of this process to Ray; a process can have only one.

Ray ends a process that uses it from another thread after `ray.shutdown`, and starts a local cluster
in one that is not connected: so each use is inside `connection.access`.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from flowstone.errors import ConfigurationError
from flowstone_ray.access_gate import AccessGate
from flowstone_ray.ray_environment import find_address, ray_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowstone_ray.task_runner import RayTaskRunner

#: Maximum number of attempts to connect by Ray Client if the cluster's server for it dies.
CLIENT_ATTEMPTS = 3
#: What Ray says then: it died at once, or later.
_DEATHS = ("Starting Ray client server failed", "Proxy failed to Connect to backend")
logger = logging.getLogger("flowstone.ray")


class SharedConnection:
    """A connection that the flow runs of this program share; the last one closes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._address: str | None = None
        self._opened = ExitStack()
        self._gate = AccessGate()

    @contextmanager
    def use(self, chosen: RayTaskRunner) -> Iterator[None]:
        """Hold the connection that a task runner needs for the duration of the block.

        Raises:
            ConfigurationError: the program is connected to another cluster, or can't be connected.
        """
        with self._lock:
            is_ours = self._join(chosen)
        try:
            yield
        finally:
            if is_ours:
                with self._lock:
                    self._leave()

    @contextmanager
    def access(self) -> Iterator[None]:
        """Keep the connection open for the duration of the block, which uses Ray.

        Raises:
            ConnectionError: this process is not connected.
        """
        import ray  # see below

        with self._gate.access():
            if not ray.is_initialized():
                raise ConnectionError("Ray is not connected")
            yield

    def _join(self, chosen: RayTaskRunner) -> bool:
        """Connect if necessary; return whether the connection is ours to close."""
        address = chosen.address or find_address() or "local"
        with ray_environment(is_local=address == "local"):
            import ray  # it reads the environment when it is imported

        if not ray.is_initialized():
            self._opened = _open(address, chosen)
            self._address = address
        else:
            _check_address(chosen.address, self._address if self._users else None)
            if not self._users:
                return False
        self._users += 1
        return True

    def _leave(self) -> None:
        self._users -= 1
        if not self._users:
            with self._gate.close():
                self._opened.close()


def _open(address: str, chosen: RayTaskRunner) -> ExitStack:
    """Connect, and return the stack that disconnects."""
    import ray  # see above

    options = {"log_to_driver": False, "logging_level": logging.ERROR}
    with ExitStack() as stack:
        if address == "local":
            stack.enter_context(ray_environment(is_local=True))
            options["include_dashboard"] = False
        try:
            with _keep_handler():
                kwargs = {**options, **(chosen.init_kwargs or {})}
                _connect(lambda: ray.init(address=address, **kwargs))
        except (ConnectionError, RuntimeError) as error:
            if address == "local":
                problem, remedy = f"a local Ray could not be started: {error}", "See Ray's logs."
            else:
                problem = f"Ray can't be reached at {address!r}: {error}"
                remedy = "Check the address, and that both sides have the same Ray and Python."
            raise ConfigurationError("RayTaskRunner", problem, remedy) from error
        stack.callback(ray.shutdown)
        return stack.pop_all()


def _connect(connect: Callable[[], object]) -> None:
    """Connect, and try again if the cluster's server for this Ray Client died.

    A cluster forks a server for each client, and gRPC's fork handlers abort up to a third of them:
    https://github.com/ray-project/ray/issues/63202.
    """
    for attempt in range(1, CLIENT_ATTEMPTS + 1):
        try:
            connect()
        except ConnectionAbortedError as error:
            is_dead = any(words in str(error) for words in _DEATHS)
            if not is_dead or attempt == CLIENT_ATTEMPTS:
                raise
            logger.warning(
                "The server that the Ray cluster started for this client died; connecting again "
                "(attempt %d of %d). If this happens often, set GRPC_ENABLE_FORK_SUPPORT=0 in the "
                "environment of `ray start` on the head node.",
                attempt + 1,
                CLIENT_ATTEMPTS,
            )
        else:
            return


def _check_address(wanted: str | None, ours: str | None) -> None:
    """Raise an error if the program is connected to another cluster.

    Args:
        wanted: the address that a task runner has.
        ours: the address to which Flowstone has connected; None if the program did so itself.
    """
    import ray  # see above

    if wanted in {None, "auto", ours}:
        return
    by_client: Callable[[], bool] = ray.util.client.ray.is_connected
    if by_client():
        found = ours or "ray://…"
        is_other = not str(wanted).startswith("ray://") or ours is not None
    else:
        context = ray.get_runtime_context()
        found = context.gcs_address
        # In a task, only the cluster that runs it can be meant, by whatever address.
        is_other = context.worker.mode != ray.WORKER_MODE and _resolve(wanted) != _resolve(found)
    if is_other:
        way_out = (
            "call ray.shutdown() first" if ours is None else "wait until the other flow runs end"
        )
        raise ConfigurationError(
            "RayTaskRunner",
            f"this program is already connected to the Ray cluster at {found}, and can't connect "
            f"to {wanted!r}",
            f"Omit the address, or {way_out}.",
        )


def _resolve(address: str | None) -> tuple[str, str]:
    """Return the IP address and the port of an address, whose host may be a name."""
    host, _, port = str(address).rpartition(":")
    try:
        return socket.gethostbyname(host), port
    except OSError:
        return host, port


@contextmanager
def _keep_handler() -> Iterator[None]:
    """Restore the SIGTERM handler that `ray.init` replaces: flow runs need it to end properly."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


#: The connection of this process.
connection = SharedConnection()
