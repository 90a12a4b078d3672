"""The live tree: what it knows, what it folds, what it forgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flowstone.cli.run.tree_live import DEEPEST, LiveTree
from flowstone.graphs.tree import FOLD
from flowstone.records.events import Event, make_birth_event, make_change_event
from flowstone.records.ids import new_id
from flowstone.records.runs import Run
from flowstone.records.states import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PENDING,
    RUNNING,
    State,
    StateType,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowstone.cli.views import Branch

NOW = 100.0


def run(above: Run | None = None, unit: str = "step", name: str = "", kind: Any = "task") -> Run:
    key, state = new_id(), State(RUNNING, at=90.0)
    root, parent = (above.root_id, above.id) if above else (key, None)
    return Run(key, kind, name or unit, unit, root, parent, state=state, started=90.0, attempt=1)


def end(run: Run, kind: StateType = COMPLETED, message: str | None = None) -> Event:
    return make_change_event(run, State(kind, message=message, at=95.0), 1)


def text(branches: Iterable[Branch], depth: int = 0) -> list[str]:
    found: list[str] = []
    for branch in branches:
        words = "  ".join(cell.text for cell in branch.cells if cell.text)
        found += ["  " * depth + words, *text(branch.children, depth + 1)]
    return found


def grown(*events: Event) -> LiveTree:
    tree = LiveTree(marks=False)
    tree.observe(events)
    return tree


def test_runs_stand_under_what_called_them_in_their_order() -> None:
    root = run(unit="etl", kind="flow")
    load, inner = run(root, "load"), run(root, "clean", kind="flow")
    deep = run(inner, "load")
    tree = grown(
        *map(make_birth_event, (root, load, inner, deep)), end(deep), end(load, FAILED, "no disk")
    )
    assert text(tree.build_branches(NOW)) == [
        "etl  Running  10.0s",
        "  load  Failed  5.0s  no disk",
        "  clean  flow clean  Running  10.0s",
        "    load  Completed  5.0s",
    ]


def test_nothing_is_known_before_a_birth_and_nothing_comes_twice() -> None:
    root = run()
    tree = grown(
        end(run()), make_birth_event(root), make_birth_event(root), end(root), end(root, FAILED)
    )
    assert text(tree.build_branches(NOW)) == ["step  Completed  5.0s"]
    assert text(grown().build_branches(NOW)) == []


def test_many_of_a_name_are_one_line_with_the_first_bad_ones() -> None:
    root = run(unit="etl", kind="flow")
    steps = [run(root, "step", f"step-{number}") for number in range(1000)]
    tree = grown(make_birth_event(root), *map(make_birth_event, steps))
    tree.observe([end(step) for step in steps[:900]])
    tree.observe([end(step, FAILED, f"bad {step.name}") for step in steps[900:910]])
    tree.observe([end(steps[910], CANCELLED)])
    assert text(tree.build_branches(NOW)) == [
        "etl  Running  10.0s",
        "  step  x1,000  89 running  900 completed  10 failed  1 cancelled",
        "    step-900  Failed  5.0s  bad step-900",
        "    step-901  Failed  5.0s  bad step-901",
        "    step-902  Failed  5.0s  bad step-902",
    ]


def test_what_folded_runs_call_is_counted_together() -> None:
    root = run(unit="etl", kind="flow")
    parents = [run(root, "parent", kind="flow") for _ in range(FOLD + 5)]
    children = [run(parent, "child") for parent in parents for _ in range(3)]
    early = children[:9]
    tree = grown(
        make_birth_event(root),
        *map(make_birth_event, parents[:3]),
        *map(make_birth_event, early),
        *map(end, early[:4]),
    )
    tree.observe([*map(make_birth_event, parents[3:]), *map(make_birth_event, children[9:])])
    tree.observe([*map(end, children[4:]), *map(end, parents)])
    assert text(tree.build_branches(NOW)) == [
        "etl  Running  10.0s",
        f"  parent  x{len(parents)}  {len(parents)} completed",
        f"    child  x{len(children)}  {len(children)} completed",
    ]


def test_what_is_folded_and_over_is_forgotten() -> None:
    root = run(unit="etl", kind="flow")
    tree = grown(make_birth_event(root))
    for _ in range(100):
        steps = [run(root) for _ in range(20)]
        tree.observe([*map(make_birth_event, steps), *map(end, steps)])
    assert len(tree._rows) <= FOLD + 1
    gone = run(root)
    tree.observe([make_birth_event(gone), end(gone), make_birth_event(run(gone, "late"))])
    assert "  late  Running  10.0s" in text(tree.build_branches(NOW))


def test_the_oldest_that_ended_make_room() -> None:
    root = run(unit="etl", kind="flow")
    steps = [run(root, f"step-{number}") for number in range(50)]
    tree = grown(make_birth_event(root), *map(make_birth_event, steps), *map(end, steps[:45]))
    tree.observe([])
    assert text(tree.build_branches(NOW, 12)) == [
        "etl  Running  10.0s",
        "  … 40 more",
        *(f"  step-{number}  Completed  5.0s" for number in range(40, 45)),
        *(f"  step-{number}  Running  10.0s" for number in range(45, 50)),
    ]
    assert len(text(tree.build_branches(NOW))) == 51


def test_what_failed_makes_room_last() -> None:
    root = run(unit="etl", kind="flow")
    steps = [run(root, f"step-{number}") for number in range(20)]
    tree = grown(
        make_birth_event(root),
        *map(make_birth_event, steps),
        end(steps[0], FAILED),
        *map(end, steps[1:]),
    )
    shown = text(tree.build_branches(NOW, 4))
    assert shown == ["etl  Running  10.0s", "  … 18 more", "  step-0  Failed  5.0s",
                     "  step-19  Completed  5.0s"]  # fmt: skip


def test_what_lies_deep_is_counted() -> None:
    chain = [run(unit="dig", kind="flow")]
    for _ in range(500):
        chain.append(run(chain[-1], "dig"))
    drawn = text(grown(*map(make_birth_event, chain)).build_branches(NOW))
    assert len(drawn) == DEEPEST + 2
    assert drawn[-1].strip() == "… 1 more"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_run_is_counted_once_wherever_it_is_folded(data: st.DataObject) -> None:
    tree, runs, log = LiveTree(marks=False), [run(unit="root", kind="flow")], []
    log.append(make_birth_event(runs[0]))
    for _ in range(data.draw(st.integers(0, 120), label="runs")):
        above = data.draw(st.sampled_from(runs))
        runs.append(run(above, data.draw(st.sampled_from("abc"))))
        log.append(make_birth_event(runs[-1]))
        if data.draw(st.booleans()):
            log.append(end(runs[-1], data.draw(st.sampled_from([COMPLETED, FAILED, PENDING]))))
    tree.observe(log)
    assert _counted(tree._top) == len(runs)
    height = data.draw(st.integers(1, 40))
    whole, cut = text(tree.build_branches(NOW)), text(tree.build_branches(NOW, height))
    assert len(cut) <= len(whole)


def _counted(groups: dict[str, Any]) -> int:
    total = 0
    for group in groups.values():
        assert all(count >= 0 for count in group.counts.values())
        assert group.folded or sum(group.counts.values()) == len(group.rows)
        total += sum(group.counts.values()) + _counted(group.groups)
        total += sum(_counted(row.groups) for row in group.rows.values())
    return total
