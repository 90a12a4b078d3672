"""The flow's end of a mailbox: passes the letters of calls to the runs that wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from flowstone_ray.correspondence import Correspondence
from flowstone_ray.mailbox import Mailbox
from flowstone_ray.worker_calls import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.task_runners.remote_pool import SentCall
    from flowstone_ray.mailbox import Letter

#: Maximum number of concurrent methods of the actor: questions that wait, and their answers.
AT_ONCE = 100_000


class StartedMailbox(NamedTuple):
    """A mailbox on the cluster.

    Attributes:
        name: of the actor, which runs on the node of the program.
        actor: its handle; when it is freed, Ray ends the actor.
    """

    name: str
    actor: Any


class Inbox:
    """Distributes the letters of a mailbox while flow runs read them.

    If the mailbox is lost, so are the calls that use it; the next call starts another one.

    Attributes:
        mailbox: the actor; None if it is lost.
    """

    def __init__(self) -> None:
        self._readers_lock = threading.Lock()
        self._readers = 0
        self._lock = threading.Lock()
        self.mailbox: StartedMailbox | None = _start_mailbox()
        self._thread: threading.Thread | None = None
        self._correspondences: dict[str, Correspondence] = {}

    @contextmanager
    def read(self) -> Iterator[None]:
        """Let calls be opened in the block."""
        with self._readers_lock:
            self._readers += 1
        try:
            yield
        finally:
            with self._readers_lock:
                self._readers -= 1
                if not self._readers:
                    self._stop()

    def open(self, call: SentCall) -> tuple[str, Correspondence]:
        """Start to accept the letters of a call.

        Returns:
            The name of the mailbox for them, and the object that accepts the end of the call.

        Raises:
            ConnectionError: nothing reads the mailbox any more.
        """
        with self._lock:
            if not self._readers:
                raise ConnectionError("the flow run has ended")
            mailbox = self.mailbox = self.mailbox or _start_mailbox()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._hand_out, args=(mailbox,), name="flowstone-ray", daemon=True
                )
                self._thread.start()
            found = self._correspondences[call.key] = Correspondence(call)
            return mailbox.name, found

    def close(self, call: SentCall) -> None:
        """Stop accepting the letters of a call."""
        self._correspondences.pop(call.key, None)

    def answer(self, call: SentCall, answer: bytes) -> None:
        """Send the answer to a question of a call."""
        mailbox, found = self.mailbox, self._correspondences.get(call.key)
        if mailbox is not None and found is not None:  # otherwise the call is lost
            mailbox.actor.answer.remote(call.key, found.pop_asking(), answer)

    def _stop(self) -> None:
        """End the reader thread: it must not wait for letters while Ray shuts down."""
        with self._lock:
            mailbox, thread, self._thread = self.mailbox, self._thread, None
        if mailbox is not None and thread is not None:
            with suppress(Exception):  # the cluster is gone, and the thread ends by itself
                mailbox.actor.close.remote()
            thread.join()

    def _hand_out(self, mailbox: StartedMailbox) -> None:
        while True:
            try:
                letters: list[Letter] | None = ray.get(mailbox.actor.take.remote())
            except Exception as error:  # noqa: BLE001 - reported to the run of each call
                self._lose(error)
                return
            if letters is None:
                return
            for letter in letters:
                correspondence = self._correspondences.get(letter.key)
                if correspondence is not None:  # otherwise it was stopped
                    correspondence.take_letter(letter)

    def _lose(self, error: Exception) -> None:
        """Report the loss of the mailbox to all calls that use it."""
        with self._lock:
            self.mailbox = self._thread = None
            for waiting in self._correspondences.copy().values():
                waiting.lose(error)


def _start_mailbox() -> StartedMailbox:
    here = ray.get_runtime_context().get_node_id()
    name = uuid4().hex
    # Ray has types for decorated methods only, which its client refuses.
    mailbox: Any = ray.remote(Mailbox)
    actor = mailbox.options(
        name=name,
        namespace=NAMESPACE,
        num_cpus=0,
        max_concurrency=AT_ONCE,
        # With soft=True, Ray places it on another node if there is one.
        scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
    )
    return StartedMailbox(name, actor.remote())


class Inboxes:
    """The inbox of this program, reused by later flow runs on the same connection.

    An actor is a process, which takes a second to start.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of = ""
        self._inbox: Inbox | None = None

    def find(self) -> Inbox:
        """Return the inbox of the open connection."""
        with self._lock:
            here = _name_connection()
            if self._inbox is None or not here or here != self._of:
                self._inbox, self._of = Inbox(), here
            return self._inbox


def _name_connection() -> str:
    """Return a unique name of the connection; empty if it has none."""
    by_client: Callable[[], bool] = ray.util.client.ray.is_connected
    return "" if by_client() else ray.get_runtime_context().get_worker_id()


inboxes = Inboxes()
