"""A worker that runs any sagafuzz adapter as a real process.   hosting.py ADAPTER TIME_SCALE

The adapter is the one that the simulator runs, and sees the same World: here calls go over HTTP, the store is SQLite,
a commit is shown to the harness on both sides, and a second of the adapter's own time takes 1/TIME_SCALE seconds.
So two worlds can be compared on one code.
"""

from __future__ import annotations

import asyncio
import inspect
import json
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
from sagafuzz.errors import UsageError
from sagafuzz.ports import Adapter, Conflict, Store, World
from sagafuzz.saga import FORWARD, Outcome
from sagafuzz.scenario import Order


class HostStore:
    """`sagafuzz.Store` on SQLite. A lock, not the database, keeps threads apart: a commit waits for the harness."""

    def __init__(self, world: HostWorld) -> None:
        self._world = world
        self._db = worker.database("store.sqlite")
        self._db.execute("CREATE TABLE IF NOT EXISTS store (key TEXT PRIMARY KEY, value TEXT)")
        self._lock = threading.Lock()
        self._batch = threading.local()

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
        text = json.dumps(value)
        about = {"record": record or "write", "saga": self._world.saga_of(saga), "step": step, "epoch": epoch}
        if record == "terminal" and isinstance(value, Mapping) and value.get("outcome"):
            about["outcome"] = self._world.ended[str(about["saga"])] = value["outcome"]
        self._write(about, key, text, guard)

    def delete(self, key: str, *, record: str | None = None, saga: str | None = None) -> None:
        self._write({"record": record or "delete", "saga": self._world.saga_of(saga)}, key, None, None)

    def _write(self, about: Mapping[str, Any], key: str, text: str | None, guard: Mapping[str, Any] | None) -> None:
        batch = getattr(self._batch, "writes", None)
        if batch is not None:
            batch.append((about, key, text, guard))
            return
        worker.post("log", {**about, "phase": "log"})
        with self._lock:
            self._commit([(about, key, text, guard)])
        worker.post("log", {**about, "phase": "logged"})

    def _commit(self, writes: Sequence[tuple[Mapping[str, Any], str, str | None, Mapping[str, Any] | None]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for _, key, _, guard in writes:  # guards are about what was there before
                if guard is not None:
                    self._check(key, guard)
            for _, key, text, _ in writes:
                if text is None:
                    self._db.execute("DELETE FROM store WHERE key = ?", (key,))
                else:
                    self._db.execute("INSERT OR REPLACE INTO store VALUES (?, ?)", (key, text))
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _check(self, key: str, guard: Mapping[str, Any]) -> None:
        found = self._db.execute("SELECT value FROM store WHERE key = ?", (key,)).fetchone()
        held = None if found is None else json.loads(found[0])
        fits = held is None if not guard else isinstance(held, dict) and guard.items() <= held.items()
        if not fits:
            raise Conflict(f"{key!r} is not what the guard names")

    def get(self, key: str, default: Any = None) -> Any:
        for _, other, text, _ in reversed(getattr(self._batch, "writes", None) or []):
            if other == key:
                return default if text is None else json.loads(text)
        with self._lock:
            found = self._db.execute("SELECT value FROM store WHERE key = ?", (key,)).fetchone()
        return default if found is None else json.loads(found[0])

    def items(self, prefix: str = "") -> list[tuple[str, Any]]:
        with self._lock:
            rows = self._db.execute("SELECT key, value FROM store ORDER BY key").fetchall()
        return [(key, json.loads(text)) for key, text in rows if key.startswith(prefix)]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._batch.writes = []
        try:
            yield
            writes = self._batch.writes
        finally:
            self._batch.writes = None
        if not writes:
            return
        shown = [about for about, _, _, _ in writes]
        worker.post("log", {"writes": shown, "phase": "log"})
        with self._lock:
            self._commit(writes)
        worker.post("log", {"writes": shown, "phase": "logged"})


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
        **payload: Any,
    ) -> Any:
        found = self._adapter.saga.by_operation.get(operation)
        if found is None:
            raise UsageError(f"live mode knows no operation {operation!r}: no step has it")
        step, direction = found
        id = self.saga_of(saga)
        asked = self._sagas.get(id) or worker.SagaRequest(id=id)
        wait_ms = None if timeout_ms is None else timeout_ms / self._scale
        verb = "do" if direction == FORWARD else "undo"
        ask = partial(worker.call, asked, step.name, verb, key=key, payload=payload, timeout_ms=wait_ms, epoch=epoch)
        return asyncio.ensure_future(asyncio.to_thread(ask)) if _in_a_loop() else ask()

    @property
    def process(self) -> str:
        return os.environ["SAGAFUZZ_URL"].rsplit("/", 1)[1]

    @property
    def random(self) -> random.Random:
        return self._random

    def sqlite(self, name: str = "main") -> sqlite3.Connection:
        return worker.database(f"{name}.sqlite")

    def file(self, name: str = "log") -> Any:
        raise UsageError("world.file is simulated only")

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
            return subject.run(Order(id=saga.id, **{**saga.order, "data": saga.order.get("data", {})}))

        return run(place)

    def status(saga: str) -> str:
        """Of a saga that another incarnation had taken: what became of it here."""
        ended = {"completed": "completed", "compensated": "compensated", "stuck": "failed_stuck"}
        return ended.get(world.ended.get(saga, ""), "running" if recovering.is_set() else "unknown")

    def pending() -> Iterable[worker.SagaRequest]:
        return [worker.SagaRequest(id=RECOVERY)] if recovering.is_set() else []

    def cancel(saga: str) -> None:
        run(subject.cancel, Order(id=saga, item="", quantity=0, amount=0, account=""))

    worker.serve(
        drive,
        pending=pending,
        status=status,
        cancel=cancel if hasattr(subject, "cancel") else None,
        engine=f"sagafuzz {spec}",
    )


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
