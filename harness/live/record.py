"""What a case leaves while it runs: the trace of a live system."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from ..fault_kinds import NOTHING, Impossible
from ..faults import Fault, FaultKind
from ..history import ACK, APPLY, DELIVER, ERROR, LOST, REJECT, SEND, TIMEOUT
from ..simulator import Setup
from ..trace import Run, SiteKey, Strike, Trace
from .ledger import Call
from .resting import with_rests

REQUESTS: Final = frozenset((SEND, DELIVER, APPLY, REJECT, ERROR, ACK, LOST, TIMEOUT))
"""The events of a request; where that is about no step, it asks for something and does nothing."""


class Record(Trace):
    """A trace by the wall clock. ``changed`` is set at each event; ``disturbed`` says that a caller gave up although no
    fault was done to its request. ``deeds`` counts the events that are about a saga, but for those in which somebody
    only asks; ``acted`` is when the last of them was, by the monotonic clock. ``idle`` are the numbers of the faults of
    which nothing came."""

    def __init__(self, setup: Setup, faults: tuple[Fault, ...]) -> None:
        self.setup = setup
        self.started = time.monotonic()
        self.changed = asyncio.Event()
        self.disturbed = False
        self.idle: list[int] = []
        self.deeds = 0
        self.acted = self.started
        super().__init__(faults, lambda: int((time.monotonic() - self.started) * 1e6), setup.scenario.spared)

    def add(
        self,
        kind: str,
        process: str,
        data: tuple[Any, ...] = (),
        *,
        saga: str = "",
        step: str = "",
        direction: str = "",
        msg: int = 0,
        call: Call | None = None,
    ) -> None:
        """Note an event, of a request where there is one, now."""
        if call is not None:
            self.add_of(call, kind, process, data)
        else:
            super().add(kind, process, data, saga=saga, step=step, direction=direction, msg=msg)
        if call.step if call is not None else saga and (step or kind not in REQUESTS):
            self.deeds += 1
            self.acted = time.monotonic()
        self.changed.set()

    def visit(self, site: SiteKey, impossible: Impossible = NOTHING) -> Strike | None:
        """See `Trace.visit`. A fault strikes once."""
        strike = super().visit(site, impossible)
        spent = strike is not None and any(number == strike.number for _, number in self.fired)
        return None if spent else strike

    def number_of(self, call: Call, kind: FaultKind) -> int:
        """Of the fault in the plan that strikes this request."""
        return self._faults[(*call.known_by, kind.phase, call.attempt)].number

    def came_to_nothing(self, call: Call, kind: FaultKind) -> None:
        """The moment at which the fault of that kind was to strike did not come."""
        self.idle.append(self.number_of(call, kind))

    def run(self, *, clock_read: bool = False) -> Run:
        run = super().run(clock_read=clock_read)
        found = with_rests(run.sites, run.site_rows, run.rows, self.impossible)
        return run._replace(fired=tuple(sorted(run.fired)), idle=tuple(sorted(self.idle)), impossible=found)
