"""Artifacts and variables, as people make them; see also `test_runs_tell.py`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowstone.artifacts import (
    Artifact,
    ImageArtifact,
    LinkArtifact,
    MarkdownArtifact,
    ProgressArtifact,
    TableArtifact,
    read,
)
from flowstone.errors import ArtifactInvalid, ObjectAlreadyExists
from flowstone.variables import Variable

if TYPE_CHECKING:
    from tests.parity.conftest import Program, Script


def test_functions(program: Program) -> None:
    made = program("""
        from prefect import flow, task
        from prefect.artifacts import (
            create_image_artifact,
            create_link_artifact,
            create_markdown_artifact,
            create_progress_artifact,
            create_table_artifact,
            update_progress_artifact,
        )

        @task
        def report(rows):
            ids = [
                create_table_artifact(table=rows, key="late-orders", description="To be called"),
                create_table_artifact({"a": [1, 2], "b": [3, 4]}),
                create_markdown_artifact(markdown="# Orders", key="summary"),
                create_link_artifact("https://example.com/orders.csv", link_text="all", key="csv"),
                create_image_artifact(image_url="https://example.com/plot.png", key="plot"),
            ]
            bar = create_progress_artifact(progress=0.0, description="half an hour")
            for percent in (50, 100):
                update_progress_artifact(artifact_id=bar, progress=percent)
            return [*ids, bar]

        @flow
        def f(): return report([{"order": 7, "days": 3}])

        ids = f()
    """)
    newest = read.find_newest()
    assert [saved.artifact.id for saved in newest] == made.ids
    assert [saved.artifact.kind for saved in newest] == [
        "table", "table", "markdown", "link", "image", "progress",
    ]  # fmt: skip
    assert newest[-1].artifact.data == 100.0


def test_async_twins(program: Program) -> None:
    made = program("""
        from prefect import flow
        from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

        @flow
        async def f():
            await acreate_markdown_artifact(markdown="# Async", key="note")
            await acreate_table_artifact(table=[{"a": 1}], key="rows")
    """)
    asyncio.run(made.f())
    assert [saved.key for saved in read.find_newest()] == ["note", "rows"]


def test_classes(program: Program) -> None:
    made = program("""
        from prefect import flow
        from prefect.artifacts import (
            Artifact, ImageArtifact, LinkArtifact, MarkdownArtifact, ProgressArtifact,
            TableArtifact,
        )

        @flow
        def f(text):
            MarkdownArtifact(key="notes", markdown=text, description="of the day").create()
            LinkArtifact(key="link", link="https://example.com").create()
            TableArtifact(key="table", table=[[1, 2]]).create()
            ImageArtifact(key="image", image_url="https://example.com/a.png").create()
            ProgressArtifact(key="progress", progress=10).create()
            found, created = MarkdownArtifact.get_or_create(key="notes", markdown="other")
            other, made = MarkdownArtifact.get_or_create(key="new", markdown="new")
            return created, made, Artifact.get("notes").description, Artifact.get("none")

        first = f("one")
        second = f("two")
    """)
    assert made.first == (False, True, "of the day", None)
    assert made.second == (False, False, "of the day", None)
    notes = Artifact.get("notes")
    assert notes is not None
    assert (notes.key, notes.type, notes.data) == ("notes", "markdown", "two")  # the newest
    kinds = (LinkArtifact, TableArtifact, ImageArtifact, ProgressArtifact, MarkdownArtifact)
    assert all(issubclass(kind, Artifact) for kind in kinds)


def test_keys_and_runs_are_checked(program: Program) -> None:
    made = program("""
        from prefect import flow
        from prefect.artifacts import create_markdown_artifact

        @flow
        def f(key): create_markdown_artifact("text", key=key)
    """)
    with pytest.raises(ArtifactInvalid, match="'No Spaces' is not a key"):
        made.f("No Spaces")
    assert made.create_markdown_artifact("text", key="key")  # saved, of no run


def test_variables(program: Program) -> None:
    program("""
        import asyncio
        from prefect import flow, task
        from prefect.variables import Variable

        @task
        def size(): return Variable.get("batch_size", default=10)

        @flow
        def f(): return size()

        assert f() == 10
        Variable.set("batch_size", 50)
        assert f() == 50
        Variable.set(name="batch_size", value=60, tags=["tuning"], overwrite=True)
        assert f() == 60
        for value in ("text", 1.5, True, None, [1, "a"], {"deep": {"er": [None]}}):
            Variable.set("any", value, overwrite=True)
            assert Variable.get("any") == value
        assert Variable.unset("batch_size") is True
        assert Variable.unset("batch_size") is False
        assert Variable.get("batch_size") is None

        async def main():
            await Variable.aset("later", {"a": 1})
            return await Variable.aget("later"), await Variable.aunset("later")

        assert asyncio.run(main()) == ({"a": 1}, True)
    """)


def test_a_variable_is_not_overwritten_by_mistake() -> None:
    Variable.set("once", 1)
    with pytest.raises(ObjectAlreadyExists, match="overwrite=True"):
        Variable.set("once", 2)
    assert Variable.get("once") == 1
    Variable.unset("once")


def test_a_variable_may_be_large() -> None:
    """Better on purpose: elsewhere a value has 5,000 characters at the most."""
    Variable.set("large", "x" * 6000, overwrite=True)
    assert len(Variable.get("large")) == 6000
    Variable.unset("large")


def test_both_outlive_the_process(script: Script) -> None:
    done = script("""
        from prefect import flow
        from prefect.artifacts import create_markdown_artifact
        from prefect.variables import Variable

        @flow
        def f():
            Variable.set("day", "monday")
            create_markdown_artifact("# Kept", key="kept")

        f()
    """)
    assert done.returncode == 0, done.stderr
    done = script("""
        from prefect.artifacts import Artifact
        from prefect.variables import Variable

        print(Variable.get("day"), Artifact.get("kept").artifact.data)
    """)
    assert done.stdout == "monday # Kept\n", done.stderr
