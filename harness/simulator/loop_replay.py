"""An event loop meets once more all that it met: its code comes again to where it stood.

Beside the answers of its ports (see `ReplayLog`) a loop is made what it is by the moments at which its waits ended,
and by which answers had come by then, for which requests. With the time set to what it was, and no wait, asyncio takes
the same turns.
"""

from __future__ import annotations

import asyncio
import marshal
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn, Protocol

from .aio import settle
from .message import Message
from .replay_log import LIVE, error_in


class Owner(Protocol):
    """The process that meets it again: its kernel and its loop, with what it is to meet."""

    inputs: Any  # `TimedInputs`
    diary: list[Any]
    kernel: Any
    loop: Any


class LoopReplay:
    """The process is to have its ``inputs`` and ``diary``, and to make ``asked`` requests in its loop. ``over()`` is
    called before the first live answer, and gives those of its requests that are under way, by their numbers;
    ``give_up(msg)`` where code stops to wait for one of them from then on; ``strayed()``, which does not return, where
    the process does something else than before."""

    __slots__ = (
        *("_asked", "_at", "_diary", "_futures", "_give_up", "_inputs", "_over", "_process", "_strayed"),
        "_under_way",
    )

    def __init__(
        self,
        process: Owner,
        asked: int,
        *,
        over: Callable[[], Mapping[int, Message]],
        strayed: Callable[[], NoReturn],
        give_up: Callable[[Message], object],
    ) -> None:
        self._process = process
        self._inputs = process.inputs
        self._diary = iter(process.diary[:])
        self._asked = asked
        self._over = over
        self._strayed = strayed
        self._give_up = give_up
        self._at = 0
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self._under_way: Mapping[int, Message] = {}

    # -- what the process asks ---------------------------------------------------------------

    def answer(self, port: str) -> Any:
        """What ``port`` answered at this place; LIVE where it is to answer itself. Raises what it raised."""
        self._arrivals()
        if self._at == len(self._inputs):
            self._end()
            return LIVE
        entry = self._inputs[self._at]
        if entry[0] != port:
            self._strayed()
        self._process.kernel.now_us = self._inputs.came_us[self._at]
        self._at += 1
        error = error_in(entry)
        if error is not None:
            raise error
        return entry[1]

    def request(self, number: int) -> asyncio.Future[Any] | None:
        """The future of the request of that number; None where it is to be made."""
        if number > self._asked:
            self._end()
            return None
        future: asyncio.Future[Any] = self._process.loop.create_future()
        self._futures[number] = future
        future.add_done_callback(lambda done: self._cancelled(number) if done.cancelled() else None)
        return future

    def waited(self) -> None:
        """The loop has waited as long as it did."""
        met = next(self._diary, None)
        while type(met) is int:
            self._settle(met)
            met = next(self._diary, None)
        if met is None or met[1] != self._at:
            self._strayed()
        self._process.kernel.now_us = met[0]

    def ended(self) -> None:
        """The task of the loop has come to its end, which it had not."""

    # -- what came to it ---------------------------------------------------------------------

    def _arrivals(self) -> None:
        """Give the requests their answers that came before the next answer of another port."""
        while self._at < len(self._inputs) and self._inputs[self._at][0] == "call":
            number = next(self._diary, None)
            if type(number) is not int:
                self._strayed()
            self._settle(number)

    def _settle(self, number: Any) -> None:
        entry = self._inputs[self._at]
        future = self._futures.pop(number, None)
        if entry[0] != "call" or future is None:
            self._strayed()
        self._at += 1
        error = error_in(entry)
        self._process.loop.poke(settle, future, marshal.loads(entry[1]) if error is None else None, error)

    def _cancelled(self, number: int) -> None:
        """Who waited for a request has given it up: that is told where it had not happened before."""
        msg = self._under_way.get(number)
        if msg is not None:
            self._give_up(msg)

    def _end(self) -> None:
        """From here on the ports answer themselves."""
        if self._at != len(self._inputs) or next(self._diary, None) is not None:
            self._strayed()
        self._under_way = under_way = self._over()
        answer = self._process.loop.answer
        for number, future in self._futures.items():
            msg = under_way.get(number)
            if msg is not None:
                msg.on_done = partial(answer, number, future)
            elif not future.done():
                self._strayed()
