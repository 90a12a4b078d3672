"""Programs: random flows of tasks, as data; and the flows and tasks that act them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from .ledger import INNER, OUTER, RATE

KEYS = ("k1", "k2")
TRANSACTIONS = ("t1", "t2")


@dataclass(frozen=True, slots=True)
class Holds:
    """Slots that are held around something; see `flowstone.concurrency`."""

    names: tuple[str, ...]
    occupy: int
    timeout: float | None
    lease: float
    raises: bool


class Extras(NamedTuple):
    """What may be in a program besides tasks and flows, drawn by a generator of its own."""

    rng: Random
    slots: bool
    pauses: bool
    wide: Random | None
    loops: Random | None


@dataclass(slots=True)
class Node:
    """One call of a task or flow.

    Attributes:
        number: its argument, by which its function finds it again; also its value.
        kind: how it is called: ``call``, ``submit``, ``map``, ``flow``, ``cached``, ``pause``,
            ``stream``, or ``loop`` for an async flow; or ``hold``, ``ask``, ``suspend``,
            ``transaction``, which are no runs.
        fails: so many attempts raise first.
        naps: seconds that an attempt takes, in parts.
        retries, delay: of the task or flow.
        limit: seconds until an attempt is killed; None for no limit. Only of what is submitted.
        needs: nodes whose futures it gets, or waits for.
        how: how it gets them: as arguments, as ones that may fail, or by `wait_for`.
        asks: whether its flow asks for the result.
        nodes: what a flow does.
        returns: of a flow: its futures, or a value.
        tagged: whether it has the tag that has a limit.
        holds: the slots that it holds while it is at work.
        again: of an outermost flow: whether its caller retries it when it has not completed.
        patience: seconds that a pause waits for an answer.
        window: so many runs of a stream may be in flight.
        walks: how many of a stream are walked over; the rest is left to the end of its flow.
    """

    number: int
    kind: str
    fails: int = 0
    naps: tuple[float, ...] = ()
    retries: int = 0
    delay: float = 0.0
    limit: float | None = None
    needs: tuple[int, ...] = ()
    how: str = "arguments"
    asks: bool = False
    count: int = 1
    key: str = ""
    workers: int = 2
    hooks: bool = False
    returns: str = "value"
    tagged: bool = False
    holds: Holds | None = None
    patience: float = 0.0
    again: bool = False
    window: int = 0
    walks: int = 0
    nodes: list[Node] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{self.kind} {self.number}{f' x{self.count}' if self.count > 1 else ''}"]
        if self.key:
            parts.append(f"key {self.key}")
        if self.fails:
            parts.append(f"fails {self.fails}x")
        if self.retries:
            parts.append(f"{self.retries} retries after {self.delay:g} s")
        if self.naps:
            parts.append(f"takes {'+'.join(f'{nap:g}' for nap in self.naps)} s")
        if self.limit is not None:
            parts.append(f"limit {self.limit:g} s")
        if self.needs:
            parts.append(f"{self.how} of {', '.join(map(str, self.needs))}")
        if self.asks:
            parts.append("asked for")
        if self.tagged:
            parts.append("tagged")
        if self.holds is not None:
            parts.append(f"holds {self.holds.occupy} of {'+'.join(self.holds.names)}")
        if self.again:
            parts.append("retried")
        if self.patience:
            parts.append(f"waits for {self.patience:g} s")
        if self.window:
            parts.append(f"window {self.window}, walks {self.walks}")
        if self.kind == "flow":
            parts.append(f"{self.workers} workers, returns {self.returns}")
        return ", ".join(parts)

    def lines(self, indent: str = "") -> list[str]:
        return [
            f"{indent}{self}",
            *(line for node in self.nodes for line in node.lines(indent + "  ")),
        ]


class Generator:
    """Makes programs; all nodes of one process are in `nodes`, by number."""

    def __init__(self, rng: Random, extras: Extras) -> None:
        self._rng, self._extras = rng, extras
        self.nodes: dict[int, Node] = {}

    def loop(self) -> Node:
        """Return an async flow, whose tasks are async, and at once or one by one."""
        rng = self._extras.loops
        assert rng is not None
        node = self._node("loop")
        node.retries, node.fails = rng.choice((0, 0, 1)), rng.choice((0, 0, 1))
        node.delay, node.asks = rng.choice((0.0, 2.0)), rng.random() < 0.5
        node.hooks = rng.random() < 0.3
        for _ in range(rng.randint(1, 4)):
            child = self._node(rng.choice(("call", "cached", "pause")))
            child.naps = tuple(rng.choice((0.0, 0.02, 0.3, 4.0)) for _ in range(rng.choice((1, 2))))
            child.fails, child.retries = rng.choice((0, 0, 1)), rng.choice((0, 1))
            child.delay, child.hooks = rng.choice((0.0, 0.5)), rng.random() < 0.3
            child.key = rng.choice(KEYS) if child.kind == "cached" else ""
            if self._extras.slots and child.kind == "call":
                child.tagged = rng.random() < 0.5
                child.holds = Holds((INNER,), 1, rng.choice((None, 3.0)), 6.0, False)
            node.nodes.append(child)
        return node

    def flow(self, depth: int = 0) -> Node:
        rng = self._rng
        node = self._node("flow")
        node.retries = rng.choice((0, 0, 0, 1))
        node.fails = rng.choice((0, 0, 0, 0, 1))
        node.delay = rng.choice((0.0, 2.0))
        node.workers = rng.choice((1, 2, 4))
        node.hooks = rng.random() < 0.3
        node.returns = rng.choice(("value", "futures"))
        submitted: list[int] = []
        for _ in range(rng.randint(1, 5 if depth == 0 else 3)):
            child = self._step(depth, submitted)
            node.nodes.append(child)
            if child.kind in {"submit", "map"}:
                submitted.append(child.number)
        if self._extras.slots and depth == 0:
            self._hold_around(node)
        if self._extras.pauses:
            self._wait_in(node, depth)
            node.again = depth == 0 and self._extras.rng.random() < 0.3
        if self._extras.wide is not None:
            self._widen(node, depth, self._extras.wide)
        if self._extras.loops is not None and depth == 0:
            node.nodes.insert(self._extras.loops.randint(0, len(node.nodes)), self.loop())
        return node

    def _widen(self, flow: Node, depth: int, rng: Random) -> None:
        """Add streams and transactions, and tasks that outlast the patience of a flow that ends."""
        flow.again = flow.again or (depth == 0 and rng.random() < 0.7)
        for node in flow.nodes:
            if node.kind in {"submit", "map"} and rng.random() < 0.4:
                node.naps = (rng.choice((9.0, 14.0)), *node.naps)
        for _ in range(rng.choice((0, 1, 1))):
            make = rng.choice((self._stream, self._transaction))
            flow.nodes.insert(rng.randint(0, len(flow.nodes)), make(rng))

    def _stream(self, rng: Random) -> Node:
        node = self._node("stream")
        node.count, node.window = rng.randint(2, 6), rng.randint(1, 3)
        node.walks = rng.choice((node.count, node.count, 0, 1))
        node.naps = (rng.choice((0.0, 0.02, 0.3, 2.0)),)
        node.fails, node.retries = rng.choice((0, 0, 0, 1)), rng.choice((0, 0, 1))
        node.asks = rng.random() < 0.5
        return node

    def _transaction(self, rng: Random) -> Node:
        node = self._node("transaction")
        node.key, node.fails = rng.choice(TRANSACTIONS), rng.choice((0, 0, 0, 1))
        for _ in range(rng.randint(1, 3)):
            step = self._node("step")
            step.naps = (rng.choice((0.0, 0.02, 0.3)),)
            step.fails, step.retries = rng.choice((0, 0, 0, 0, 1)), rng.choice((0, 1))
            node.nodes.append(step)
        return node

    def _hold_around(self, flow: Node) -> None:
        """Let some of a flow's steps be in a block that holds slots."""
        rng = self._extras.rng
        at = rng.randrange(len(flow.nodes))
        inside = flow.nodes[at : at + rng.randint(1, 2)]
        if rng.random() < 0.5:
            block = self._node("hold")
            block.holds = self._holds((OUTER,))
            block.nodes = inside
            flow.nodes[at : at + len(inside)] = [block]

    def _wait_in(self, flow: Node, depth: int) -> None:
        """Let a flow wait for somebody, here and there."""
        rng = self._extras.rng
        for _ in range(rng.choice((0, 1, 1, 2))):
            node = self._node(rng.choice(("ask", "ask", "suspend")) if depth == 0 else "ask")
            node.patience = rng.choice((1.5, 4.0, 12.0))
            flow.nodes.insert(rng.randint(0, len(flow.nodes)), node)

    def _limit(self, node: Node) -> None:
        """Let a task hold slots: for its tag, and around its work."""
        rng = self._extras.rng
        node.tagged = rng.random() < 0.5
        if rng.random() < 0.4:
            node.holds = self._holds(rng.choice(((INNER,), (INNER,), (RATE,))))

    def _holds(self, names: tuple[str, ...]) -> Holds:
        rng = self._extras.rng
        timeout = rng.choice((None, None, None, 0.0, 3.0))
        return Holds(
            names, rng.choice((1, 1, 2)), timeout, rng.choice((3.0, 6.0)), rng.random() < 0.3
        )

    def _step(self, depth: int, submitted: list[int]) -> Node:
        rng = self._rng
        kinds = ["call", "submit", "submit", "map", "cached", "pause"]
        if depth < 2:
            kinds.append("flow")
        kind = rng.choice(kinds)
        if kind == "flow":
            return self.flow(depth + 1)
        node = self._node(kind)
        node.naps = tuple(
            rng.choice((0.0, 0.0, 0.02, 0.3, 4.0)) for _ in range(rng.choice((0, 1, 1, 2)))
        )
        if kind == "pause":
            return node
        node.fails = rng.choice((0, 0, 0, 1, 2))
        node.retries = rng.choice((0, 0, 1, 2))
        node.delay = rng.choice((0.0, 0.5, 3.0))
        node.hooks = rng.random() < 0.1
        if self._extras.slots:
            self._limit(node)
        if kind == "cached":
            node.key = rng.choice(KEYS)
            node.asks = rng.random() < 0.5
            return node
        if kind in {"submit", "map"}:
            node.asks = rng.random() < 0.4
            node.limit = rng.choice((None, None, None, 2.0))
            node.count = rng.randint(2, 4) if kind == "map" else 1
        if submitted and rng.random() < 0.5:
            node.needs = tuple(rng.sample(submitted, min(len(submitted), rng.randint(1, 2))))
            node.how = rng.choice(("arguments", "arguments that may fail", "wait_for"))
        return node

    def _node(self, kind: str) -> Node:
        node = Node(len(self.nodes) + 1, kind)
        self.nodes[node.number] = node
        return node
