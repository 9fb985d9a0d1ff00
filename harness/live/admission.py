"""In which order the requests of several sagas are let in: always the same, as far as it can be helped.

A request waits until each saga under way has one waiting; then the saga goes that went least often. So sagas
that run side by side meet in the same order in each run. One that makes the others wait for long is not
waited for: it may be held itself, or backing off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

GRACE_S: Final = 0.06


class AdmissionOrder:
    """``ended`` says whether nothing more is to be expected of a saga."""

    def __init__(self, sagas: Sequence[str], ended: Callable[[str], bool]) -> None:
        self._sagas = tuple(sagas)
        self._ended = ended
        self._passed = dict.fromkeys(sagas, 0)
        self._waiting: list[tuple[int, int, str, asyncio.Future[None]]] = []
        self._next = 0

    async def enter(self, saga: str) -> None:
        """Wait for the turn of a request of ``saga``."""
        if len(self._sagas) < 2 or saga not in self._passed:
            return
        self._next += 1
        turn = asyncio.get_running_loop().create_future()
        entry = (self._passed[saga], self._next, saga, turn)
        self._waiting.append(entry)
        self.look()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await turn
        if entry in self._waiting:
            self._waiting.remove(entry)
        self._passed[saga] += 1

    def look(self) -> None:
        """Let one in, where all that are under way wait."""
        self._waiting = [entry for entry in self._waiting if not entry[3].done()]  # gone in without waiting
        waiting = {saga for _, _, saga, _ in self._waiting}
        if waiting and all(saga in waiting or self._ended(saga) for saga in self._sagas):
            first = min(self._waiting, key=lambda entry: (entry[0], self._sagas.index(entry[2]), entry[1]))
            self._waiting.remove(first)
            first[3].set_result(None)

    def let_all_in(self) -> None:
        """What waits was sent by a process that is about to die: it is in the network already."""
        for entry in sorted(self._waiting, key=lambda entry: (entry[0], self._sagas.index(entry[2]), entry[1])):
            if not entry[3].done():
                entry[3].set_result(None)
        self._waiting.clear()
