"""Tests of reading: by reference, by query, by cursor."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from flowstone.errors import Conflict, RunNotFound
from flowstone.records.events import (
    EXTERNAL_WORK_ENDED,
    EXTERNAL_WORK_STARTED,
    MEASURED,
    ArtifactVersion,
    ExternalHandle,
    LogLine,
    Measures,
    make_birth_event,
    make_change_event,
    make_external_event,
    make_log_event,
    make_measures_event,
)
from flowstone.records.ids import new_id
from flowstone.records.redaction import MASK, register
from flowstone.records.runs import Fence, RunQuery
from flowstone.records.states import CANCELLED, COMPLETED, FAILED, PENDING, RUNNING, State
from flowstone_testing.conformance.laws import histories, law
from flowstone_testing.conformance.samples import (
    artifact,
    begin,
    child_run,
    fence,
    life,
    line,
    root_run,
    step,
)
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from flowstone.ports import RunStore
    from flowstone.records.events import Event
    from flowstone.records.runs import Run


class ReadTests(Suite):
    """`run`, `runs`, `events` and `close`."""

    @pytest.mark.parametrize(
        "ref",
        ["aaaaaaaa-1111-7000-8000-00000000beef", "aaaaaaaa", "aaaaaaaa-1111", "0000beef", "first"],
    )
    def test_a_run_is_found_by_id_part_and_name(self, store: RunStore, ref: str) -> None:
        """A run must be found by its name, or by 8 characters that begin or end only its id."""
        run = _create_named(store, "first", "aaaaaaaa-1111-7000-8000-00000000beef")
        _create_named(store, "second", "aaaaaaab-1111-7000-8000-00000000bee0")
        assert store.run(ref) == run

    def test_task_runs_are_found_too(self, store: RunStore) -> None:
        """A reference may mean a task run in a flow."""
        root = begin(store)
        task = child_run(root, "load-0")
        store.append([make_birth_event(task)], fence(root))
        assert store.run("load-0") == store.run(task.id) == task

    def test_of_one_name_the_newest_is_found(self, store: RunStore) -> None:
        """If several runs have a name, it must resolve to the newest."""
        runs = [begin(store, "nightly") for _ in range(3)]
        assert store.run("nightly") == runs[-1]

    def test_a_part_of_several_finds_none_and_names_them(self, store: RunStore) -> None:
        """A part that matches two runs must raise an error that shows both."""
        keys = [f"aaaaaaaa-1111-7000-8000-00000000000{number}" for number in range(2)]
        for key in keys:
            _create_named(store, "run", key)
        with pytest.raises(RunNotFound) as caught:
            store.run("aaaaaaaa")
        assert all(key in str(caught.value) for key in keys)

    @pytest.mark.parametrize("ref", ["aaaaaaa", "", "%", "aaaa%aaa", "_" * 36, "'", "ü", "\ud83e"])
    def test_what_fits_none_is_not_found(self, store: RunStore, ref: str) -> None:
        """Seven characters must be too few, and no character may be a wildcard."""
        _create_named(store, "first", "aaaaaaaa-1111-7000-8000-00000000beef")
        with pytest.raises(RunNotFound):
            store.run(ref)

    def test_a_near_name_is_suggested(self, store: RunStore) -> None:
        """A typo must get a suggestion: pass the existing names to `RunNotFound`."""
        begin(store, "load-weather")
        with pytest.raises(RunNotFound, match="Did you mean 'load-weather'"):
            store.run("load-wether")

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            (RunQuery(), ["etl", "t1", "sub", "t2", "lone"]),
            (RunQuery(newest_first=True), ["lone", "t2", "sub", "t1", "etl"]),
            (RunQuery(limit=2), ["etl", "t1"]),
            (RunQuery(newest_first=True, limit=1), ["lone"]),
            (RunQuery(limit=0), []),
            (RunQuery(limit=10**30), ["etl", "t1", "sub", "t2", "lone"]),
            (RunQuery(listed=True), ["etl", "sub", "lone"]),
            (RunQuery(unit="step"), ["t1", "t2"]),
            (RunQuery(states=("FAILED",)), ["t2"]),
            (RunQuery(states=("TimedOut", "COMPLETED")), ["t1", "t2"]),
            (RunQuery(states=("Running",), listed=True), ["etl", "sub", "lone"]),
            (RunQuery(tags=("a",)), ["etl", "lone"]),
            (RunQuery(tags=("a", ",")), ["lone"]),
            (RunQuery(tags=('"',)), ["lone"]),
            (RunQuery(tags=("a,b",)), []),
            (RunQuery(unit="nothing"), []),
            (RunQuery(unit="st*"), ["t1", "t2"]),
            (RunQuery(unit="?nner"), ["sub"]),
            (RunQuery(unit="ste?p"), []),
            (RunQuery(unit="*[e]*"), []),
            (RunQuery(unit="STEP*"), []),
            (RunQuery(unit="%*"), []),
            (RunQuery(unit="_tep*"), []),
            (RunQuery(unit="\\*"), []),
            (RunQuery(roots=True), ["etl", "lone"]),
            (RunQuery(roots=True, states=("FAILED",)), []),
            (RunQuery(ids=()), []),
            (RunQuery(root_id="nothing"), []),
            (RunQuery(states=("RUNNING",), unit="unit", newest_first=True, limit=1), ["lone"]),
        ],
    )
    def test_a_query_finds_what_fits(
        self, store: RunStore, query: RunQuery, names: list[str]
    ) -> None:
        """Each field that is set must match; the runs must be ordered by id."""
        root = begin(store, "etl", tags=("a", "b"))
        one, _ = life(child_run(root, "t1"), COMPLETED)
        sub = child_run(root, "sub", kind="flow", unit="inner")
        two = child_run(root, "t2")
        late, _ = step(two, FAILED, name="TimedOut")
        store.append(one, fence(root))
        store.create(make_birth_event(sub))
        store.append([make_birth_event(two), late], fence(root))
        lone = replace(root_run("lone", tags=('"', ",", "a")), kind="task")
        store.create(make_birth_event(lone))
        assert [run.name for run in store.runs(query)] == names

    def test_runs_are_found_by_their_times(self, store: RunStore) -> None:
        """A bound was ignored, or a run that has not ended counts as ended."""
        runs = [begin(store, str(at), created=float(at)) for at in range(4)]
        end = State(COMPLETED, at=100.0)
        store.record(make_change_event(runs[1], end, 1))

        for query, names in (
            (RunQuery(created_since=2.0), ["2", "3"]),
            (RunQuery(created_until=2.0), ["0", "1"]),
            (RunQuery(created_since=1.0, created_until=3.0), ["1", "2"]),
            (RunQuery(ended_until=100.5), ["1"]),
            (RunQuery(ended_until=100.0), []),
        ):
            assert [run.name for run in store.runs(query)] == names

    def test_pages_lead_through_all_runs(self, store: RunStore) -> None:
        """A page began with the last run of the previous one, or a run was skipped."""
        ids = [begin(store).id for _ in range(5)]
        for newest_first in (False, True):
            found: list[str] = []
            for _ in range(3):
                after = found[-1] if found else None
                query = RunQuery(newest_first=newest_first, after=after, limit=2)
                found += [run.id for run in store.runs(query)]
            assert found == (ids[::-1] if newest_first else ids)

    def test_runs_are_found_by_their_ids(self, store: RunStore) -> None:
        """A run that was not requested was returned."""
        runs = [begin(store) for _ in range(3)]
        query = RunQuery(ids=(runs[2].id, "nothing", runs[0].id))
        assert store.runs(query) == [runs[0], runs[2]]

    def test_a_tree_is_read_by_its_root(self, store: RunStore) -> None:
        """Runs of another tree were returned, or some of this one were missing."""
        root, other = begin(store), begin(store)
        tasks = [child_run(root), child_run(root)]
        store.append([make_birth_event(task) for task in tasks], fence(root))
        store.append([make_birth_event(child_run(other))], fence(other))
        assert store.runs(RunQuery(root_id=root.id)) == [root, *tasks]

    def test_cursors_lead_through_all_facts(self, store: RunStore) -> None:
        """Reading from the last cursor must return each fact once, in the order of storing."""
        root = begin(store)
        store.append([line(root, str(number)) for number in range(10)], fence(root))
        everything = store.events()
        found: list[tuple[int, Event]] = []
        for _ in range(3):
            page = store.events(found[-1][0] if found else 0, limit=4)
            assert len(page) <= 4
            found += page
        assert found == everything
        assert store.events(found[-1][0], limit=4) == []
        cursors = [cursor for cursor, _ in found]
        assert cursors == sorted(set(cursors))
        assert cursors[0] > 0

    def test_facts_are_chosen_by_tree_run_and_kind(self, store: RunStore) -> None:
        """A filter of `events` did not exclude others, or filters do not combine."""
        root, other = begin(store), begin(store)
        facts, task = life(child_run(root), COMPLETED)
        store.append([*facts, line(task), line(root)], fence(root))
        store.append([line(other)], fence(other))
        everything = [event for _, event in store.events()]

        def kept(**choice: object) -> list[Event]:
            return [event for _, event in store.events(**choice)]  # type: ignore[arg-type]

        assert kept(root_id=root.id) == [e for e in everything if e.root_id == root.id]
        assert kept(run_id=task.id) == [e for e in everything if e.run_id == task.id]
        assert kept(kinds=("LogWritten",)) == [e for e in everything if e.kind == "LogWritten"]
        both = ("LogWritten", "TaskRunCompleted")
        assert [e.kind for e in kept(root_id=root.id, run_id=task.id, kinds=both)] == [*both[::-1]]
        assert [e.kind for e in kept(kinds=both, limit=1)] == ["TaskRunCompleted"]
        assert kept(root_id=other.id, run_id=task.id) == []
        assert kept(run_id="nothing") == kept(root_id="nothing") == []

    def test_artifacts_are_found_among_other_facts(self, store: RunStore) -> None:
        """An artifact was lost, changed or out of order, or other facts were returned."""
        root, other = begin(store), begin(store)
        facts, task = life(child_run(root), COMPLETED)
        table = [[None, True, 1, 1.5, "ünï 🪨", {"a": [2]}], *([n] * 3 for n in range(2000))]
        first, again, foreign = artifact(task, table), artifact(root, 7.5), artifact(other)
        store.append([line(root), facts[0], first, facts[1], again], fence(root))
        store.append([foreign, line(other)], fence(other))
        kinds = ("ArtifactSaved",)
        found = store.events(kinds=kinds)
        assert [event for _, event in found] == [first, again, foreign]
        assert store.events(found[0][0], kinds=kinds, limit=1) == [found[1]]
        assert store.events(kinds=kinds, root_id=root.id) == found[:2]
        assert store.events(kinds=kinds, run_id=task.id) == found[:1]
        mixed = store.events(kinds=("ArtifactSaved", "LogWritten"), root_id=other.id)
        assert [event.kind for _, event in mixed] == ["ArtifactSaved", "LogWritten"]
        assert store.run(task.id).version == 2

    def test_work_elsewhere_and_measures_read_back(self, store: RunStore) -> None:
        """A handle or measure was changed, or was not found by its kind or tree."""
        root, other = begin(store), begin(store)
        handle = ExternalHandle("query", "warehouse/main", "01ab")
        measures = Measures({"rows": 2**40, "credits": 0.1}, {"rows": "rows", "credits": "credits"})
        facts = [
            make_external_event(root, 1.0, handle, EXTERNAL_WORK_STARTED),
            make_log_event(root, 2.0, LogLine(20, "x", "between")),
            make_measures_event(root, 3.0, measures),
            make_external_event(root, 4.0, handle, EXTERNAL_WORK_ENDED),
        ]
        store.append(facts, fence(root))
        foreign = make_external_event(other, 5.0, handle, EXTERNAL_WORK_STARTED)
        store.append([foreign], fence(other))
        kinds = (EXTERNAL_WORK_STARTED, EXTERNAL_WORK_ENDED, MEASURED)
        found = [event for _, event in store.events(kinds=kinds, root_id=root.id)]
        assert found == [facts[0], facts[2], facts[3]]
        found = [event for _, event in store.events(kinds=[EXTERNAL_WORK_STARTED])]
        assert found == [facts[0], foreign]

    def test_the_end_of_work_left_behind_is_told_by_anybody(self, store: RunStore) -> None:
        """A cleanup could not record that it ended work left behind, or could record more."""
        root = begin(store)
        ended = store.record(make_change_event(root, State(FAILED), root.attempt))
        nobody = Fence(root.id, ended.version, "")
        handle = ExternalHandle("job", "shell-operation/x", "1")
        end = make_external_event(root, 1.0, handle, EXTERNAL_WORK_ENDED)
        for fact in (
            make_external_event(root, 1.0, handle, EXTERNAL_WORK_STARTED),
            make_log_event(root, 1.0, LogLine(20, "x", "y")),
        ):
            with pytest.raises(Conflict):
                store.append([end, fact], nobody)
        store.append([end], nobody)
        assert [event for _, event in store.events(kinds=[EXTERNAL_WORK_ENDED])] == [end]

    def test_notes_are_kept_without_secrets(self, store: RunStore) -> None:
        """An artifact, or the extra data of a log line, contained a registered secret."""
        secret = f"correct horse {new_id()}"
        register(secret)
        root = begin(store)
        said = make_log_event(
            root, 1.0, LogLine(20, "x", f"it is {secret}", {"a": [{secret: secret}]})
        )
        shown = artifact(root, {"columns": [f"<{secret}>"], secret: 1})
        store.append([said, shown], fence(root))
        assert secret not in repr(store.events())
        kept = store.events(kinds=("ArtifactSaved",))[0][1].payload
        assert isinstance(kept, ArtifactVersion)
        assert kept.data == {"columns": [f"<{MASK}>"], MASK: 1}

    def test_task_runs_are_counted_by_caller_and_state(self, store: RunStore) -> None:
        """`tally` counted another tree's runs, flow runs, or a run under a wrong caller."""
        root, other = begin(store), begin(store)
        nested = replace(child_run(root, "nested"), kind="flow")
        inner = replace(child_run(root), parent_id=nested.id)
        ends = [*[COMPLETED] * 2, FAILED]
        facts = [fact for end in ends for fact in life(child_run(root), end)[0]]
        skipped = child_run(root, state=State(PENDING))
        facts += [
            make_birth_event(skipped),
            make_change_event(skipped, State(CANCELLED, "Skipped", "why"), 0),
        ]
        store.append(
            [
                *facts,
                make_birth_event(nested),
                make_birth_event(inner),
                make_birth_event(child_run(root)),
            ],
            fence(root),
        )
        store.append(life(child_run(other), COMPLETED)[0], fence(other))
        mine = {
            root.id: {COMPLETED: 2, FAILED: 1, RUNNING: 1, "SKIPPED": 1},
            nested.id: {RUNNING: 1},
        }
        assert store.tally([root.id]) == mine
        assert store.tally([root.id, other.id]) == {**mine, other.id: {COMPLETED: 1}}
        assert store.tally([]) == {}

    @law
    @given(history=histories())
    def test_facts_read_back_as_they_were(self, store: RunStore, history: list[Event]) -> None:
        """A field of an event was lost or changed: look at its encoding."""
        root: Run = history[0].payload  # type: ignore[assignment]
        store.create(history[0])
        store.append(history[1:], fence(root))
        assert [event for _, event in store.events(root_id=root.id)] == history

    def test_names_of_states_are_kept(self, store: RunStore) -> None:
        """`AwaitingRetry` has the type SCHEDULED: the name must be stored, too."""
        root = begin(store)
        change, root = step(root, State(COMPLETED).type, "from cache", name="Cached")
        store.record(change)
        assert (store.run(root.id).state.name, store.run(root.id).state.message) == (
            "Cached",
            "from cache",
        )

    def test_closing_twice_is_fine(self, store: RunStore) -> None:
        """`close` must be safe to call more than once."""
        store.close()
        store.close()


def _create_named(store: RunStore, name: str, key: str) -> Run:
    run = replace(root_run(name), id=key, root_id=key)
    store.create(make_birth_event(run))
    return run
