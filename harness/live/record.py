"""What a case leaves while it runs: the events so far, and the sites that it reached."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final

from ..faults import Fault
from ..history import Row
from ..saga import COMPENSATION
from ..simulator import Run, Setup
from .ledger import Call

MAX_ATTEMPT: Final = 6
"""Attempts of one call at which faults are injected, as in the simulator."""


@dataclass
class Record:
    """See above. ``fired`` has, for each fault that struck, how many events there were before, and its number."""

    setup: Setup
    faults: tuple[Fault, ...]
    rows: list[Row] = field(default_factory=list)
    sites: list[Any] = field(default_factory=list)
    site_rows: list[int] = field(default_factory=list)
    impossible: dict[int, tuple[str, ...]] = field(default_factory=dict)
    fired: list[tuple[int, int]] = field(default_factory=list)
    recovery: int = -1
    compensation: int = -1
    capped: bool = False
    disturbed: bool = False
    started: float = field(default_factory=time.monotonic)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(
        self,
        kind: str,
        process: str,
        data: tuple[Any, ...] = (),
        *,
        saga: str = "",
        step: str = "",
        call: Call | None = None,
    ) -> None:
        """Note an event, now."""
        t_us = int((time.monotonic() - self.started) * 1e6)
        if call is not None:
            row: Row = (
                t_us, kind, process, call.saga, call.step, call.direction, call.attempt, call.key, call.id, data,
            )  # fmt: skip
        else:
            row = (t_us, kind, process, saga, step, "", 0, None, 0, data)
        self.rows.append(row)
        self.changed.set()

    def visit(self, site: tuple[str, str, str, str, int], impossible: tuple[str, ...] = ()) -> tuple[str, int]:
        """A site is reached: the kind of fault planned for it with its number, or ("", -1)."""
        if site[4] > MAX_ATTEMPT:
            self.capped = True
            return "", -1
        if self.compensation < 0 and site[2] == COMPENSATION:
            self.compensation = len(self.sites)
        if impossible:
            self.impossible[len(self.sites)] = impossible
        self.sites.append(site)
        self.site_rows.append(len(self.rows))
        for number, fault in enumerate(self.faults):
            if tuple(fault.site) == site and number not in {index for _, index in self.fired}:
                return ("", -1) if fault.kind in impossible else (fault.kind, number)
        return "", -1

    def struck(self, number: int) -> None:
        """The fault of that number takes its effect now."""
        self.fired.append((len(self.rows), number))

    def run(self) -> Run:
        return Run(
            rows=tuple(self.rows),
            sites=tuple(self.sites),
            recovery=self.recovery,
            compensation=self.compensation,
            fired=tuple(sorted(self.fired)),
            capped=self.capped,
            impossible=self.impossible,
            site_rows=tuple(self.site_rows),
            known_at=-1,
            clock_read=False,
        )
