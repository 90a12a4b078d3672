"""The suites bite: each of these broken stores fails the test that is there for it."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from itertools import product
from time import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import is_hypothesis_test

from flowstone.errors import Conflict
from flowstone.records.documents import Document
from flowstone.records.encoding import describe_as_json
from flowstone.records.events import ArtifactVersion, LogLine, Measures
from flowstone.records.runs import Handover, HeartbeatReply, Run, StateChange
from flowstone.records.states import Running
from flowstone.stores.memory import MemoryStore
from flowstone_testing.conformance import DocumentStoreSuite, RunStoreSuite, StoreClock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from flowstone.records.events import Event
    from flowstone.records.runs import Fence, Lease, RunQuery
    from flowstone_testing.conformance import Suite


class ForgetsIdempotency(MemoryStore):
    def _is_kept(self, event: Event) -> bool:
        return False


class IgnoresTheFence(MemoryStore):
    def _check_batch(self, events: Sequence[Event], fence: Fence) -> None:
        pass


class IgnoresTheToken(MemoryStore):
    def _check_batch(self, events: Sequence[Event], fence: Fence) -> None:
        root = self._runs.get(fence.root_id)
        token = root.lease.token if root and root.lease else fence.token
        super()._check_batch(events, replace(fence, token=token))


class IgnoresTheVersion(MemoryStore):
    def _check_batch(self, events: Sequence[Event], fence: Fence) -> None:
        root = self._runs.get(fence.root_id)
        super()._check_batch(events, replace(fence, version=root.version if root else 1))


class SkipsNext(MemoryStore):
    def _apply_change(self, run: Run, change: StateChange) -> Run:
        try:
            return super()._apply_change(run, change)
        except Exception as error:
            if type(error).__name__ == "IllegalTransition":
                return run.apply(change)
            raise


class ComparesOneTooLow(MemoryStore):
    def _apply_change(self, run: Run, change: StateChange) -> Run:
        if change.version == run.version:
            return super()._apply_change(run, replace(change, version=run.version + 1))
        return super()._apply_change(run, change)


class LetsVersionsJump(MemoryStore):
    def _apply_change(self, run: Run, change: StateChange) -> Run:
        return super()._apply_change(
            run, replace(change, version=max(change.version, run.version + 1))
        )


class LeavesChildrenOpen(MemoryStore):
    def _close_tree(self, root: Run) -> None:
        pass


class ClosesEverything(MemoryStore):
    def _close_tree(self, root: Run) -> None:
        for other in list(self._runs.values()):
            if other.is_root:
                super()._close_tree(replace(root, id=other.id))


class LosesOrder(MemoryStore):
    def _keep(self, events: Sequence[Event]) -> None:
        super()._keep(sorted(events, key=lambda event: event.kind))


class KeepsHalfOfARefusedBatch(MemoryStore):
    def append(self, events: Sequence[Event], fence: Fence) -> None:
        self._keep(events[:1])
        super().append(events, fence)


class MovesRunsBack(MemoryStore):
    def _fold(self, event: Event) -> None:
        run, payload = self._runs.get(event.run_id), event.payload
        if run is not None and hasattr(payload, "attempt") and not hasattr(payload, "unit"):
            self._runs[run.id] = run.apply(payload)  # type: ignore[arg-type]
        else:
            super()._fold(event)


class ForgetsEarlyChanges(MemoryStore):
    def _fold(self, event: Event) -> None:
        if event.run_id in self._runs or hasattr(event.payload, "unit"):
            super()._fold(event)


class ReapsTheLiving(MemoryStore):
    def _is_lapsed(self, root: Run, now: float) -> bool:
        return root.lease is not None


class ReapsNobody(MemoryStore):
    def _is_lapsed(self, root: Run, now: float) -> bool:
        return False


class ReapsTheCancelledAsCrashed(MemoryStore):
    def _end_lost(self, root: Run, now: float) -> Run:
        return super()._end_lost(replace(root, state=Running()), now)


class LetsTheReapedWrite(MemoryStore):
    def _end_without_lease(self, event: Event) -> Run:
        return self.record(event)


class RenewsForAnybody(MemoryStore):
    def _renew(self, fence: Fence, seconds: float) -> Run | None:
        root = self._runs.get(fence.root_id)
        lease = root.lease if root else None
        return super()._renew(replace(fence, token=lease.token) if lease else fence, seconds)


class RenewsTooLate(MemoryStore):
    def _is_due(self, lease: Lease, seconds: float) -> bool:
        return super()._is_due(lease, seconds / 3)


class TellsOfLostRunsOnly(MemoryStore):
    def heartbeat(
        self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
    ) -> HeartbeatReply:
        tokens = {fence.token for fence in fences}
        moved, lost = super().heartbeat(fences, seconds, slots)
        told = [run for run in moved if run.lease is None or run.lease.token not in tokens]
        return HeartbeatReply(told, lost)


class RenewsTheFirstOnly(MemoryStore):
    def heartbeat(
        self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
    ) -> HeartbeatReply:
        return super().heartbeat(fences[:1], seconds, slots)


class NeverRenews(MemoryStore):
    def _is_due(self, lease: Lease, seconds: float) -> bool:
        return False


class RenewsByTheClientsClock(MemoryStore):
    def _renew(self, fence: Fence, seconds: float) -> Run | None:
        found = super()._renew(fence, seconds)
        root = self._runs[fence.root_id]
        if root.lease is not None:
            self._runs[root.id] = replace(root, lease=replace(root.lease, until=time() + seconds))
        return found


class RenewsNobodyWhoIsAsked(MemoryStore):
    def _renew(self, fence: Fence, seconds: float) -> Run | None:
        root = self._runs.get(fence.root_id)
        return root if root and root.version != fence.version else super()._renew(fence, seconds)


class StopsAtTheFirstThatMoved(MemoryStore):
    def heartbeat(
        self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
    ) -> HeartbeatReply:
        for number, fence in enumerate(fences):
            reply = super().heartbeat([fence], seconds, slots)
            if reply.runs or number == len(fences) - 1:
                return reply
        return super().heartbeat(fences, seconds, slots)


class LimitsFactsBeforeItChooses(MemoryStore):
    def events(self, after: int = 0, **choice: Any) -> list[tuple[int, Event]]:
        first = super().events(after, limit=choice.pop("limit", None))
        return [each for each in super().events(after, **choice) if each in first]


class RevivesEndedLeases(MemoryStore):
    def _renew(self, fence: Fence, seconds: float) -> Run | None:
        root = self._runs.get(fence.root_id)
        if root is not None and root.lease is not None and root.state.is_final():
            self._runs[root.id] = replace(root, lease=replace(root.lease, until=seconds))
        return super()._renew(fence, seconds)


class BearsUnderEndedRoots(MemoryStore):
    def create(self, event: Event) -> None:
        if not self._is_kept(event):
            self._keep([event])


class BelievesTheClientsClock(MemoryStore):
    def _start_lease(self, event: Event) -> Event:
        return event


class IgnoresTags(MemoryStore):
    def runs(self, query: RunQuery) -> list[Run]:
        return super().runs(replace(query, tags=()))


class IgnoresDeployments(MemoryStore):
    def runs(self, query: RunQuery) -> list[Run]:
        return super().runs(replace(query, deployments=()))


class StartsEarly(MemoryStore):
    def runs(self, query: RunQuery) -> list[Run]:
        until = query.scheduled_until
        return super().runs(replace(query, scheduled_until=until and until + 60.0))


class CallsTheWaitingDead(MemoryStore):
    def _is_lapsed(self, root: Run, now: float) -> bool:
        return root.lease is None or super()._is_lapsed(root, now)


class ForgetsDueTimes(MemoryStore):
    def create(self, event: Event) -> None:
        run = event.payload
        assert isinstance(run, Run)
        super().create(replace(event, payload=replace(run, scheduled_time=None)))


class LimitsBeforeItOrders(MemoryStore):
    def runs(self, query: RunQuery) -> list[Run]:
        found = super().runs(replace(query, newest_first=False))
        return found[::-1] if query.newest_first else found


class CursorsFromTheStart(MemoryStore):
    def events(self, after: int = 0, **choice: Any) -> list[tuple[int, Event]]:
        return super().events(max(after - 1, 0), **choice)


class CountsByTree(MemoryStore):
    def tally(self, root_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        found = super().tally(root_ids)
        return {root_id: counts for counts in found.values() for root_id in root_ids}


class KeepsSecretsBesideLines(MemoryStore):
    def _keep(self, events: Sequence[Event]) -> None:
        before = len(self._events)
        super()._keep(events)
        for number, event in enumerate(self._events[before:], before):
            sent = next(each for each in events if each.id == event.id)
            if isinstance(sent.payload, LogLine):
                line = replace(sent.payload, message="")
                self._events[number] = replace(event, payload=line)


class CutsLongArtifacts(MemoryStore):
    def _keep(self, events: Sequence[Event]) -> None:
        super()._keep([self._cut(event) for event in events])

    def _cut(self, event: Event) -> Event:
        payload = event.payload
        if not isinstance(payload, ArtifactVersion):
            return event
        return replace(event, payload=replace(payload, data=describe_as_json(payload.data)))


class RoundsMeasures(MemoryStore):
    def _keep(self, events: Sequence[Event]) -> None:
        super()._keep([self._round(event) for event in events])

    def _round(self, event: Event) -> Event:
        payload = event.payload
        if not isinstance(payload, Measures):
            return event
        values = {name: round(value) for name, value in payload.values.items()}
        return replace(event, payload=replace(payload, values=values))


class AsksTheCleanerForAToken(MemoryStore):
    def _check_batch(self, events: Sequence[Event], fence: Fence) -> None:
        if not fence.token:
            root = self._runs[fence.root_id]
            raise Conflict(root.name, fence.version, root.version, root)
        super()._check_batch(events, fence)


class RefusesNotesAfterTheEnd(MemoryStore):
    def _check_batch(self, events: Sequence[Event], fence: Fence) -> None:
        super()._check_batch(events, fence)
        root = self._runs[fence.root_id]
        if root.state.is_final() and any(type(e.payload) is not LogLine for e in events):
            raise Conflict(root.name, fence.version, root.version, root)


class LeavesTheLeaseWhereItWas(MemoryStore):
    def _apply_change(self, run: Run, change: StateChange) -> Run:
        return replace(super()._apply_change(run, change), lease=run.lease)


class TakesWhatIsHeld(MemoryStore):
    def _apply_change(self, run: Run, change: StateChange) -> Run:
        return super()._apply_change(replace(run, lease=None), change)


class ForgetsHandovers(MemoryStore):
    def _keep(self, events: Sequence[Event]) -> None:
        before = len(self._events)
        super()._keep(events)
        for number, event in enumerate(self._events[before:], before):
            if isinstance(event.payload, Handover):
                step = event.payload.version, event.payload.state, event.payload.attempt
                self._events[number] = replace(event, payload=StateChange(*step))


class DeletesTheLiving(MemoryStore):
    def _is_deletable(self, root_id: str) -> bool:
        return root_id in self._runs and self._runs[root_id].is_root


class DeletesParts(MemoryStore):
    def delete_trees(self, root_ids: Sequence[str]) -> list[str]:
        roots = [self._runs[each].root_id for each in root_ids if each in self._runs]
        return super().delete_trees(roots)


class LeavesFactsBehind(MemoryStore):
    def _drop(self, gone: Collection[str]) -> None:
        for run in [run for run in self._runs.values() if run.root_id in gone]:
            del self._runs[run.id]


class GivesCursorsAgain(MemoryStore):
    def _drop(self, gone: Collection[str]) -> None:
        super()._drop(gone)
        self._newest = self._cursors[-1] if self._cursors else 0


class DeletesTheFirstHundred(MemoryStore):
    def delete_trees(self, root_ids: Sequence[str]) -> list[str]:
        return super().delete_trees(root_ids[:100])


class RepeatsTheLastOfAPage(MemoryStore):
    def runs(self, query: RunQuery) -> list[Run]:
        found = super().runs(replace(query, after=None, limit=None))
        after = next((n for n, run in enumerate(found) if run.id == query.after), 0)
        return found[after:][: query.limit]


class CountsTheUnfinishedAsEnded(MemoryStore):
    def runs(self, query: RunQuery) -> list[Run]:
        open_ones = replace(query, ended_until=None)
        ended_late = query.ended_until or float("inf")
        return [run for run in super().runs(open_ones) if (run.ended or 0.0) < ended_late]


RUN_MUTANTS = {
    DeletesTheLiving: "test_what_has_not_ended_stays",
    DeletesParts: "test_what_has_not_ended_stays",
    LeavesFactsBehind: "test_a_tree_is_deleted_whole",
    GivesCursorsAgain: "test_a_cursor_is_given_once",
    DeletesTheFirstHundred: "test_many_are_deleted_at_once",
    RepeatsTheLastOfAPage: "test_pages_lead_through_all_runs",
    CountsTheUnfinishedAsEnded: "test_runs_are_found_by_their_times",
    RoundsMeasures: "test_work_elsewhere_and_measures_read_back",
    AsksTheCleanerForAToken: "test_the_end_of_work_left_behind_is_told_by_anybody",
    LeavesTheLeaseWhereItWas: "test_a_root_that_has_ended_is_taken_up",
    TakesWhatIsHeld: "test_nobody_takes_what_is_held",
    ForgetsHandovers: "test_a_handover_reads_back",
    KeepsSecretsBesideLines: "test_notes_are_kept_without_secrets",
    CutsLongArtifacts: "test_artifacts_are_found_among_other_facts",
    RefusesNotesAfterTheEnd: "test_after_the_end_come_notes_only",
    ForgetsIdempotency: "test_a_batch_again_changes_nothing",
    IgnoresTheFence: "test_a_fence_that_does_not_hold_keeps_nothing",
    IgnoresTheToken: "test_a_fence_that_does_not_hold_keeps_nothing",
    IgnoresTheVersion: "test_a_fence_falls_with_a_change_of_the_root",
    SkipsNext: "test_only_moves_of_the_table_are_kept",
    ComparesOneTooLow: "test_a_change_of_another_version_conflicts",
    LetsVersionsJump: "test_a_change_of_another_version_conflicts",
    LeavesChildrenOpen: "test_the_end_of_a_root_ends_its_tree",
    ClosesEverything: "test_the_end_of_a_root_is_its_own",
    LosesOrder: "test_a_batch_is_kept",
    KeepsHalfOfARefusedBatch: "test_a_fence_that_does_not_hold_keeps_nothing",
    MovesRunsBack: "test_an_older_change_does_not_move_a_run_back",
    ForgetsEarlyChanges: "test_a_change_may_come_before_its_birth",
    ReapsTheLiving: "test_only_dead_roots_are_reaped",
    ReapsNobody: "test_a_run_whose_lease_ran_out_has_crashed",
    ReapsTheCancelledAsCrashed: "test_a_run_that_was_being_cancelled_is_cancelled",
    LetsTheReapedWrite: "test_a_reaped_run_takes_nothing_more",
    NeverRenews: "test_a_renewed_lease_lasts",
    RenewsByTheClientsClock: "test_a_renewed_lease_lasts",
    RenewsNobodyWhoIsAsked: "test_a_holder_learns_of_a_cancel_and_keeps_its_lease",
    StopsAtTheFirstThatMoved: "test_each_fence_counts_by_itself",
    LimitsFactsBeforeItChooses: "test_artifacts_are_found_among_other_facts",
    RenewsTooLate: "test_heartbeats_keep_a_lease_alive",
    TellsOfLostRunsOnly: "test_one_beat_renews_all_and_tells_of_each_request",
    RenewsTheFirstOnly: "test_one_beat_renews_all_and_tells_of_each_request",
    RenewsForAnybody: "test_a_lease_of_another_is_not_renewed",
    RevivesEndedLeases: "test_an_ended_run_is_not_renewed",
    BearsUnderEndedRoots: "test_no_run_is_born_under_an_ended_root",
    BelievesTheClientsClock: "test_a_lease_begins_by_the_clock_of_the_store",
    IgnoresDeployments: "test_a_query_finds_what_is_due",
    StartsEarly: "test_a_query_finds_what_is_due",
    CallsTheWaitingDead: "test_a_run_that_waits_is_no_dead_one",
    ForgetsDueTimes: "test_a_run_that_waits_reads_back",
    IgnoresTags: "test_a_query_finds_what_fits",
    LimitsBeforeItOrders: "test_a_query_finds_what_fits",
    CountsByTree: "test_task_runs_are_counted_by_caller_and_state",
    CursorsFromTheStart: "test_cursors_lead_through_all_facts",
}


class IgnoresExpected(MemoryStore):
    def _check(self, kind: str, name: str, old: Document | None, expected: int | None) -> None:
        pass


class SavesAnewWhatIsGone(MemoryStore):
    def _check(self, kind: str, name: str, old: Document | None, expected: int | None) -> None:
        if old is not None:
            super()._check(kind, name, old, expected)


class KeepsTheCallersObject(MemoryStore):
    def put(
        self, kind: str, name: str, body: Mapping[str, Any], *, expected: int | None = None
    ) -> Document:
        document = replace(super().put(kind, name, body, expected=expected), body=body)
        self._documents[kind, name] = document
        return document


class ForgetsWhenItWasMade(MemoryStore):
    def put(
        self, kind: str, name: str, body: Mapping[str, Any], *, expected: int | None = None
    ) -> Document:
        document = super().put(kind, name, body, expected=expected)
        self._documents[kind, name] = replace(document, created=document.updated + 1)
        return document


class DeletesInSilence(MemoryStore):
    def delete(self, kind: str, name: str) -> None:
        self._documents.pop((kind, name), None)


class FindsExactKindsOnly(MemoryStore):
    def find(self, kind: str, **choice: Any) -> list[Document]:
        return super().find(kind, **{**choice, "prefix": not kind})


class FindsByPrefixOnly(MemoryStore):
    def find(self, kind: str, **choice: Any) -> list[Document]:
        return super().find(kind, **{**choice, "prefix": True})


class IgnoresNames(MemoryStore):
    def find(self, kind: str, **choice: Any) -> list[Document]:
        return super().find(kind, **{**choice, "names": None})


class BeginsAPageWithTheLast(MemoryStore):
    def find(self, kind: str, **choice: Any) -> list[Document]:
        after = choice.pop("after", None)
        found = super().find(kind, **{**choice, "limit": None})
        begun = [each for each in found if after is None or (each.kind, each.name) >= after]
        return begun[: choice.get("limit")] if len(begun) > 1 else []


class PagesByNameOnly(MemoryStore):
    def find(self, kind: str, **choice: Any) -> list[Document]:
        after = choice.pop("after", None)
        found = super().find(kind, **{**choice, "limit": None})
        later = [each for each in found if after is None or each.name > after[1]]
        return later[: choice.get("limit")]


class SavesByTheClientsClock(MemoryStore):
    def put(self, kind: str, name: str, body: Mapping[str, Any], **choice: Any) -> Document:
        document = replace(super().put(kind, name, body, **choice), updated=time())
        self._documents[kind, name] = document
        return document


class MixesKinds(MemoryStore):
    def delete(self, kind: str, name: str) -> None:
        for key in [key for key in self._documents if key[1] == name] or [(kind, name)]:
            super().delete(*key)


DOCUMENT_MUTANTS = {
    IgnoresExpected: "test_only_over_the_expected_version",
    SavesAnewWhatIsGone: "test_a_version_is_expected_of_what_is_gone",
    KeepsTheCallersObject: "test_what_is_kept_is_a_copy",
    ForgetsWhenItWasMade: "test_a_document_reads_back_as_it_was",
    DeletesInSilence: "test_what_is_not_there_is_not_found",
    FindsByPrefixOnly: "test_a_kind_is_found_exactly",
    IgnoresNames: "test_documents_are_found_by_names",
    BeginsAPageWithTheLast: "test_pages_lead_through_all_documents",
    PagesByNameOnly: "test_pages_lead_through_all_documents",
    SavesByTheClientsClock: "test_times_are_by_the_clock_of_the_store",
    FindsExactKindsOnly: "test_documents_are_found_by_how_their_kind_begins",
    MixesKinds: "test_kinds_are_apart",
}


def fails(test: Callable[..., None], suite: type[Suite], make: type[MemoryStore]) -> bool:
    """Run one test of a suite, with each of its parameters, on fresh stores."""
    for arguments in choices(test):
        clock = StoreClock()
        if "clock" in signature(test).parameters:
            arguments["clock"] = clock
        try:
            test(suite(), store=make(clock.time), **arguments)
        except (Exception, pytest.fail.Exception):
            return True
    return False


def choices(test: Callable[..., None]) -> Iterator[dict[str, Any]]:
    """Return what `parametrize` would call a test with."""
    sets = []
    for mark in getattr(test, "pytestmark", []):
        names, values = mark.args
        if isinstance(names, str):
            sets.append([{names: value} for value in values])
        else:
            sets.append([dict(zip(names, value, strict=True)) for value in values])
    for parts in product(*sets):
        yield {name: value for part in parts for name, value in part.items()}


@pytest.mark.parametrize("suite", [RunStoreSuite, DocumentStoreSuite])
def test_the_reference_fails_nothing(suite: type[Suite]) -> None:
    tests = {name: getattr(suite, name) for name in dir(suite) if name.startswith("test")}
    plain = {name: test for name, test in tests.items() if not is_hypothesis_test(test)}
    assert len(plain) > 10
    assert [name for name, test in plain.items() if fails(test, suite, MemoryStore)] == []


@pytest.mark.parametrize("mutant", RUN_MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_run_store_is_found_out(mutant: type[MemoryStore]) -> None:
    assert fails(getattr(RunStoreSuite, RUN_MUTANTS[mutant]), RunStoreSuite, mutant)


@pytest.mark.parametrize("mutant", DOCUMENT_MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_document_store_is_found_out(mutant: type[MemoryStore]) -> None:
    test = getattr(DocumentStoreSuite, DOCUMENT_MUTANTS[mutant])
    assert fails(test, DocumentStoreSuite, mutant)
