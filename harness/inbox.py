"""Messages that came to a process of a service, until its own consumer has taken and acknowledged them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from .messages import Message


class Delivery:
    """One delivery of a message: that of its broker ends when ``done`` does."""

    def __init__(self, message: Message, loop: asyncio.AbstractEventLoop) -> None:
        self.message = message
        self.done: asyncio.Future[None] = loop.create_future()

    def acknowledge(self) -> None:
        """It is handled."""
        self._end(None)

    def refuse(self, reason: str) -> None:
        """It is to come again."""
        self._end(Refused(reason))

    def _end(self, error: Exception | None) -> None:
        self.done.get_loop().call_soon_threadsafe(_settle, self.done, error)


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if not done.done():
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


class Refused(Exception):
    """A consumer gave a message back."""


class Inbox:
    """The messages that have come and are not taken, by topic, in the order in which it came."""

    def __init__(self) -> None:
        self._arrived: dict[str, deque[Delivery]] = {}
        self._wake: list[Callable[[], object]] = []

    async def handle(self, message: Message) -> None:
        """Keep a message until it is acknowledged. Raises Refused where it is given back."""
        delivery = Delivery(message, asyncio.get_running_loop())
        self._arrived.setdefault(message.topic, deque()).append(delivery)
        wake, self._wake = self._wake, []
        for each in wake:
            each()
        await delivery.done

    def take(self, topics: Iterable[str]) -> Delivery | None:
        """The first that has come of some topics; None where there is none."""
        for topic in topics:
            if found := self._arrived.get(topic):
                return found.popleft()
        return None

    def waiting(self, topic: str) -> int:
        """How many of a topic have come and are not taken."""
        return len(self._arrived.get(topic, ()))

    def when_more_comes(self, wake: Callable[[], object]) -> None:
        """Call ``wake()`` when the next one has come."""
        self._wake.append(wake)
