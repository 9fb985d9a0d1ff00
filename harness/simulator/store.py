"""The orchestrator's durable store, with a crash point at each write.

What is durable lives in `Durable`, which outlives every process; a `StorePort` is one
incarnation's way to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ..errors import UsageError
from ..faults import LOG as LOG_PHASE
from ..faults import LOGGED
from ..history import LOG, LOGACK, TERMINAL
from ..ports import Outcome, ProcessCrashed

if TYPE_CHECKING:
    from .process import Process
    from .simulation import Simulation

WRITE_US: Final = 200
"""How long a durable write takes."""

_DELETED: Final = None


class Durable:
    """The bytes on disk: JSON texts by key, and how often each kind of record was written."""

    __slots__ = ("occurrences", "texts")

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.occurrences: dict[tuple[str, str], int] = {}


class Write:
    """One write that is asked for: a text, or None to delete, and what the record is about."""

    __slots__ = ("key", "record", "saga", "step", "text", "value")

    def __init__(self, key: str, text: str | None, record: str, saga: str, step: str, value: Any) -> None:
        self.key = key
        self.text = text
        self.record = record
        self.saga = saga
        self.step = step
        self.value = value


class StorePort:
    """`sagafuzz.Store` for one incarnation of a process."""

    def __init__(self, sim: Simulation, process: Process) -> None:
        self._sim = sim
        self._process = process
        self._batch: list[Write] | None = None

    def put(self, key: str, value: Any, *, record: str | None = None, saga: str | None = None, step: str = "") -> None:
        try:
            text = json.dumps(value, sort_keys=True)
        except (TypeError, ValueError) as error:
            self._sim.refuse(UsageError(f"world.store.put({key!r}, ...): the value is no JSON data ({error})"))
        self._write(Write(key, text, record or "write", self._saga_of(key, saga), step, value))

    def delete(self, key: str, *, record: str | None = None, saga: str | None = None) -> None:
        self._write(Write(key, _DELETED, record or "delete", self._saga_of(key, saga), "", None))

    def get(self, key: str, default: Any = None) -> Any:
        self._process.check_alive()
        for write in reversed(self._batch or ()):
            if write.key == key:
                return default if write.text is None else json.loads(write.text)
        text = self._sim.durable.texts.get(key)
        return default if text is None else json.loads(text)

    def items(self, prefix: str = "") -> list[tuple[str, Any]]:
        self._process.check_alive()
        texts = self._sim.durable.texts
        return [(key, json.loads(texts[key])) for key in sorted(texts) if key.startswith(prefix)]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._batch is not None:
            self._sim.refuse(UsageError("world.store.transaction() inside another one; close the outer one first"))
        self._batch = []
        try:
            yield
            writes = self._batch
        finally:
            self._batch = None
        if writes:
            self._commit(writes)

    def _write(self, write: Write) -> None:
        self._process.check_alive()
        if self._batch is not None:
            self._batch.append(write)
        else:
            self._commit([write])

    def _commit(self, writes: list[Write]) -> None:
        first = writes[0]
        subject = " + ".join(dict.fromkeys(f"{w.record} {w.step}".rstrip() for w in writes))
        records = [(w.saga, w.step, w.record) for w in writes]

        def commit() -> None:
            texts = self._sim.durable.texts
            for write in writes:
                if write.text is not None:
                    texts[write.key] = write.text
                else:
                    texts.pop(write.key, None)
                if write.record == "terminal":
                    _declare(self._sim, self._process, write)

        durable_write(self._sim, self._process, first.saga, subject, records, commit)

    def _saga_of(self, key: str, saga: str | None) -> str:
        """Which saga a record is about: as said, else as the key spells it, else the one being run."""
        orders = self._sim.setup.orders
        if saga is not None:
            return saga
        for part in key.replace(":", "/").split("/"):
            if part in orders:
                return part
        return self._process.current_saga()


def durable_write(
    sim: Simulation,
    process: Process,
    saga: str,
    subject: str,
    records: Sequence[tuple[str, str, str]],
    commit: Callable[[], object],
) -> None:
    """Make one change durable: the crash point of every kind of store. ``records`` lists what it
    holds as (saga, step, kind of record); ``commit`` does it."""
    occurrences = sim.durable.occurrences
    occurrence = occurrences.get((saga, subject), 0) + 1
    occurrences[saga, subject] = occurrence
    kind = sim.visit((saga, subject, "", LOG_PHASE, occurrence))
    _note(sim, process, LOG, records, occurrence)
    if kind == "crash-before-log":
        sim.struck()
        sim.crash(kind)
        raise ProcessCrashed
    if not sim.manual:
        sim.kernel.sleep(sim.task(), WRITE_US)
    commit()
    _note(sim, process, LOGACK, records, occurrence)
    kind = sim.visit((saga, subject, "", LOGGED, occurrence))
    if kind == "crash-after-log":
        sim.struck()
        sim.crash(kind)
        raise ProcessCrashed


def _note(sim: Simulation, process: Process, kind: str, records: Sequence[tuple[str, str, str]], nth: int) -> None:
    now = sim.kernel.now_us
    for saga, step, record in records:
        sim.record((now, kind, process.label, saga, step, "", 0, None, 0, (record, nth)))


def _declare(sim: Simulation, process: Process, write: Write) -> None:
    """A durable "terminal" record is the orchestrator's word on the saga's end."""
    outcome = write.value.get("outcome") if isinstance(write.value, dict) else write.value
    if outcome in OUTCOMES:
        sim.record((sim.kernel.now_us, TERMINAL, process.label, write.saga, "", "", 0, None, 0, (outcome,)))


OUTCOMES: Final = frozenset(outcome.value for outcome in Outcome)
