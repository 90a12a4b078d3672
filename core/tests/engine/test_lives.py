"""Lives under random worlds: whatever goes wrong, and wherever, a run has one honest end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from flowstone.engine.steps import CallFunction, Record, ReleaseSlots, Sleep
from flowstone.errors import FencedRun, RunTimeout, StoreBusy, StoreError, TerminationSignal
from flowstone.records.specs import Spec
from flowstone.states import BIRTH, NEXT, TERMINAL

from .talking import Turnstile, World, plan

ERRORS: list[Callable[[], BaseException]] = [
    ValueError,
    KeyboardInterrupt,
    lambda: SystemExit(1),
    lambda: RunTimeout("t", 1),
    lambda: TerminationSignal("SIGTERM"),
    lambda: FencedRun("t", "Crashed"),
    lambda: StoreBusy("x.db", 60),
]
errors = st.sampled_from(ERRORS).map(lambda make: make())
outcomes = st.lists(st.one_of(st.integers(), errors), min_size=12, max_size=12)
faults = st.dictionaries(st.integers(0, 20), errors, max_size=3)


@settings(max_examples=400, deadline=None)
@given(
    kind=st.sampled_from(["flow", "task"]),
    outcomes=outcomes,
    faults=faults,
    retries=st.integers(0, 4),
    delay=st.floats(0, 100),
    in_the_way=st.sampled_from([None, "limit 'a' is full"]),
)
def test_every_life_has_one_honest_end(
    kind: str,
    outcomes: list[object],
    faults: dict[int, BaseException],
    retries: int,
    delay: float,
    in_the_way: str | None,
) -> None:
    world = World(outcomes, faults=faults)
    turn = Turnstile(in_the_way)
    spec = Spec(kind, "u", retries=retries, retry_delay_seconds=delay)  # type: ignore[arg-type]
    try:
        end = world.talk(plan(spec, owns_children=kind == "flow", slot_request=turn))
    except (StoreError, FencedRun, KeyboardInterrupt, SystemExit, TerminationSignal, ValueError):
        end = None  # the last record itself could not be written: its error comes out
    except RunTimeout:
        end = None

    dismissals = [n for n, step in enumerate(world.steps) if isinstance(step, ReleaseSlots)]
    assert not turn.held or set(dismissals[-2:]) <= faults.keys()  # the last could not be written
    records = world.of(Record)
    kept = [
        step
        for number, step in enumerate(world.steps)
        if isinstance(step, Record) and number not in world.faults
    ]
    types = [record.type for record in kept]
    if types:
        assert types[0] in BIRTH or types[0] in NEXT["PENDING"]  # type: ignore[index]
    for now, then in pairwise(types):
        assert then in NEXT[now], f"{now} -> {then}"
    assert sum(kind in TERMINAL for kind in types) <= 1
    assert len(world.of(CallFunction)) <= retries + 1
    assert all(step.seconds == delay for step in world.of(Sleep))
    if end is not None and not isinstance(end.data, FencedRun):
        assert types[-1] == end.type
        assert end.type in TERMINAL
        assert records[-1].type == end.type
