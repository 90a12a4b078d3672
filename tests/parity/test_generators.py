"""Flows and tasks that yield, as people write them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.parity.conftest import states

if TYPE_CHECKING:
    from tests.parity.conftest import Program


def test_generators(program: Program) -> None:
    program("""
        from prefect import flow, task

        @task
        def numbers(count):
            for number in range(count):
                yield number

        @task
        def double(x): return 2 * x

        @flow
        def doubled(count):
            for number in numbers(count):
                yield double(number)

        @flow
        def collected(): return [x for x in numbers(3)]

        @flow
        def submitted(): return numbers.submit(3).result()

        assert list(doubled(3)) == [0, 2, 4]
        assert collected() == submitted() == [0, 1, 2]
        assert list(numbers(2)) == [0, 1]
    """)
    assert set(states("numbers")) == {"Completed"}
    assert states("doubled") == ["Completed"]


def test_async_generators(program: Program) -> None:
    made = program("""
        import asyncio
        from prefect import flow, task

        @task
        async def pages(count):
            for page in range(count):
                await asyncio.sleep(0)
                yield page

        @flow
        async def read():
            async for page in pages(3):
                yield page * 10

        async def main(): return [page async for page in read()]
    """)
    assert asyncio.run(made.main()) == [0, 10, 20]
    assert states("pages") == states("read") == ["Completed"]


def test_a_generator_that_fails(program: Program) -> None:
    made = program("""
        from prefect import flow, task

        @task
        def numbers():
            yield 1
            raise ValueError("no more")

        @flow
        def f():
            seen = []
            try:
                for number in numbers():
                    seen.append(number)
            except ValueError as error:
                seen.append(str(error))
            return seen

        seen = f()
    """)
    assert made.seen == [1, "no more"]
    assert states("numbers") == ["Failed"]
