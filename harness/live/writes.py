"""The durable writes of one case: sites on both sides of each commit, and the faults that strike there.

A write is known by the saga that it is for and by what it holds, with a number where there are several alike: the
third ``insert steps`` of saga-1. A worker shows it (``POST /log``), or the proxy before a store sees it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from .. import records
from ..definitions import parent_of
from ..effects import DEAD, NO_PROXY, NO_STORE_ERRORS
from ..fault_kinds import impossible
from ..faults import AT_LOG, AT_LOGGED, FaultKind
from ..history import LOG, LOGACK, TERMINAL
from .record import Record

UNDER_WAY_S: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Write:
    """One commit. ``entries`` are the records that it holds, with saga, step, record, epoch and outcome."""

    label: str
    saga: str
    subject: str
    occurrence: int
    entries: tuple[Mapping[str, Any], ...]

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.label, self.saga, self.subject, self.occurrence


def circumstances_of(*, dead: bool, proxied: bool, errors: bool) -> int:
    """What keeps faults from a write: its writer is ``dead`` already; its store is not ``proxied``; nor can a worker
    that shows its writes be told of ``errors``."""
    return (DEAD if dead else 0) | (0 if proxied else NO_PROXY) | (0 if proxied or errors else NO_STORE_ERRORS)


class Writes:
    """Counts and notes the durable writes of one case."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._seen: dict[tuple[str, str], int] = {}
        self.held = 0  # commits that a proxy has under its hands
        self._under_way: set[tuple[str, str, str, int]] = set()  # asked for and let go on, and not shown to be durable
        self._finished = asyncio.Event()
        self._ids = {id: re.compile(rf"(?<![\w-]){re.escape(id)}(?!\w)".encode()) for id in sorted(record.setup.known)}

    def write(self, label: str, entries: Sequence[Mapping[str, Any]], *, begins: bool) -> Write:
        """What a process is about to commit, or (not ``begins``) has just committed."""
        entries = [{**entry, "saga": self._saga_of(entry)} for entry in entries]
        saga = entries[0]["saga"]
        subject = records.subject_of([asked(entry) for entry in entries])
        if begins:
            self._seen[saga, subject] = self._seen.get((saga, subject), 0) + 1
        occurrence = self._seen.get((saga, subject), 1)
        return Write(label=label, saga=saga, subject=subject, occurrence=occurrence, entries=tuple(entries))

    def hold(self) -> None:
        """A commit is under way."""
        self.held += 1

    def release(self, write: Write | None) -> None:
        """It is over, whether it came to be durable or not."""
        self.held -= 1
        if write is not None:
            self._over(write)
        self._record.changed.set()

    async def none_under_way(self, label: str) -> None:
        """Wait until a process has shown what it was about to commit, for a while: one that is killed in between
        leaves something of which nobody can say whether it is durable."""
        with suppress(TimeoutError):
            async with asyncio.timeout(UNDER_WAY_S):
                while any(key[0] == label for key in self._under_way):
                    self._finished.clear()
                    await self._finished.wait()

    def _over(self, write: Write) -> None:
        self._under_way.discard(write.key)
        self._finished.set()

    def _saga_of(self, entry: Mapping[str, Any]) -> str:
        """The saga that a record's key tells, else the one that the worker names, else the one that is mentioned."""
        told = records.saga_in(str(entry.get("key", "")), self._record.setup.known) or str(entry.get("saga", ""))
        return told or self._mentioned(str(entry.get("text", "")).encode())

    def _mentioned(self, text: bytes) -> str:
        """The saga whose id stands in what is written; "" for none, or several."""
        found = [id for id, pattern in self._ids.items() if pattern.search(text)]
        found = [id for id in found if not any(parent_of(other) == id for other in found)]  # a child's names its parent
        return found[0] if len(found) == 1 else ""

    def before(self, write: Write, circumstances: int) -> FaultKind | None:
        """The kind of fault that strikes before the commit."""
        kind, number = self._visit(write, AT_LOG, circumstances)
        self._note(write, LOG)
        if kind is None:
            self._under_way.add(write.key)
        else:
            self._record.struck(number)
        return kind

    def after(self, write: Write, circumstances: int) -> FaultKind | None:
        """The kind of fault that strikes after the commit."""
        self._over(write)
        self._note(write, LOGACK)
        kind, number = self._visit(write, AT_LOGGED, circumstances)
        if kind is not None:
            self._record.struck(number)
        return kind

    def _visit(self, write: Write, phase: str, circumstances: int) -> tuple[FaultKind | None, int]:
        site = (write.saga, write.subject, "", phase, write.occurrence)
        strike = self._record.visit(site, impossible(phase, circumstances))
        return (None, -1) if strike is None else strike

    def _note(self, write: Write, event: str) -> None:
        for entry in write.entries:
            one = asked(entry)
            saga, step = one.saga or write.saga, one.step
            data: tuple[Any, ...] = (one.record, write.occurrence)
            if epoch := whole_number(entry.get("epoch")):
                data += (epoch,)
            if event == LOGACK and entry.get("outcome") in records.OUTCOMES:
                self._record.add(TERMINAL, write.label, (entry["outcome"],), saga=saga)
            self._record.add(event, write.label, data, saga=saga, step=step)


def asked(entry: Mapping[str, Any]) -> records.Write:
    """What a worker says that it is about to write."""
    return records.Write(
        str(entry.get("saga", "")), str(entry.get("step", "")), str(entry.get("record", records.UNNAMED))
    )


def whole_number(text: Any) -> int:
    """A whole number that somebody wrote, 0 for anything else."""
    try:
        return int(text)
    except (TypeError, ValueError):
        return 0
