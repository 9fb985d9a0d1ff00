"""A connection for each thread, since a connection serves one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar


class _Closes(Protocol):
    def close(self) -> None: ...


_C = TypeVar("_C", bound=_Closes)


class PerThread(Generic[_C]):
    """Connections, each opened by ``connect`` when its thread first asks for it."""

    def __init__(self, connect: Callable[[], _C]) -> None:
        self._connect = connect
        self._connections = threading.local()
        self._opened: list[_C] = []

    def get(self) -> _C:
        """That of the calling thread."""
        found: _C | None = getattr(self._connections, "here", None)
        if found is None:
            found = self._connections.here = self._connect()
            self._opened.append(found)
        return found

    def drop(self) -> None:
        """Close that of the calling thread; the next `get` opens another."""
        found: _C | None = getattr(self._connections, "here", None)
        if found is not None:
            self._connections.here = None
            with suppress(ValueError):  # another thread has closed them all
                self._opened.remove(found)
            found.close()

    def close(self) -> None:
        """Close those of all threads."""
        while self._opened:
            self._opened.pop().close()
        self._connections = threading.local()
