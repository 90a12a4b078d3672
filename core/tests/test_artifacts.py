from __future__ import annotations

import asyncio
import math
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from flowstone import flow, task
from flowstone.artifacts import read
from flowstone.artifacts.create import (
    LIMIT,
    Artifact,
    LinkArtifact,
    MarkdownArtifact,
    TableArtifact,
    acreate_link_artifact,
    acreate_markdown_artifact,
    acreate_progress_artifact,
    aupdate_progress_artifact,
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from flowstone.context.current import Services
from flowstone.errors import ArtifactInvalid, ObjectNotFound
from flowstone.records.events import Event
from flowstone.records.redaction import MASK, register
from flowstone.records.runs import RunQuery

pytestmark = pytest.mark.usefixtures("services")


def in_a_flow(fn: Any, *args: Any, **kwargs: Any) -> Any:
    @flow
    def around() -> Any:
        return fn(*args, **kwargs)

    return around()


def facts(services: Services) -> list[Event]:
    return [event for _, event in services.runs.events(kinds=["ArtifactSaved"])]


@pytest.mark.parametrize(
    ("create", "given", "kind", "data"),
    [
        (create_link_artifact, "https://x.org", "link", {"link": "https://x.org", "text": "X"}),
        (create_markdown_artifact, "# Hi", "markdown", "# Hi"),
        (create_table_artifact, [{"a": 1}, {"a": None}], "table", [{"a": 1}, {"a": None}]),
        (create_table_artifact, {"a": (1, 2)}, "table", {"a": [1, 2]}),
        (create_table_artifact, [[1, "x"]], "table", [[1, "x"]]),
        (create_progress_artifact, 50, "progress", 50.0),
        (create_image_artifact, "https://x.org/i.png", "image", "https://x.org/i.png"),
    ],
)
def test_an_artifact_is_a_fact_of_the_run_that_saved_it(
    services: Services, create: Any, given: Any, kind: str, data: Any
) -> None:
    @task
    def show() -> str:
        more = {"link_text": "X"} if kind == "link" else {}
        key: str = create(given, key="my-key-1", description="about", **more)
        return key

    made = in_a_flow(show)
    [event] = facts(services)
    [run] = services.runs.runs(RunQuery(unit="show"))
    assert (event.run_id, event.root_id) == (run.id, run.root_id)
    version: Any = event.payload
    assert (version.id, version.kind, version.key) == (made, kind, "my-key-1")
    assert (version.description, version.data) == ("about", data)


def test_a_table_may_hold_what_people_put_in_tables() -> None:
    row = [date(2026, 1, 2), Decimal("1.5"), math.nan, math.inf, np.int64(3), np.float64(0.5)]
    row += [UUID(int=7), {1, 2}, b"x", np.nan]
    in_a_flow(create_table_artifact, [row], key="odd")
    [kept] = read.find("odd").artifact.data
    assert kept[:6] == ["2026-01-02", "1.5", None, None, 3, 0.5]
    assert kept[6:] == [str(UUID(int=7)), [1, 2], "x", None]


@pytest.mark.parametrize("table", ["text", 3, [1, 2], {"a": 1}, None])
def test_what_is_no_table_is_refused(table: Any) -> None:
    with pytest.raises(ArtifactInvalid, match="not a table"):
        in_a_flow(create_table_artifact, table)


def test_a_text_has_to_be_one() -> None:
    with pytest.raises(ArtifactInvalid, match="a bytes is not a str"):
        in_a_flow(create_markdown_artifact, b"x")


@pytest.mark.parametrize("key", ["", "Big", "a b", "a_b", "-a", "a-", "ü"])
def test_a_key_has_its_form(key: str, services: Services) -> None:
    with pytest.raises(ArtifactInvalid, match="not a key"):
        in_a_flow(create_markdown_artifact, "x", key=key)
    assert facts(services) == []


def test_the_limit_is_told_before_anything_is_kept(services: Services) -> None:
    in_a_flow(create_markdown_artifact, "x" * (LIMIT - 100))
    with pytest.raises(ArtifactInvalid, match="object store") as caught:
        in_a_flow(create_markdown_artifact, "ü" * (LIMIT // 2))
    assert "1,000,009 bytes" in str(caught.value)
    assert len(facts(services)) == 1


@task
def show_done() -> str:
    return create_markdown_artifact("# done", key="report")


@pytest.mark.parametrize(
    "save",
    [
        show_done.fn,
        lambda: create_table_artifact([{"a": 1}]),
        lambda: create_progress_artifact(5, key="report"),
        lambda: asyncio.run(acreate_link_artifact("https://x.org")),
        lambda: MarkdownArtifact(markdown="# done").create(),
    ],
)
def test_outside_a_run_an_artifact_is_of_no_run(services: Services, save: Any) -> None:
    made = save()
    [event] = facts(services)
    found = read.find(made)
    assert (event.run_id, event.root_id, found.run_id, found.root_id) == ("", "", "", "")
    assert found.id == made
    assert services.runs.runs(RunQuery()) == []
    assert services.runs.events(root_id="another") == []


def test_outside_a_run_progress_is_updated_and_secrets_are_masked(services: Services) -> None:
    made = create_progress_artifact(5, key="report")
    update_progress_artifact(made, 50)
    register("hunter2-hunter2")
    create_markdown_artifact("it is hunter2-hunter2", key="secret")
    assert [each.versions for each in read.find_versions("report")] == [1]
    assert (read.find("report").data, read.find("secret").data) == (50.0, f"it is {MASK}")


def test_a_secret_is_masked(services: Services) -> None:
    register("hunter2-hunter2")
    in_a_flow(create_markdown_artifact, "it is hunter2-hunter2", description="hunter2-hunter2")
    in_a_flow(create_table_artifact, {"hunter2-hunter2": ["<hunter2-hunter2>"]})
    assert "hunter2" not in repr(facts(services))
    assert MASK in repr(facts(services))


def test_the_newest_version_of_a_key_is_read() -> None:
    @flow
    def report(number: int) -> str:
        create_markdown_artifact(f"free {number}")
        return create_markdown_artifact(f"version {number}", key="report")

    ids = [report(number) for number in range(3)]
    found = read.find("report")
    assert (found.id, found.artifact.data, found.versions) == (ids[-1], "version 2", 3)
    assert [each.id for each in read.find_versions("report")] == ids
    assert read.find(ids[0]).artifact.data == "version 0"
    assert read.find(ids[1][-12:]).id == ids[1]
    listed = read.find_newest(abstracts=True)
    assert [(each.key, each.artifact.data) for each in listed] == [
        (None, "free 0"),
        (None, "free 1"),
        (None, "free 2"),
        ("report", "version 2"),
    ]
    assert len(read.find_newest(root_id=found.root_id)) == 2


def test_more_artifacts_than_a_page_are_read() -> None:
    @flow
    def many() -> None:
        for number in range(read.PAGE + 5):
            create_markdown_artifact("x", key=f"n-{number}")

    many()
    assert len(read.find_newest()) == read.PAGE + 5


def test_an_unknown_artifact_is_told_with_near_keys() -> None:
    in_a_flow(create_markdown_artifact, "x", key="weather-report")
    with pytest.raises(ObjectNotFound, match="Did you mean 'weather-report'"):
        read.find("wether-report")


def test_progress_is_live(services: Services) -> None:
    seen = []

    @task
    def work() -> None:
        made = create_progress_artifact(0, key="load", description="rows")
        for percent in (25, 75.5):
            assert update_progress_artifact(made, percent) == made
            services.journal.flush()  # what another process sees a moment later
            now = read.find("load")
            seen.append((now.artifact.data, now.artifact.description, now.versions))

    in_a_flow(work)
    assert seen == [(25.0, "rows", 1), (75.5, "rows", 1)]


def test_progress_made_elsewhere_is_updated_too() -> None:
    from flowstone.artifacts import create

    @flow
    def around() -> None:
        made = create_progress_artifact(1, key="far")
        create._progress.clear()  # as in another process
        update_progress_artifact(made, 2, description="new")
        with pytest.raises(ArtifactInvalid, match="is a markdown"):
            update_progress_artifact(create_markdown_artifact("x"), 2)
        with pytest.raises(ObjectNotFound):
            update_progress_artifact("no-such-artifact", 2)

    around()
    found = read.find("far").artifact
    assert (found.data, found.description) == (2.0, "new")


@pytest.mark.parametrize(("given", "kept"), [(-1, 0.0), (101, 100.0), (math.inf, 100.0)])
def test_progress_is_held_between_0_and_100(services: Services, given: float, kept: float) -> None:
    in_a_flow(create_progress_artifact, given, key="p")
    assert read.find("p").artifact.data == kept
    lines = [event.payload for _, event in services.runs.events(kinds=["LogWritten"])]
    assert any("was taken as" in line.message for line in lines)  # type: ignore[union-attr]


def test_progress_has_to_be_a_number() -> None:
    with pytest.raises(ArtifactInvalid, match="not a number"):
        in_a_flow(create_progress_artifact, math.nan)


def test_async_twins_do_the_same() -> None:
    @flow
    async def around() -> str:
        await acreate_markdown_artifact("# Async", key="twin")
        made = await acreate_progress_artifact(1)
        return await aupdate_progress_artifact(made, progress=2)

    made = asyncio.run(around())
    assert read.find("twin").artifact.data == "# Async"
    assert read.find(made).artifact.data == 2.0


def test_classes_save_and_read() -> None:
    assert Artifact.get("later") is None

    @flow
    def around() -> tuple[bool, bool]:
        MarkdownArtifact(markdown="one", key="later").create()
        found = Artifact.get("later")
        assert found is not None
        assert found.artifact.data == "one"
        _, made = TableArtifact.get_or_create("table", table=[[1]])
        _, again = TableArtifact.get_or_create("table", table=[[2]])
        LinkArtifact(link="https://x.org").create()
        return made, again

    assert around() == (True, False)
    assert read.find("table").artifact.data == [[1]]
    assert asyncio.run(Artifact.aget("table")) == Artifact.get("table")


def test_a_hook_may_save_one_after_the_end(services: Services) -> None:
    def summary(flow: Any, run: Any, state: Any) -> None:
        create_markdown_artifact(f"{run.name} is {state.name}", key="summary")

    @flow(flow_run_name="it", on_completion=[summary])
    def around() -> None: ...

    around()
    services.journal.flush()
    assert read.find("summary").artifact.data == "it is Completed"


@pytest.mark.parametrize(
    ("create", "given", "line"),
    [
        (create_markdown_artifact, "\n## **Weather**\n\nsunny", "Weather"),
        (create_markdown_artifact, "", ""),
        (create_table_artifact, [[1], [2]], "2 rows"),
        (create_table_artifact, {"a": [1]}, "1 row"),
        (create_table_artifact, [], "0 rows"),
        (create_progress_artifact, 12.5, "12.5%"),
        (create_link_artifact, "https://x.org", "https://x.org"),
    ],
)
def test_an_abstract_is_one_line(create: Any, given: Any, line: str) -> None:
    in_a_flow(create, given, key="a")
    [found] = read.find_newest(abstracts=True)
    assert found.artifact.data == line


def test_an_artifact_is_saved_for_a_run_by_who_watches_it(services: Services) -> None:
    @flow
    def watched() -> None: ...

    watched()
    (run,) = services.runs.runs(RunQuery())
    LinkArtifact(link="https://example.org/7", link_text="seven").create_for(run)
    services.journal.flush()
    (event,) = [event for _, event in services.runs.events(kinds=["ArtifactSaved"])]
    assert (event.run_id, event.root_id) == (run.id, run.id)
