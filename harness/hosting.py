"""A worker that runs any sagafuzz adapter as a real process.   hosting.py ADAPTER TIME_SCALE

The adapter is the one that the simulator runs, and sees the same World: here calls go over HTTP, the store is SQLite,
a commit is shown to the harness on both sides, and a second of the adapter's own time takes 1/TIME_SCALE seconds.
So two worlds can be compared on one code.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import selectors
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, Final

from sagafuzz import worker
from sagafuzz.definitions import placed
from sagafuzz.errors import UsageError
from sagafuzz.messages import Message
from sagafuzz.ports import Adapter, Store, World
from sagafuzz.records import (
    UNNAMED,
    Write,
    as_text,
    check_guards,
    check_key,
    declared_outcome,
    from_text,
    listed,
    read,
)
from sagafuzz.saga import Outcome, problem_with_part
from sagafuzz.scenario import Order


class HostStore:
    """`sagafuzz.Store` on SQLite. A lock, not the database, keeps threads apart: a commit waits for the harness."""

    def __init__(self, world: HostWorld) -> None:
        self._world = world
        self._db = worker.database("store.sqlite")
        self._db.execute("CREATE TABLE IF NOT EXISTS store (key TEXT PRIMARY KEY, value TEXT)")
        self._lock = threading.Lock()
        self._batches: dict[object, list[tuple[Write, bool]]] = {}

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
        text, outcome = as_text(key, value), declared_outcome(value) if record == "terminal" else None
        about = self._world.saga_of(saga)
        self._write(Write(about, step, record or UNNAMED, key, text, outcome, guard, epoch), saga is not None)

    def delete(self, key: str, *, record: str | None = None, saga: str | None = None) -> None:
        self._write(Write(self._world.saga_of(saga), "", record or "delete", key), saga is not None)

    def _write(self, write: Write, named: bool) -> None:
        check_key(write.key)
        batch = self._batches.get(_control())
        if batch is not None:
            batch.append((write, named))
        else:
            self._commit([(write, named)])

    def _commit(self, asked: Sequence[tuple[Write, bool]]) -> None:
        writes = [write for write, _ in asked]
        with worker.showing({"writes": [_shown(write, named) for write, named in asked]}), self._lock:
            self._apply(writes)
        for write in writes:
            if write.outcome is not None:
                self._world.ended[write.saga] = write.outcome

    def _apply(self, writes: Sequence[Write]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            check_guards(writes, self._held)
            for write in writes:
                if write.text is None:
                    self._db.execute("DELETE FROM store WHERE key = ?", (write.key,))
                else:
                    self._db.execute("INSERT OR REPLACE INTO store VALUES (?, ?)", (write.key, write.text))
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _held(self, key: str) -> str | None:
        found = self._db.execute("SELECT value FROM store WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def get(self, key: str, default: Any = None) -> Any:
        with self._lock:
            kept = self._held(key)
        text = read(self._batch(), key, kept)
        return default if text is None else from_text(text)

    def items(self, prefix: str = "") -> list[tuple[str, Any]]:
        with self._lock:
            texts = dict(self._db.execute("SELECT key, value FROM store").fetchall())
        return [(key, from_text(text)) for key, text in listed(self._batch(), texts, prefix)]

    def _batch(self) -> list[Write]:
        return [write for write, _ in self._batches.get(_control(), ())]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        control = _control()
        if control in self._batches:
            raise UsageError("world.store.transaction() inside another one; close the outer one first")
        self._batches[control] = []
        try:
            yield
        finally:
            writes = self._batches.pop(control)
        if writes:
            self._commit(writes)


def _shown(write: Write, named: bool) -> dict[str, Any]:
    """A write as the harness is shown it. Where its saga was not ``named``, the key may tell it."""
    about = {"record": write.record, "saga": write.saga, "step": write.step, "epoch": write.epoch}
    return {**about, "outcome": write.outcome, **({} if named else {"key": write.key})}


def _control() -> object:
    """The thread of control that is calling: asyncio's task where there is one."""
    return asyncio.current_task() if _in_a_loop() else threading.get_ident()


class HostConnection(worker.ShownConnection):
    """A connection whose commits are for the saga that is being run."""

    world: HostWorld

    def about(self) -> dict[str, str]:
        return {"saga": self.world.saga_of(None)}


class HostWorld:
    """`sagafuzz.World`, as far as it can be had outside of the simulator."""

    def __init__(self, adapter: Adapter, scale: float) -> None:
        self._adapter = adapter
        self._scale = scale
        self._current: ContextVar[str] = ContextVar("saga", default="")
        self._sagas: dict[str, worker.SagaRequest] = {}
        self.store: Store = HostStore(self)
        self._random = random.Random()
        self.ended: dict[str, str] = {}  # what was declared of sagas that this process ended

    def enter(self, saga: worker.SagaRequest) -> None:
        """From here on this thread, or task, works for ``saga``."""
        self._sagas[saga.id] = saga
        self._current.set(saga.id)

    def work_for(self, saga: str) -> None:
        """The same, where only its id is known."""
        self._current.set(saga)

    def saga_of(self, named: str | None) -> str:
        return named if named is not None else self._current.get()

    def call(
        self,
        operation: str,
        /,
        *,
        saga: str | None = None,
        key: str | None = None,
        timeout_ms: float | None = None,
        epoch: int = 0,
        part: str | None = None,
        **payload: Any,
    ) -> Any:
        id = self.saga_of(saga)
        asked = self._sagas.get(id) or worker.SagaRequest(id=id)
        wait_ms = None if timeout_ms is None else timeout_ms / self._scale
        if part is not None or operation in self._adapter.known.in_parts:
            problem = problem_with_part(self._adapter.known, operation, part)
            if problem:
                raise UsageError(problem)
        said: dict[str, Any] = {"key": key, "payload": payload, "timeout_ms": wait_ms, "epoch": epoch, "part": part}
        ask = partial(worker.ask, asked, operation, **said)
        return asyncio.ensure_future(asyncio.to_thread(ask)) if _in_a_loop() else ask()

    def publish(
        self, topic: str, /, *, saga: str | None = None, key: str = "", delay_ms: float = 0, **payload: Any
    ) -> None:
        worker.publish(topic, saga=self.saga_of(saga), key=key, delay_ms=delay_ms / self._scale, payload=payload)

    @property
    def process(self) -> str:
        return os.environ["SAGAFUZZ_URL"].rsplit("/", 1)[1]

    @property
    def random(self) -> random.Random:
        return self._random

    def sqlite(self, name: str = "main") -> sqlite3.Connection:
        level = ""  # as sqlite3 has it where nothing is said
        connection = worker.connect(f"{name}.sqlite", HostConnection, level)
        connection.world = self
        connection.label = "" if name == "main" else name
        return connection

    def file(self, name: str = "log") -> Any:
        raise UsageError("world.file is simulated only")

    def proxy(self, thing: Any, *, name: str = "") -> Any:
        raise UsageError("world.proxy is simulated only")

    def resource(self, name: str, make: Callable[[], Any]) -> Any:
        raise UsageError("world.resource is simulated only")

    def outside(self, act: Callable[[], Any], **_: Any) -> Any:
        raise UsageError("world.outside is simulated only")

    def now(self) -> float:
        return time.time() * self._scale

    def sleep(self, seconds: float) -> Any:
        if _in_a_loop():
            return asyncio.sleep(seconds)
        time.sleep(seconds / self._scale)
        return None

    def alert(self, saga: str, *, step: str = "", reason: str = "") -> None:
        worker.note("ALERT", saga=saga, step=step, reason=reason)

    def dead_letter(self, saga: str, *, step: str = "", reason: str = "") -> None:
        worker.note("DEAD_LETTER", saga=saga, step=step, reason=reason)

    def adopt(self, saga: str, *, epoch: int = 0, definition: str = "") -> None:
        worker.note("ADOPT", saga=saga, epoch=epoch, definition=definition)

    def reply(self, saga: str, outcome: Outcome | bool) -> None:
        told = outcome if isinstance(outcome, Outcome) else Outcome.COMPLETED if outcome else Outcome.COMPENSATED
        if told is not Outcome.PENDING:
            self.ended[saga] = told.value
        worker.note("CLIENT_ACK", saga=saga, outcome=told.value)

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        threading.Thread(target=function, args=args, daemon=True).start()


def _in_a_loop() -> bool:
    return asyncio._get_running_loop() is not None


class _FastSelector(selectors.DefaultSelector):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self._scale = scale

    def select(self, timeout: float | None = None) -> Any:
        return super().select(None if timeout is None else timeout / self._scale)


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose seconds are as short as the world's. It runs in a thread of its own."""

    def __init__(self, scale: float) -> None:
        super().__init__(_FastSelector(scale))
        self._scale = scale
        threading.Thread(target=self.run_forever, daemon=True).start()

    def time(self) -> float:
        return super().time() * self._scale

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """What ``function`` gives, or what its coroutine does, as a task of this loop."""

        async def task() -> Any:
            answer = function(*args)
            return await answer if inspect.isawaitable(answer) else answer

        return asyncio.run_coroutine_threadsafe(task(), self).result()


RECOVERY: Final = "recovery"
"""The adapter's ``recover``, as if it were a saga: what a new incarnation drives first."""


def main(spec: str, scale: float) -> None:
    """Boot the adapter that ``spec`` names, and take orders."""
    from sagafuzz.loading import load

    adapter = load(spec)
    world = HostWorld(adapter, scale)
    subject = adapter.factory()
    is_async = inspect.iscoroutinefunction(subject.run)
    run: Callable[..., Any] = FastLoop(scale).run if is_async else lambda function, *args: function(*args)
    seen: World = world
    run(subject.boot, seen)
    marker = Path(worker.folder()) / "booted"
    again = marker.exists()
    marker.touch()
    recovering = threading.Event()
    if again and hasattr(subject, "recover"):
        recovering.set()

    def drive(saga: worker.SagaRequest) -> Any:
        if saga.id == RECOVERY:
            try:
                run(subject.recover)
            finally:
                recovering.clear()
            return Outcome.COMPLETED

        def place() -> Any:
            world.enter(saga)
            order = Order(id=saga.id, **{**saga.order, "data": saga.order.get("data", {})})
            return subject.run(placed(order, adapter.definition(order.saga)))

        outcome = run(place)
        if outcome is Outcome.PENDING and hasattr(subject, "receive"):
            world.reply(saga.id, outcome)  # what follows it is told by a message
        return outcome

    def status(saga: str) -> str:
        """Of a saga that another incarnation had taken: what became of it here."""
        ended = {"completed": "completed", "compensated": "compensated", "stuck": "failed_stuck"}
        return ended.get(world.ended.get(saga, ""), "running" if recovering.is_set() else "unknown")

    def pending() -> Iterable[worker.SagaRequest]:
        return [worker.SagaRequest(id=RECOVERY)] if recovering.is_set() else []

    def cancel(saga: str) -> None:
        run(subject.cancel, Order(id=saga, item="", quantity=0, amount=0, account=""))

    def receive(message: Message) -> None:
        def place() -> Any:
            world.work_for(message.saga)
            return subject.receive(message)

        run(place)

    worker.serve(
        drive,
        pending=pending,
        status=status,
        cancel=cancel if hasattr(subject, "cancel") else None,
        receive=receive if hasattr(subject, "receive") else None,
        engine=f"sagafuzz {spec}",
        each_request=True,
    )


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
