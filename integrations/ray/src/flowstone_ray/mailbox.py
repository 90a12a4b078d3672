"""The actor through which calls on a cluster send messages to their flow."""

from __future__ import annotations

import asyncio
from typing import NamedTuple


class Letter(NamedTuple):
    """A message of a call.

    Attributes:
        key: of the call.
        execution: identifies one execution of the call, in case Ray retries it.
        number: the position among the messages of the execution, which may arrive out of order.
        message: the serialized message.
        is_question: whether the execution waits for an answer.
    """

    key: str
    execution: str
    number: int
    message: bytes
    is_question: bool = False


class Mailbox:
    """Stores the letters of calls until their flow takes them, and passes its answers back.

    An asynchronous Ray actor: its methods run in one event loop.
    """

    def __init__(self) -> None:
        self._letters: list[Letter] = []
        self._is_closed = False
        self._has_letters = asyncio.Event()
        self._answers: dict[tuple[str, str], asyncio.Future[bytes]] = {}

    async def post(self, letter: Letter) -> None:
        """Store a letter for the flow."""
        self._keep(letter)

    async def ask(self, letter: Letter) -> bytes:
        """Store a question for the flow, and return its answer."""
        question = letter.key, letter.execution
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[question] = answer
        try:
            self._keep(letter)
            return await answer
        finally:
            if self._answers.get(question) is answer:
                del self._answers[question]

    async def answer(self, key: str, execution: str, answer: bytes) -> None:
        """Pass the flow's answer to the execution that waits for it."""
        question = self._answers.get((key, execution))
        if question is not None and not question.done():
            question.set_result(answer)

    async def take(self) -> list[Letter] | None:
        """Wait for letters and return them; None when the mailbox is closed."""
        await self._has_letters.wait()
        self._has_letters.clear()
        if self._is_closed:
            self._is_closed = False
            return None
        letters, self._letters = self._letters, []
        return letters

    async def close(self) -> None:
        """Drop the letters, and wake the reader with None; later reads work again."""
        self._letters.clear()
        self._is_closed = True
        self._has_letters.set()

    def _keep(self, letter: Letter) -> None:
        self._letters.append(letter)
        self._has_letters.set()
