"""The thread-locals of the thread that runs, which change with the task: those of a service are of its tasks, whoever
made the `threading.local`, and when."""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
import threading
from collections.abc import Iterator
from typing import Any, Final, Protocol

from ..errors import UsageError

_RUNNING_LOOP: Final = "__asyncio_running_event_loop__"
"""What asyncio keeps beside them up to Python 3.12, and refers to from elsewhere too: it stays where it is."""

_FIRST_BY_KEY: Final = 13
"""The first minor version of Python 3 in which a thread has a key to them."""

_WORDS: Final = 64
"""How much of what CPython knows of a thread is looked through."""


class ThreadLocals(Protocol):
    """The thread-locals of each task, and whose turn it is."""

    def none(self) -> Any:
        """The thread-locals of a task that begins."""

    def exchange(self, others: Any) -> Any:
        """Let ``others`` be those of this thread; the ones that were."""


class _InDict:
    """Up to Python 3.12 they are the values of a dictionary of the thread."""

    def __init__(self) -> None:
        find = ctypes.pythonapi.PyThreadState_GetDict
        find.restype = ctypes.c_void_p
        self._here: dict[Any, Any] = ctypes.cast(find(), ctypes.py_object).value

    def none(self) -> dict[Any, Any]:
        return {}

    def exchange(self, others: dict[Any, Any]) -> dict[Any, Any]:
        here = self._here
        had = here.copy()
        here.clear()
        here.update(others)
        loop = had.pop(_RUNNING_LOOP, None)
        if loop is not None:
            here[_RUNNING_LOOP] = loop
        return had


class _Keys:
    """Two objects of CPython's: a thread finds its locals by the one, and they are cleared when the other one is gone.
    Without them it makes some of its own."""

    __slots__ = ("addresses",)

    def __init__(self) -> None:
        self.addresses: tuple[int | None, int | None] = (None, None)

    def __del__(self) -> None:
        for address in self.addresses:
            if address is not None:
                _forget(address)


_forget = ctypes.pythonapi.Py_DecRef
_forget.argtypes = [ctypes.c_void_p]
_forget.restype = None


class _ByKey:
    """From Python 3.13 on each `threading.local` has a dictionary of its own, in which it finds those of a thread by a
    key that the thread has."""

    def __init__(self) -> None:
        find = ctypes.pythonapi.PyThreadState_Get
        find.restype = ctypes.c_void_p
        self._words = (ctypes.c_void_p * _WORDS).from_address(find())
        self._at = _places()

    def none(self) -> _Keys:
        return _Keys()

    def exchange(self, others: _Keys) -> _Keys:
        words, (key, sentinel) = self._words, self._at
        had = _Keys()
        had.addresses = words[key], words[sentinel]
        words[key], words[sentinel] = others.addresses
        others.addresses = None, None  # they are the thread's now
        return had


@functools.cache
def _places() -> tuple[int, int]:
    """Where the key and its sentinel are in what CPython knows of a thread."""
    probe = threading.local()
    probe.here = True
    held = [each for each in gc.get_referents(probe) if isinstance(each, dict | set)]
    key = next(each for each in _members(held) if not callable(each))
    sentinel = next(each() for each in _members(held) if callable(each))
    find = ctypes.pythonapi.PyThreadState_Get
    find.restype = ctypes.c_void_p
    words = [*(ctypes.c_void_p * _WORDS).from_address(find())]
    return words.index(id(key)), words.index(id(sentinel))


def _members(held: list[Any]) -> Iterator[Any]:
    for each in held:
        yield from each


def of_this_thread() -> ThreadLocals:
    """Those of the thread that calls. Raises UsageError where this Python keeps them as none before it did."""
    minor = sys.version_info.minor
    if minor < _FIRST_BY_KEY:
        return _InDict()
    try:
        return _ByKey()
    except (StopIteration, ValueError):
        raise UsageError(f"a service as it is does not run on Python 3.{minor} yet; use Python 3.11 to 3.13") from None
