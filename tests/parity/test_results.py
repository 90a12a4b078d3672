"""Results, serializers and where results are kept."""

from __future__ import annotations

import json
import lzma
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.parity.conftest import states

from flowstone.errors import ConfigurationError, MissingResult, ObjectNotFound, UnknownName
from flowstone.serializers import (
    CompressedJSONSerializer,
    CompressedPickleSerializer,
    CompressedSerializer,
    JSONSerializer,
    PickleSerializer,
)

if TYPE_CHECKING:
    from tests.parity.conftest import Program, Script


def _bodies(folder: str) -> list[bytes]:
    """Return what is kept, each without its two lines of header."""
    return [path.read_bytes().split(b"\n", 2)[2] for path in sorted(Path(folder).rglob("*"))]


def test_storage_by_path_block_and_name(program: Program) -> None:
    program("""
        from pathlib import Path
        from prefect import flow, task
        from prefect.filesystems import LocalFileSystem

        block = LocalFileSystem(basepath="by-block")
        block.save("kept", overwrite=True)

        @task(result_storage=Path("by-path"), result_serializer="json")
        def one(): return [1]

        @task(result_storage=block, result_serializer="json")
        def two(): return [2]

        @task(result_storage="local-directory/kept", result_serializer="json")
        def three(): return [3]

        @flow(result_storage=Path("by-flow"), result_serializer="json")
        def f(): return one() + two() + three() + four()

        @task(persist_result=True)
        def four(): return [4]

        assert f() == [1, 2, 3, 4]
        assert LocalFileSystem.load("kept") == block
    """)
    assert _bodies("by-path") == [b"[1]"]
    assert sorted(_bodies("by-block")) == [b"[2]", b"[3]"]
    assert sorted(_bodies("by-flow")) == [b"[1,2,3,4]", b"[4]"]


def test_members_of_a_file_system(program: Program) -> None:
    program("""
        from pathlib import Path
        from prefect.filesystems import LocalFileSystem

        files = LocalFileSystem(basepath="store")
        files.write_path("a/b.txt", b"hello")
        assert files.read_path("a/b.txt") == b"hello"
        Path("mine").mkdir()
        Path("mine/c.txt").write_text("see")
        files.put_directory(local_path="mine", to_path="theirs")
        files.get_directory("theirs", local_path="back")
        assert Path("back/c.txt").read_text() == "see"
    """)


def test_unknown_storage() -> None:
    from flowstone import task

    with pytest.raises(ObjectNotFound, match="nothing"):
        task(result_storage="local-directory/nothing")(len)([])
    with pytest.raises(UnknownName, match="no-such-kind"):
        task(result_storage="no-such-kind/name")(len)([])


def test_file_names_by_template(program: Program) -> None:
    program("""
        from pathlib import Path
        from prefect import flow, task

        @task(result_storage_key="{parameters[day]}/{flow_run.flow_name}.json",
              result_storage=Path("kept"), result_serializer="json")
        def load(day): return {"day": day}

        @flow(name="nightly")
        def f(): return load("monday"), load("monday")

        f()
    """)
    assert _bodies("kept/monday") == [b'{"day":"monday"}']
    assert json.loads(_bodies("kept/monday")[0]) == {"day": "monday"}
    assert [path.name for path in Path("kept/monday").iterdir()] == ["nightly.json"]
    assert states("load") == ["Completed", "Cached"]


def test_results_outlive_the_process(script: Script) -> None:
    text = """
        from prefect import flow, task
        from prefect.cache_policies import INPUTS

        @task(cache_policy=INPUTS, persist_result=True)
        def load(day):
            print("loading")
            return {"day": day}

        @flow
        def f(): return load("monday")

        print(f())
    """
    assert script(text).stdout == "loading\n{'day': 'monday'}\n"
    assert script(text).stdout == "{'day': 'monday'}\n"


def test_everything_is_persisted_by_a_setting(script: Script) -> None:
    done = script(
        """
        from pathlib import Path
        from prefect import flow, task

        @task
        def load(): return 1

        @task(persist_result=False)
        def secret(): return 2

        @flow
        def f(): return load() + secret()

        f()
        print(len(list(Path("home/storage").iterdir())))
        """,
        FLOWSTONE_RESULTS_PERSIST_BY_DEFAULT="true",
    )
    assert done.stdout == "2\n", done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("json", {"a": [1, 2.5, None]}),
        ("pickle", {1: {2, 3}}),
        ("compressed/json", ["a" * 1000]),
        ("compressed/pickle", ("a" * 1000,)),
    ],
)
def test_serializers_by_name(program: Program, name: str, value: Any) -> None:
    made = program(
        f"""
        from pathlib import Path
        from prefect import task
        from prefect.cache_policies import INPUTS

        @task(cache_policy=INPUTS, result_storage=Path("kept"), result_serializer="{name}")
        def give(): return value

        values = give(), give()
        """,
        value=value,
    )
    assert made.values == (value, value)
    assert states("give") == ["Completed", "Cached"]


def test_serializers_as_objects() -> None:
    value = {"a": [1, 2]}
    assert JSONSerializer().loads(JSONSerializer().dumps(value)) == value
    assert pickle.loads(PickleSerializer().dumps(value)) == value
    both: list[tuple[CompressedSerializer, Any]] = [
        (CompressedJSONSerializer(), json.loads),
        (CompressedPickleSerializer(), pickle.loads),
        (CompressedSerializer(serializer=JSONSerializer(), compressionlib="lzma"), json.loads),
    ]
    for serializer, loads in both:
        assert loads(lzma.decompress(serializer.dumps(value))) == value
        assert serializer.loads(serializer.dumps(value)) == value
    kinds = [serializer.type for serializer, _ in both]
    assert kinds == ["compressed/json", "compressed/pickle", "compressed/json"]
    with pytest.raises(ConfigurationError, match="rar"):
        CompressedSerializer(JSONSerializer(), compressionlib="rar")


def test_frames_are_kept_as_tables(program: Program) -> None:
    """Better on purpose: elsewhere frames are pickled."""
    made = program("""
        from pathlib import Path
        import pandas as pd
        from prefect import task
        from prefect.cache_policies import INPUTS

        @task(cache_policy=INPUTS, result_storage=Path("kept"))
        def load(): return pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})

        same = load().equals(load())
    """)
    assert made.same
    (body,) = _bodies("kept")
    assert b"ARROW1" in body


def test_a_result_that_cannot_be_read_is_made_anew(program: Program) -> None:
    """Better on purpose: elsewhere a broken file fails the task."""
    program("""
        from pathlib import Path
        from prefect import task
        from prefect.cache_policies import INPUTS

        @task(cache_policy=INPUTS, result_storage=Path("kept"))
        def load(): return [1]

        load()
        (path,) = Path("kept").iterdir()
        path.write_bytes(b"broken")
        assert load() == [1]
        assert load() == [1]
    """)
    assert states("load") == ["Completed", "Completed", "Cached"]


def test_values_that_are_not_held_in_memory(program: Program) -> None:
    made = program("""
        import gc
        import time
        from pathlib import Path
        from prefect import flow, task
        from prefect.cache_policies import INPUTS, NO_CACHE
        from prefect.transactions import transaction

        class Frame(list): ...

        def count():
            gc.collect()
            return sum(type(value).__name__ == "Frame" for value in gc.get_objects())

        options = {"cache_policy": INPUTS, "result_storage": Path("kept")}

        @task(cache_result_in_memory=False, **options)
        def load(x): return Frame([x])

        @task
        def size(frame): return len(frame)

        @flow(cache_result_in_memory=False)
        def f():
            futures = [load.submit(1), load.submit(2), load.submit(1)]
            for future in futures:
                future.wait()
            end = time.monotonic() + 300  # a thread may be on its way out of the task
            while (held := count()) and time.monotonic() < end:
                pass
            return held, [future.result() for future in futures], size(futures[0]), size(load(1))

        @flow
        def in_memory():
            before = count()
            futures = load.with_options(cache_result_in_memory=True).map([1, 2])
            futures.wait()
            return count() - before

        @flow
        def not_kept_yet():
            with transaction():
                future = load.with_options(result_storage=Path("other")).submit(7)
                return future.result()

        @flow
        def never_kept(): return load.with_options(cache_policy=NO_CACHE).submit(8).result()

        (held, values, first, direct), all_held = f(), in_memory()
        others = not_kept_yet(), never_kept()
    """)
    assert made.held == 0
    assert [list(value) for value in made.values] == [[1], [2], [1]]
    assert (made.first, made.direct, made.all_held) == (1, 1, 2)
    assert [list(value) for value in made.others] == [[7], [8]]


def test_a_value_that_is_gone_says_so(program: Program) -> None:
    made = program("""
        import shutil
        from pathlib import Path
        from prefect import flow, task
        from prefect.cache_policies import INPUTS

        @task(cache_policy=INPUTS, result_storage=Path("kept"), cache_result_in_memory=False)
        def load(x): return x

        @flow
        def f():
            future = load.submit(1)
            future.wait()
            shutil.rmtree("kept")
            return future.result()
    """)
    with pytest.raises(MissingResult, match="run 'load' can't be read again"):
        made.f()
