"""`world.proxy()`: an object that stores things, as it is, made durable. What its methods change is a durable write.

What the object holds is kept as bytes. A method runs on a copy of that, with copies of its arguments, so that nobody
changes by a reference what was not written. A method that changes nothing is a read, and no site.
"""

from __future__ import annotations

import inspect
import io
import pickle
import threading
from collections.abc import Callable, ItemsView, KeysView, Sequence, ValuesView
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any, ClassVar, Final, NamedTuple, NoReturn

from ..errors import UsageError
from ..records import Write
from .host import Host
from .incarnation import Incarnation
from .store import durable_write

_LIVING: Final = (FunctionType, type(threading.Lock()), type(threading.RLock()), threading.Condition)
"""What an object may hold that is not kept as bytes: it is the same in each copy."""


_VIEWS: Final = (KeysView, ValuesView, ItemsView)


class _Frozen(NamedTuple):
    """Something as bytes; ``living`` is what in it is no plain data."""

    text: bytes
    living: tuple[Any, ...]

    def thawed(self) -> Any:
        """A copy of it."""
        return _Reader(io.BytesIO(self.text), self.living).load()


class _Reader(pickle.Unpickler):
    def __init__(self, source: io.BytesIO, living: tuple[Any, ...]) -> None:
        super().__init__(source)
        self._living = living

    def persistent_load(self, pid: int) -> Any:
        return self._living[pid]


def _frozen(thing: Any) -> _Frozen:
    """A thing as bytes. Raises an exception of pickle's where it holds what is neither data nor known to live."""
    living: list[Any] = []

    def apart(found: Any) -> int | None:
        local = isinstance(found, type) and "<locals>" in found.__qualname__
        if not local and not (isinstance(found, _LIVING) and not _has_a_name(found)):
            return None
        index = next((index for index, each in enumerate(living) if each is found), None)
        if index is None:
            living.append(found)
        return len(living) - 1 if index is None else index

    out = io.BytesIO()
    _Writer(out, apart).dump(thing)
    return _Frozen(out.getvalue(), tuple(living))


class _Writer(pickle._Pickler):
    """Writes the same bytes for the same thing, whatever the order of a set."""

    dispatch: ClassVar[dict[type, Any]] = pickle._Pickler.dispatch.copy()

    def __init__(self, out: io.BytesIO, apart: Callable[[Any], int | None]) -> None:
        super().__init__(out, 5)
        self._apart = apart

    def persistent_id(self, obj: Any) -> int | None:
        return self._apart(obj)

    def _save_set(self, found: Any) -> None:
        self.save_reduce(type(found), (sorted(found, key=lambda each: _frozen(each).text),), obj=found)  # type: ignore[attr-defined]

    dispatch[set] = dispatch[frozenset] = _save_set


def _has_a_name(found: Any) -> bool:
    """True if a function can be found by its name, in the code that is loaded then."""
    return isinstance(found, FunctionType) and "<" not in found.__qualname__


@dataclass(slots=True)
class _Held:
    """What a run keeps of one object."""

    state: _Frozen


def proxy(host: Host, process: Incarnation, thing: Any, name: str) -> Any:
    """What stands for ``thing`` in one process: it holds what that held in the processes before."""
    label = name or type(thing).__name__
    held = host.resources.get(f"proxy {label}")
    if held is None:
        try:
            held = _Held(_frozen(_frozen(thing).thawed()))
        except Exception as error:
            host.refuse(UsageError(f"world.proxy({type(thing).__name__}()): it cannot be kept: {_told(error)}"))
        host.resources[f"proxy {label}"] = held
        host.on_close.append(partial(host.resources.pop, f"proxy {label}", None))  # a run that has one is not copied
    return _standing_for(type(thing))(_Port(host, process, held, label))


class _Port:
    """One process's way to an object."""

    def __init__(self, host: Host, process: Incarnation, held: _Held, label: str) -> None:
        self._host = host
        self._process = process
        self._held = held
        self._label = label

    def attribute(self, whole: Any, name: str) -> Any:
        """A method of the object, that writes what it changes; a copy of anything else."""
        self._process.check_alive()
        of = self._held.state.thawed()
        found = getattr(of, name)
        if getattr(found, "__self__", None) is of:
            return self._method(whole, name, found)
        return found if callable(found) else _frozen(found).thawed()

    def set(self, name: str, value: Any) -> None:
        """Give the object an attribute: that is a write too."""
        self.do(None, name, lambda of, given: setattr(of, name, given), (value,), {})

    def _method(self, whole: Any, name: str, found: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            return self.do(whole, name, lambda of, *a, **o: getattr(of, name)(*a, **o), args, options)

        async def call_async(*args: Any, **options: Any) -> Any:
            given = call(*args, **options)
            return await given if inspect.isawaitable(given) else given

        return call_async if inspect.iscoroutinefunction(found) else call

    def do(self, whole: Any, name: str, act: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> Any:
        """What ``act`` gives for the object. It is done once to see whether it changes anything, and if so again when
        its turn to be written has come."""
        self._process.check_alive()
        try:
            given = _frozen((tuple(args), options))
        except Exception as error:
            self._refuse(name, f"its arguments cannot be kept: {_told(error)}", "pass data")
        before = self._held.state
        of = before.thawed()
        result = self._outcome(name, act, of, given)
        if _frozen(of) == before:
            return self._read(whole, name, of, result, (args, options))
        saga = self._process.current_saga()
        write = Write(saga, "", f"{self._label}.{name}")
        done: list[_Result] = []

        def commit(_: object) -> None:
            of = self._held.state.thawed()
            done.append(self._outcome(name, act, of, given))
            self._before = self._held.state
            self._held.state = _frozen(of)

        durable_write(self._host, self._process, saga, write.record, (write,), commit, undo=self._take_back)
        return self._given(whole, of, done[0])

    def _take_back(self) -> None:
        self._held.state = self._before

    def _outcome(self, name: str, act: Callable[..., Any], of: Any, given: _Frozen) -> _Result:
        args, options = given.thawed()
        try:
            found = act(of, *args, **options)
            if inspect.iscoroutine(found):
                found = self._awaited(name, found)
            return _Result([*found] if isinstance(found, _VIEWS) else found, None, of)
        except Exception as error:
            return _Result(None, error, of)

    def _awaited(self, name: str, coroutine: Any) -> Any:
        try:
            coroutine.send(None)
        except StopIteration as stopped:
            return stopped.value
        coroutine.close()
        return self._refuse(name, "it waits for something, in the midst of a write", "give a storage in memory")

    def _read(self, whole: Any, name: str, of: Any, result: _Result, call: tuple[Sequence[Any], dict[str, Any]]) -> Any:
        """What a method gives that changes nothing. One that gives something that goes on with the object, a context
        manager say, is called with what stands for it."""
        if result.error is not None or result.value is of:
            return self._given(whole, of, result)
        try:
            if not _refers(result.value, of):
                return _frozen(result.value).thawed()
        except Exception:  # it lives: it goes on with the object
            pass
        function = getattr(type(of), name, None)
        if whole is None or not isinstance(function, FunctionType):
            self._refuse(name, f"it gives a {type(result.value).__name__}", "give a storage whose methods give data")
        args, options = call
        return function(whole, *args, **options)

    def _given(self, whole: Any, of: Any, result: _Result) -> Any:
        if result.error is not None:
            raise result.error
        return whole if result.value is result.of else _frozen(result.value).thawed()

    def _refuse(self, name: str, why: str, instead: str) -> NoReturn:
        self._host.refuse(UsageError(f"world.proxy: {self._label}.{name}: {why}; {instead}"))


class _Result(NamedTuple):
    """What a method gave, or raised; ``of`` is the copy on which it ran."""

    value: Any
    error: Exception | None
    of: Any


def _refers(value: Any, of: Any) -> bool:
    """True if a value has a reference to the object itself."""
    found = False

    def look(each: Any) -> int | None:
        nonlocal found
        found = found or each is of
        return 0 if each is of or (isinstance(each, _LIVING) and not _has_a_name(each)) else None

    _Writer(io.BytesIO(), look).dump(value)
    return found


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


_OPERATORS: Final = ("__getitem__", "__setitem__", "__delitem__", "__contains__", "__len__")


def _standing_for(kind: type) -> Callable[[_Port], Any]:
    """A class whose objects stand for those of a class: `isinstance` takes them for such."""
    body: dict[str, Any] = {"__slots__": (), "__class__": property(lambda self: kind)}
    body |= {special: _operator(special) for special in _OPERATORS if hasattr(kind, special)}
    if hasattr(kind, "__iter__"):
        body["__iter__"] = lambda self: iter(_port(self).do(self, "iter", list, (), {}))
    return type(kind.__name__, (_Proxy,), body)


def _operator(special: str) -> Callable[..., Any]:
    def operate(self: Any, *args: Any) -> Any:
        return _port(self).do(self, special.strip("_"), lambda of, *a: getattr(of, special)(*a), args, {})

    return operate


def _port(standing: Any) -> _Port:
    found: _Port = object.__getattribute__(standing, "_sagafuzz_port")
    return found


class _Proxy:
    """What stands for an object."""

    __slots__ = ("_sagafuzz_port",)

    def __init__(self, port: _Port) -> None:
        object.__setattr__(self, "_sagafuzz_port", port)

    def __getattr__(self, name: str) -> Any:
        return _port(self).attribute(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _port(self).set(name, value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on the world>"
