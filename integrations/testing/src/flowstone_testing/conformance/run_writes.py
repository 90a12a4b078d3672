"""Tests of single births and changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import Conflict, IllegalTransition, MissingResult, RunNotFound
from flowstone.records import redaction
from flowstone.records.events import (
    ARTIFACT_SAVED,
    ArtifactVersion,
    make_artifact_event,
    make_birth_event,
    make_change_event,
)
from flowstone.records.ids import new_id
from flowstone.records.runs import RunQuery
from flowstone.records.states import (
    CANCELLED,
    COMPLETED,
    CRASHED,
    FAILED,
    NEXT,
    PAUSED,
    RUNNING,
    SCHEDULED,
    State,
    StateType,
)
from flowstone_testing.conformance.samples import (
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


class WriteTests(Suite):
    """`create` and `record`."""

    def test_a_created_run_reads_back_as_it_was(self, store: RunStore) -> None:
        """A field of `Run` was lost or changed: look at its encoding."""
        parameters = {
            "n": 1,
            "text": "naïve 🪨 \x00",
            "list": [1.5, None, True],
            "nested": {"": []},
        }
        root = root_run(
            "ünï", tags=("a", 'q"'), unit_version="v1", parameters=parameters, inputs=("x",)
        )
        store.create(make_birth_event(root))
        assert store.run(root.id) == root

    def test_creating_again_changes_nothing(self, store: RunStore) -> None:
        """A repeated birth was stored twice, or moved the run back: look at idempotency."""
        root = root_run()
        birth = make_birth_event(root)
        store.create(birth)
        change, root = step(root, PAUSED)
        store.record(change)
        store.create(birth)
        assert store.run(root.id) == root
        assert [event for _, event in store.events(root_id=root.id)] == [birth, change]

    def test_an_artifact_of_no_run_is_kept_and_makes_none(self, store: RunStore) -> None:
        """An artifact without a run was lost, or stored as a run: look at `create`."""
        root = begin(store)
        version = ArtifactVersion(new_id(), "markdown", "report", None, "# done")
        saved = make_artifact_event(None, 1.0, version)
        store.create(saved)
        store.create(saved)
        assert [event for _, event in store.events(kinds=[ARTIFACT_SAVED])] == [saved]
        assert saved not in [event for _, event in store.events(root_id=root.id)]
        assert store.runs(RunQuery()) == [root]

    def test_a_child_that_is_created_belongs_to_its_tree(self, store: RunStore) -> None:
        """A subflow run is written at once, too: look at `create` for runs with a parent."""
        root = begin(store)
        nested = child_run(root, "nested", kind="flow")
        store.create(make_birth_event(nested))
        assert store.runs(RunQuery(root_id=root.id)) == [root, nested]

    def test_no_run_is_born_under_an_ended_root(self, store: RunStore) -> None:
        """A run was created after its root's end, so it would never end."""
        root = begin(store)
        end, root = step(root, CANCELLED)
        store.record(end)
        with pytest.raises(Conflict) as caught:
            store.create(make_birth_event(child_run(root, kind="flow")))
        assert caught.value.actual == store.run(root.id)
        assert len(store.runs(RunQuery(root_id=root.id))) == 1

    def test_a_change_is_recorded_and_returned(self, store: RunStore) -> None:
        """`record` must store the change and return the run after it."""
        root = begin(store)
        change, after = step(root, PAUSED, "waiting for Ann")
        assert store.record(change) == after
        assert store.run(root.id) == after
        assert store.events(root_id=root.id)[-1][1] == change

    def test_recording_again_changes_nothing(self, store: RunStore) -> None:
        """A repeated change must return the run unchanged, without a conflict or a second fact."""
        root = begin(store)
        first, after = step(root, PAUSED)
        second, last = step(after, RUNNING)
        store.record(first)
        store.record(second)
        assert store.record(first) == last
        assert len(store.events(root_id=root.id)) == 3

    @pytest.mark.parametrize("off", [-1, 1])
    def test_a_change_of_another_version_conflicts(self, store: RunStore, off: int) -> None:
        """The compare-and-set accepted a change for another version of the run."""
        root = begin(store)
        change, root = step(root, PAUSED)
        store.record(change)
        stale = replace(root, version=root.version + off)
        with pytest.raises(Conflict) as caught:
            store.record(step(stale, RUNNING)[0])
        assert caught.value.actual == root
        assert (caught.value.expected, caught.value.version) == (root.version + off, root.version)
        assert store.run(root.id) == root
        assert len(store.events(root_id=root.id)) == 2

    @pytest.mark.parametrize("now", StateType)
    def test_only_moves_of_the_table_are_kept(self, store: RunStore, now: StateType) -> None:
        """The store accepted a transition that is not in `NEXT`, or refused one that is."""
        for then in StateType:
            root = begin(store)
            change, run = step(root, now)
            store.record(change)
            change, after = step(run, then)
            if then in NEXT[now]:
                assert store.record(change).state == after.state
            else:
                with pytest.raises(IllegalTransition):
                    store.record(change)
                assert store.run(root.id).state == run.state
                assert len(store.events(root_id=root.id)) == 2

    def test_an_unknown_run_is_not_found(self, store: RunStore) -> None:
        """`record` must raise for an unknown run."""
        with pytest.raises(RunNotFound):
            store.record(step(root_run(), PAUSED)[0])

    def test_times_are_of_the_first_start_and_the_last_end(self, store: RunStore) -> None:
        """`started` is set once; `ended` is cleared when a run resumes: see `Run.apply`."""
        run = begin(store, state=State(SCHEDULED, at=1.0), started=None)
        for at, kind in enumerate((RUNNING, FAILED, SCHEDULED, RUNNING, COMPLETED), 2):
            run = store.record(step(run, kind, at=float(at))[0])
            assert run.ended == (at if kind in {FAILED, COMPLETED} else None)
        assert (run.started, run.ended) == (2.0, 6.0)

    def test_a_run_that_is_taken_up_again_has_no_lease(self, store: RunStore) -> None:
        """The dead writer could write the resumed run: remove its lease on the new start."""
        root = begin(store)
        writer = fence(root)
        for kind in (FAILED, SCHEDULED):
            root = store.record(step(root, kind)[0])
        assert root.lease is None
        with pytest.raises(Conflict):
            store.append([line(root)], replace(writer, version=root.version))

    def test_values_stay_in_the_process(self, store: RunStore) -> None:
        """The store must not store a run's result: `State.data` must be dropped."""
        root = begin(store)
        store.record(make_change_event(root, State(COMPLETED, data=object()), 1))
        with pytest.raises(MissingResult):
            store.run(root.id).state.result()

    def test_secrets_are_masked(self, store: RunStore) -> None:
        """A registered secret was stored unmasked: encode with `wire`."""
        secret = "s3cr3t-of-the-suite"  # noqa: S105 - a sample
        redaction.register(secret)
        root = begin(store, parameters={"password": f"it is {secret}"})
        task, _ = life(child_run(root), FAILED)
        store.append([*task, line(root, f"see {secret}")], fence(root))
        change, _ = step(root, FAILED, f"bad {secret}")
        store.record(change)
        assert secret not in repr(store.events(root_id=root.id))
        assert secret not in repr(store.runs(RunQuery(root_id=root.id)))

    @pytest.mark.parametrize(
        ("end", "left"),
        [(COMPLETED, CANCELLED), (FAILED, CANCELLED), (CANCELLED, CANCELLED), (CRASHED, CRASHED)],
    )
    def test_the_end_of_a_root_ends_its_tree(
        self, store: RunStore, end: StateType, left: StateType
    ) -> None:
        """A run of a finished root stayed unfinished, or a finished run was changed."""
        root = begin(store, "the root")
        nested = child_run(root, kind="flow")
        store.create(make_birth_event(nested))
        done, done_run = life(child_run(root), COMPLETED)
        open_task = child_run(nested, state=State(SCHEDULED))
        open_task = replace(open_task, root_id=root.id)
        store.append([*done, make_birth_event(open_task)], fence(root))
        before = store.events()[-1][0]
        change, root = step(root, end)
        store.record(change)
        for run in (store.run(nested.id), store.run(open_task.id)):
            assert run.state.type is left
            assert (run.version, run.ended) == (2, root.state.at)
            assert "the root" in (run.state.message or "")
        assert store.run(done_run.id) == done_run
        facts = [event for _, event in store.events(before)]
        assert facts[0] == change
        assert {event.run_id for event in facts[1:]} == {nested.id, open_task.id}

    def test_the_end_of_a_root_is_its_own(self, store: RunStore) -> None:
        """Runs of other trees were ended, too."""
        other, root = begin(store), begin(store)
        task = child_run(other)
        store.append([make_birth_event(task)], fence(other))
        store.record(step(root, CRASHED)[0])
        assert [store.run(run.id) for run in (other, task)] == [other, task]

    def test_the_end_of_a_child_is_its_own(self, store: RunStore) -> None:
        """Only the end of a root must end the tree."""
        root = begin(store)
        nested, task = child_run(root, kind="flow"), child_run(root)
        store.create(make_birth_event(nested))
        store.append([make_birth_event(task)], fence(root))
        store.record(step(nested, FAILED)[0])
        assert [store.run(run.id) for run in (root, task)] == [root, task]

    def test_no_child_goes_on_under_an_ended_root(self, store: RunStore) -> None:
        """A child was resumed after its root's end, so it would never end."""
        root = begin(store)
        nested = child_run(root, kind="flow")
        store.create(make_birth_event(nested))
        end, nested = step(nested, FAILED)
        store.record(end)
        store.record(step(root, FAILED)[0])
        with pytest.raises(Conflict):
            store.record(step(nested, SCHEDULED)[0])
        assert store.run(nested.id) == nested

    def test_of_many_writers_one_wins(self, store: RunStore) -> None:
        """Two threads made the same transition: the compare-and-set is not atomic."""
        root = begin(store)

        def attempt(number: int) -> bool:
            try:
                store.record(step(root, PAUSED, f"by {number}")[0])
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(attempt, range(8))) == 1
        assert len(store.events(root_id=root.id)) == 2
