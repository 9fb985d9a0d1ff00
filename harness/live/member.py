"""The workers of a case: each incarnation as a member, and which of them can be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .control import Control
from .stillness import runs, waits_for_others
from .supervisor import Blocked, Process


@dataclass(eq=False)
class Member:
    """An incarnation of the worker. ``dead`` as soon as it is to die, ``ready`` when it can be asked, ``ending``
    once it was asked to end; ``paused`` says that it stood still once, ``silenced`` that what it says
    now is said because somebody ends it."""

    label: str
    process: Process | None = None
    control: Control | None = None
    announced: asyncio.Event = field(default_factory=asyncio.Event)
    said: Mapping[str, Any] = field(default_factory=dict)
    dead: bool = False
    ready: bool = False
    ending: bool = False
    stopped: bool = False
    paused: bool = False
    silenced: bool = False

    def silence(self) -> None:
        """It is about to be ended: what it has said by now counts, and nothing more."""
        if self.control is not None and not self.silenced:
            self.control.hear()
        self.silenced = True

    def blocked(self, what: str) -> Blocked:
        """The error that ends the case with ``what``, and with the last lines that this worker wrote."""
        return Blocked(what, self.process.output.lines if self.process is not None else ())


class Members:
    """All incarnations of the worker in one case, in the order of their start. ``starting`` counts those that
    do not answer yet, from the death of the one whose place they take."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._all: list[Member] = []
        self._changed = changed
        self.starting = 0

    @contextmanager
    def one_to_come(self) -> Iterator[None]:
        """Count one more as starting."""
        self.starting += 1
        try:
            yield
        finally:
            self.came()

    def came(self) -> None:
        """Note that one of those that were starting answers, or never will."""
        self.starting -= 1
        self._changed()

    def __iter__(self) -> Iterator[Member]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def new(self) -> Member:
        """Another incarnation, with the next label."""
        number = len(self._all) + 1
        member = Member(label="orchestrator" if number == 1 else f"orchestrator#{number}")
        self._all.append(member)
        return member

    def named(self, label: str) -> Member | None:
        """The one of that label; None where there is none."""
        return next((member for member in self._all if member.label == label), None)

    def wait_for_others(self, *but: Member) -> bool:
        """True if each that lives, ``but`` for some, waits without a time limit: it acts when somebody asks it to."""
        pids = (m.process.pid for m in self._all if m.process is not None and not m.dead and m not in but)
        return all(map(waits_for_others, pids))

    def wake(self) -> bool:
        """True if one that stood still is at work, or waits for its turn on a busy machine."""
        return any(runs(m.process.pid) for m in self._all if m.process is not None and m.paused and not m.dead)

    def living(self) -> list[Member]:
        """Those that are ready and not about to die, the newest first; one that stands still is among them."""
        return [m for m in reversed(self._all) if m.ready and not (m.dead or m.ending)]

    def able(self) -> list[Member]:
        """Those that can be asked, the newest first."""
        return [m for m in self.living() if not m.stopped]
