"""The orchestrator's durable store, with a crash point at each write.

A `StorePort` is one incarnation's way to what is durable.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

from ..errors import UsageError
from ..faults import AT_LOG, AT_LOGGED
from ..history import LOG, LOGACK, LOGLOST, TERMINAL
from ..ports import Conflict, ProcessCrashed, StoreUnavailable
from ..saga import Outcome
from ..trace import UNHARMED, Strike
from .host import Host
from .incarnation import Incarnation
from .replay_log import LIVE

WRITE_US: Final = 200
"""How long a durable write takes."""

OUTCOMES: Final = frozenset(outcome.value for outcome in Outcome)


_NOTHING: Final[tuple[str, ...]] = ()
_NO_FILE: Final = ("torn-write",)  # a store that checks its records discards a torn one
_NO_LOSS: Final = ("lost-write",)
_WRITTEN: Final = ("put", None)


class Write(NamedTuple):
    """One write that is asked for: what the record is about, and its text (None: delete the key).

    ``outcome`` is what a "terminal" record declares.
    """

    saga: str
    step: str
    record: str
    key: str = ""
    text: str | None = None
    outcome: str | None = None
    guard: Mapping[str, Any] | None = None
    epoch: int = 0


_write = partial(tuple.__new__, Write)


class StorePort:
    """`sagafuzz.Store` for one incarnation of a process."""

    __slots__ = ("_batches", "_durable", "_host", "_process", "_trace")

    def __init__(self, host: Host, process: Incarnation) -> None:
        self._host = host
        self._durable = host.durable
        self._trace = host.trace
        self._process = process
        self._batches: dict[object, list[Write]] = {}  # what each task in a transaction has asked for so far

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
        if process.replay_log is not None and not self._batches and process.replay_log.answer("put") is not LIVE:
            return
        try:
            text = as_text(value)
        except (TypeError, ValueError, RecursionError) as error:
            self._host.refuse(UsageError(f"world.store.put({key!r}, ...): the value is no JSON data ({error})"))
        outcome = declared_outcome(value) if record == "terminal" else None
        if saga is None or not isinstance(key, str):
            saga = self._saga_of(key, saga)
        self._write(_write((saga, step, record or "write", key, text, outcome, guard, epoch)))

    def delete(self, key: str, *, record: str | None = None, saga: str | None = None) -> None:
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
            for write in self._batches.get(process.current_task(), ()):
                if write.key == key:
                    text = write.text
        process.inputs.append(("get", text))
        if self._host.setup.forgets_retries and len(process.inputs) > 1:
            _forget_write(process, key, text)
        return default if text is None else from_text(text)

    def items(self, prefix: str = "") -> list[tuple[str, Any]]:
        process = self._process
        process.check_alive()
        if process.replay_log is not None and (answer := process.replay_log.answer("items")) is not LIVE:
            return [(key, from_text(text)) for key, text in answer]
        texts: dict[str, str | None] = dict(self._durable.view(process))
        if self._batches:
            texts.update((write.key, write.text) for write in self._batches.get(process.current_task(), ()))
        found = sorted((key, text) for key, text in texts.items() if text is not None and key.startswith(prefix))
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

    def _write(self, write: Write) -> None:
        process = self._process
        if process.dead:
            process.check_alive()
        if self._batches:
            batch = self._batches.get(process.current_task())
            if batch is not None:
                batch.append(write)
                return
        self._commit((write,))

    def _commit(self, writes: Sequence[Write]) -> None:
        first = writes[0]
        subject = subject_of(writes)
        process, watcher = self._process, self._trace.watcher
        if process.replay_log is not None and process.replay_log.answer("put") is not LIVE:
            return  # a transaction, or a deletion
        if watcher is not None:
            watcher.about_to_ask()
        undo = self._durable.undo_last
        try:
            durable_write(self._host, process, first.saga, subject, writes, self._apply, _NO_FILE, undo)
        except Conflict as conflict:
            process.inputs.append(("put", "Conflict", str(conflict), _words(writes)))
            raise
        if self._host.setup.forgets_retries and process.may_forget:
            process.forget_tries(_words(writes))
        process.inputs.append(_WRITTEN)

    def _apply(self, writes: Sequence[Write]) -> None:
        texts = self._durable.texts
        before = []
        for _, _, _, key, _, _, guard, _ in writes:
            text = texts.get(key)
            before.append((key, text))
            if guard is not None and not _allows(guard, text):
                raise Conflict(f"{key!r} is not as the guard says: {dict(guard)}")
        self._durable.before = before
        for saga, _, _, key, text, outcome, _, _ in writes:
            if text is not None:
                texts[key] = text
            else:
                texts.pop(key, None)
            if outcome is not None:  # the orchestrator's durable word on the saga's end
                self._trace.add(TERMINAL, self._process.label, (outcome,), saga=saga)

    def _saga_of(self, key: str, saga: str | None) -> str:
        """Which saga a record is about: as said, else as the key spells it, else the one being run."""
        if not isinstance(key, str):
            self._host.refuse(UsageError(f"world.store: the key {key!r} is no string; write {str(key)!r}"))
        if saga is not None:
            return saga
        orders = self._host.setup.orders
        for part in key.replace(":", "/").split("/"):
            if part in orders:
                return part
        return self._process.current_saga()


def _allows(guard: Mapping[str, Any], text: str | None) -> bool:
    """Whether the record is as the guard says; an empty guard says that there is none."""
    if text is None or not guard:
        return text is None and not guard
    found = _parsed.get(text)
    if found is None:
        found = _remember(text)
    record = found[0]
    if not isinstance(record, dict):
        return False
    for name, value in guard.items():  # noqa: SIM110, a generator costs more than the comparison
        if record.get(name) != value:
            return False
    return True


def durable_write(
    host: Host,
    process: Incarnation,
    saga: str,
    subject: str,
    writes: Sequence[Write],
    commit: Callable[[Sequence[Write]], object],
    impossible: tuple[str, ...] = _NO_FILE,
    undo: Callable[[], object] | None = None,
) -> None:
    """Make one change durable: the crash point of every kind of store. ``writes`` lists what it
    holds, ``commit(writes)`` does it, and ``undo()`` takes it back; without it a durable write cannot
    be lost. ``impossible`` are the kinds that this store cannot suffer."""
    occurrences = host.durable.occurrences
    occurrence = occurrences.get((saga, subject), 0) + 1
    occurrences[saga, subject] = occurrence
    kernel, trace, label = host.kernel, host.trace, process.label
    strike = trace.visit((saga, subject, "", AT_LOG, occurrence), impossible)
    now = kernel.now_us
    for write in writes:
        data = (write[2], occurrence, write[7]) if write[7] else (write[2], occurrence)
        trace.record((now, LOG, label, write[0], write[1], "", 0, None, 0, data))
    if strike is not UNHARMED:
        _strike_before(host, process, subject, strike, writes, commit)
    if not host.manual:
        kernel.sleep(host.task(), WRITE_US)
    commit(writes)
    now = kernel.now_us
    for write in writes:
        data = (write[2], occurrence, write[7]) if write[7] else (write[2], occurrence)
        trace.record((now, LOGACK, label, write[0], write[1], "", 0, None, 0, data))
    strike = trace.visit((saga, subject, "", AT_LOGGED, occurrence), _NOTHING if undo is not None else _NO_LOSS)
    if strike is not UNHARMED:
        _strike_after(host, process, subject, strike, writes, undo, occurrence)


def _strike_before(
    host: Host,
    process: Incarnation,
    subject: str,
    strike: Strike,
    writes: Sequence[Write],
    commit: Callable[[Sequence[Write]], object],
) -> None:
    """The faults of the moment before a write is durable."""
    host.trace.struck(strike.number)
    if strike.kind == "store-error-before-commit":
        raise _unavailable(process, f"writing {subject!r}: the store is not available", writes)
    if strike.kind == "torn-write":
        commit((writes[0]._replace(text="torn"),))
    host.crash(process, strike.kind)
    raise ProcessCrashed


def _strike_after(
    host: Host,
    process: Incarnation,
    subject: str,
    strike: Strike,
    writes: Sequence[Write],
    undo: Callable[[], object] | None,
    occurrence: int,
) -> None:
    """The faults of the moment after a write is durable."""
    kind, trace = strike.kind, host.trace
    trace.struck(strike.number)
    if kind == "second-orchestrator":
        host.start("second")
        return
    if kind == "store-error-after-commit":
        raise _unavailable(process, f"writing {subject!r}: the store did not answer", writes)
    if kind == "lost-write" and undo is not None:
        undo()
        for write in writes:
            data = (write[2], occurrence)
            trace.add(LOGLOST, process.label, data, saga=write[0], step=write[1])
    host.crash(process, kind)
    raise ProcessCrashed


def _unavailable(process: Incarnation, text: str, writes: Sequence[Write]) -> StoreUnavailable:
    process.inputs.append(("put", "StoreUnavailable", text, _words(writes)))
    return StoreUnavailable(text)


def _words(writes: Sequence[Write]) -> tuple[Any, ...]:
    """What a change asks for: two in the same words are one that is made again."""
    return tuple((*write[:6], None if write.guard is None else tuple(sorted(write.guard.items()))) for write in writes)


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


def from_text(text: str) -> Any:
    """The value of a JSON text, a fresh copy at each call; each text is parsed once."""
    found = _parsed.get(text)
    if found is None:
        found = _remember(text)
    return marshal.loads(found[1])


def _remember(text: str) -> tuple[Any, bytes]:
    value = json.loads(text)
    if len(_parsed) >= _MAX_TEXTS:
        _parsed.clear()
    found = _parsed[text] = (value, marshal.dumps(value, 2))
    return found


def as_text(value: Any) -> str:
    """``value`` as JSON. A search writes the same records again and again, so the texts are kept by the
    bytes that marshal makes of the value, which is several times faster and tells all JSON data apart."""
    try:
        shape = marshal.dumps(value, 2)
    except ValueError:
        return json.dumps(value)
    text = _texts.get(shape)
    if text is None:
        text = json.dumps(value)
        if len(_texts) >= _MAX_TEXTS:
            _texts.clear()
        _texts[shape] = text
    return text


_MAX_TEXTS: Final = 4_096
_parsed: Final[dict[str, tuple[Any, bytes]]] = {}  # JSON text -> its value, never handed out, and that as bytes
_texts: Final[dict[bytes, str]] = {}


def subject_of(writes: Sequence[Write]) -> str:
    """What a durable write is about, as its site is named."""
    if len(writes) == 1:
        return _subject(writes[0])
    return " + ".join(dict.fromkeys(map(_subject, writes)))


def _subject(write: Write) -> str:
    return f"{write.record} {write.step}" if write.step else write.record


def declared_outcome(value: Any) -> str | None:
    """The outcome that a "terminal" record declares, where it names one that clients know."""
    outcome = value.get("outcome") if isinstance(value, dict) else value
    return outcome if isinstance(outcome, str) and outcome in OUTCOMES else None
