"""What the adapters of the reference on real servers have in common. Each save of a store is a crash point."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from ..errors import UsageError
from ..ports import StoreUnavailable, World
from ..reference_saga import Orchestrator
from ..reference_saga.ports import Listed, SagaStore
from .reference import DEFINITION, Reference


class EmptiableStore(SagaStore, Protocol):
    """A store at a place of its own on a server."""

    def empty(self) -> None:
        """Forget every saga."""

    def close(self) -> None:
        """Hang up."""


class CrashPoints:
    """A store whose saves are durable writes of the simulated world."""

    def __init__(self, world: World, store: SagaStore) -> None:
        self._world = world
        self._store = store

    def save(self, record: Mapping[str, Any], entries: Sequence[tuple[str, str]]) -> None:
        by_client = entries[0][0] == "cancel"
        self._world.outside(
            partial(self._store.save, record, entries),
            saga=record["id"],
            records=entries,
            epoch=0 if by_client else record["epoch"],
            outcome=record["outcome"],
        )

    def load(self, saga_id: str) -> dict[str, Any] | None:
        return self._world.outside(partial(self._store.load, saga_id), saga=saga_id)

    def open(self) -> list[Listed]:
        return self._world.outside(self._store.open, saga="")


class ReferenceOnServer(Reference):
    """The reference on a store at the address that the environment's ``variable`` holds. It is opened once a thread;
    the runs there share it, one after the other."""

    variable: str
    example: str
    open_store: Callable[[str], EmptiableStore]

    def boot(self, world: World) -> None:
        store = world.resource("sagas", self._emptied)
        self.orchestrator = Orchestrator(DEFINITION, ports=world, store=CrashPoints(world, store))

    @contextmanager
    def _emptied(self) -> Iterator[EmptiableStore]:
        store = self._opened()
        store.empty()
        try:
            yield store
        finally:
            store.empty()

    def _opened(self) -> EmptiableStore:
        cls = type(self)
        address = os.environ.get(cls.variable, "")
        if not address:
            raise UsageError(f"{cls.variable} names no server; write for example {cls.variable}='{cls.example}'")
        here = (address, os.getpid(), threading.get_ident())
        if here not in _open:
            try:
                _open[here] = cls.open_store(address)
            except StoreUnavailable as error:
                raise UsageError(f"{cls.variable}={address!r}: {error}") from None
        return _open[here]


_open: dict[tuple[str, int, int], EmptiableStore] = {}


@atexit.register
def _close_all() -> None:
    for (_, process, _), store in _open.items():
        if process == os.getpid():  # else it is the parent's, which goes on with it
            store.close()
