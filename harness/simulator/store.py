"""The orchestrator's durable store, with a crash point at each write.

A `StorePort` is one incarnation's way to what is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from ..effects import (
    AFTER,
    AT_LOG,
    AT_LOGGED,
    BEFORE,
    NO_FILE,
    NO_LOSS,
    Crash,
    Doings,
    Effect,
    LoseWrite,
    StartSecond,
    StoreError,
    Tear,
    doing,
)
from ..errors import UsageError
from ..fault_kinds import NOTHING, FaultKind, impossible
from ..history import LOG, LOGACK, LOGLOST, TERMINAL
from ..ports import Conflict, ProcessCrashed, StoreUnavailable
from ..records import (
    UNNAMED,
    Plain,
    Write,
    as_text,
    check_guards,
    check_key,
    declared_outcome,
    from_text,
    listed,
    read,
    saga_in,
    subject_of,
)
from ..trace import Strike
from .host import Host
from .incarnation import Incarnation
from .replay_log import LIVE

WRITE_US: Final = 200
"""How long a durable write takes."""

_WRITTEN: Final = ("put", None)


class StorePort:
    """`sagafuzz.Store` for one incarnation of a process."""

    __slots__ = ("_batches", "_durable", "_host", "_process", "_trace")

    def __init__(self, host: Host, process: Incarnation) -> None:
        self._host = host
        self._durable = host.durable
        self._trace = host.trace
        self._process = process
        self._batches: dict[object, list[Plain]] = {}  # what each task in a transaction has asked for so far

    def dissolve(self) -> None:
        """See `SimWorld.dissolve`."""
        nothing: Any = None
        self._host = self._durable = self._trace = nothing

    def put(
        self,
        key: str,
        value: Any,
        *,
        record: str | None = None,
        saga: str | None = None,
        step: str = "",
        guard: Mapping[str, Any] | None = None,
        epoch: int = 0,
    ) -> None:
        process = self._process
        if process.dead:
            process.check_alive()
        if process.replay_log is not None and not self._batches and process.replay_log.answer("put") is not LIVE:
            return
        try:
            text = as_text(key, value)
        except UsageError as error:
            self._host.refuse(error)
        outcome = declared_outcome(value) if record == "terminal" else None
        if saga is None or not isinstance(key, str):
            saga = self._saga_of(key, saga)
        write = (saga, step, record or UNNAMED, key, text, outcome, guard, epoch)
        if self._batches:
            self._write(write)
        else:
            self._commit((write,))

    def delete(self, key: str, *, record: str | None = None, saga: str | None = None) -> None:
        self._process.check_alive()
        self._write(Write(self._saga_of(key, saga), "", record or "delete", key))

    def get(self, key: str, default: Any = None) -> Any:
        process = self._process
        if process.dead:
            process.check_alive()
        if process.replay_log is not None and (answer := process.replay_log.answer("get")) is not LIVE:
            return default if answer is None else from_text(answer)
        durable = self._durable
        text = durable.texts.get(key) if durable.stale is None else durable.view(process).get(key)
        if self._batches:
            text = read(self._batches.get(process.current_task(), ()), key, text)
        process.inputs.append(("get", text))
        if self._host.forgets and len(process.inputs) > 1:
            _forget_write(process, key, text)
        return default if text is None else from_text(text)

    def items(self, prefix: str = "") -> list[tuple[str, Any]]:
        process = self._process
        process.check_alive()
        if process.replay_log is not None and (answer := process.replay_log.answer("items")) is not LIVE:
            return [(key, from_text(text)) for key, text in answer]
        batch = self._batches.get(process.current_task(), ()) if self._batches else ()
        found = listed(batch, self._durable.view(process), prefix)
        process.inputs.append(("items", tuple(found)))
        return [(key, from_text(text)) for key, text in found]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._process.check_alive()
        task = self._process.current_task()
        if task in self._batches:
            self._host.refuse(UsageError("world.store.transaction() inside another one; close the outer one first"))
        self._batches[task] = []
        try:
            yield
        finally:
            writes = self._batches.pop(task)
        if writes:
            self._process.check_alive()
            self._commit(writes)

    def _write(self, write: Plain) -> None:
        batch = self._batches.get(self._process.current_task()) if self._batches else None
        if batch is not None:
            batch.append(write)
        else:
            self._commit((write,))

    def _commit(self, writes: Sequence[Plain]) -> None:
        saga, subject = writes[0][0], subject_of(writes)
        process, on_ask = self._process, self._trace.on_ask
        if process.replay_log is not None and process.replay_log.answer("put") is not LIVE:
            return  # a transaction, or a deletion
        if on_ask is not None:
            on_ask()
        undo = self._durable.undo_last
        try:
            durable_write(self._host, process, saga, subject, writes, self._apply, undo=undo)
        except Conflict as conflict:
            process.inputs.append(("put", "Conflict", str(conflict), _words(writes)))
            raise
        if self._host.forgets and process.may_forget:
            process.forget_tries(_words(writes))
        process.inputs.append(_WRITTEN)

    def _apply(self, writes: Sequence[Plain]) -> None:
        durable = self._durable
        texts = durable.texts
        held = texts.get
        check_guards(writes, held)
        before = durable.before = []
        for saga, _, _, key, text, outcome, _, _ in writes:
            before.append((key, held(key)))
            if text is not None:
                texts[key] = text
            else:
                texts.pop(key, None)
            if outcome is not None:  # the orchestrator's durable word on the saga's end
                self._trace.add(TERMINAL, self._process.label, (outcome,), saga=saga)

    def _saga_of(self, key: str, saga: str | None) -> str:
        """Which saga a record is about: as said, else as the key spells it, else the one being run."""
        try:
            check_key(key)
        except UsageError as error:
            self._host.refuse(error)
        if saga is not None:
            return saga
        return saga_in(key, self._host.setup.known) or self._process.current_saga()


def durable_write(
    host: Host,
    process: Incarnation,
    saga: str,
    subject: str,
    writes: Sequence[Plain],
    commit: Callable[[Sequence[Plain]], object],
    lacks: int = NO_FILE,
    undo: Callable[[], object] | None = None,
) -> None:
    """Make one change durable: the crash point of every kind of store. ``writes`` lists what it holds,
    ``commit(writes)`` does it, and ``undo()`` takes it back; without it a durable write cannot be lost. ``lacks`` says
    what keeps faults from this store before a write: one that checks its records discards a torn one."""
    occurrences = host.durable.occurrences
    about = (saga, subject)
    occurrence = occurrences[about] = occurrences.get(about, 0) + 1
    kernel, trace, label = host.kernel, host.trace, process.label
    note = trace.record
    strike = trace.visit((saga, subject, "", AT_LOG, occurrence), impossible(AT_LOG, lacks))
    now = kernel.now_us
    for told, step, record, _, _, _, _, epoch in writes:
        data = (record, occurrence, epoch) if epoch else (record, occurrence)
        note((now, LOG, label, told, step, "", 0, None, 0, data))
    if strike is not None:
        _strike(strike, _LOGGING, Change(host, process, strike.kind, subject, writes, commit, undo, occurrence))
    if not host.manual:
        kernel.sleep(host.task(), WRITE_US)
    commit(writes)
    now = kernel.now_us
    for told, step, record, _, _, _, _, epoch in writes:
        data = (record, occurrence, epoch) if epoch else (record, occurrence)
        note((now, LOGACK, label, told, step, "", 0, None, 0, data))
    excluded = NOTHING if undo is not None else impossible(AT_LOGGED, NO_LOSS)
    strike = trace.visit((saga, subject, "", AT_LOGGED, occurrence), excluded)
    if strike is not None:
        _strike(strike, _LOGGED, Change(host, process, strike.kind, subject, writes, commit, undo, occurrence))


# -- what each effect does to a write ----------------------------------------------------------------


class Change(NamedTuple):
    """A change that is struck: the arguments of `durable_write`, and the kind of fault."""

    host: Host
    process: Incarnation
    kind: FaultKind
    subject: str
    writes: Sequence[Plain]
    commit: Callable[[Sequence[Plain]], object]
    undo: Callable[[], object] | None
    occurrence: int


Strikes = Mapping[type[Effect], Callable[[Change], BaseException | None]]
"""What is done for an effect; returns what the writer is to be told, if anything."""


def _strike(strike: Strike, table: Strikes, change: Change) -> None:
    """A fault strikes a write. Raises what the writer is told."""
    change.host.trace.struck(strike.number)
    told: BaseException | None = None
    for effect in strike.kind.effects:
        told = doing(table, effect)(change) or told
    if told is not None:
        try:
            raise told
        finally:
            del told  # else the error and this frame hold each other, and all that the dead process had open


def _crash(change: Change) -> BaseException:
    change.host.crash(change.process, change.kind.name)
    return ProcessCrashed()


def _error_before(change: Change) -> BaseException:
    return _unavailable(change.process, f"writing {change.subject!r}: the store is not available", change.writes)


def _error_after(change: Change) -> BaseException:
    return _unavailable(change.process, f"writing {change.subject!r}: the store did not answer", change.writes)


def _tear(change: Change) -> None:
    change.commit((Write(*change.writes[0])._replace(text="torn"),))


def _lose(change: Change) -> None:
    if change.undo is None:
        raise TypeError(f"{change.kind} struck a store that cannot take a write back")
    change.undo()
    for saga, step, record, *_ in change.writes:
        change.host.trace.add(LOGLOST, change.process.label, (record, change.occurrence), saga=saga, step=step)


def _start_second(change: Change) -> None:
    change.host.start("second")


_LOGGING: Final[Strikes] = {Crash: _crash, StoreError: _error_before, Tear: _tear}
_LOGGED: Final[Strikes] = {Crash: _crash, StoreError: _error_after, LoseWrite: _lose, StartSecond: _start_second}

DOINGS: Final[Doings] = {
    (AT_LOG, BEFORE): _LOGGING,
    (AT_LOGGED, AFTER): _LOGGED,
}
"""What is done to a write, by the moment."""


def _unavailable(process: Incarnation, text: str, writes: Sequence[Plain]) -> StoreUnavailable:
    process.inputs.append(("put", "StoreUnavailable", text, _words(writes)))
    return StoreUnavailable(text)


def _words(writes: Sequence[Plain]) -> tuple[Any, ...]:
    """What a change asks for: two in the same words are one that is made again."""
    return tuple([(*about, None if guard is None else tuple(sorted(guard.items()))) for *about, guard, _ in writes])


def _forget_write(process: Incarnation, key: str, text: str | None) -> None:
    """A record was read just after its guard had refused a write that had been tried before: where it holds what was
    to be written, the first try had done it."""
    entry = process.inputs[-2]
    if (
        type(entry) is tuple
        and len(entry) == 4
        and entry[1] == "Conflict"
        and len(entry[3]) == 1
        and entry[3][0][3:5] == (key, text)
    ):
        process.forget_tries(entry[3], (_WRITTEN,), after=2)
