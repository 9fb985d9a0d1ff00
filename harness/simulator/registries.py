"""The registries in which libraries keep models, metrics and listeners of the code under test.

That code is loaded anew for each process, a library is not. So a library forgets what code that is gone gave it, and a
listener is called in the process that it is of, and in no other one.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from types import FunctionType, ModuleType
from typing import Any, Final

from ..fresh import Names
from .inside import simulation
from .kernel import Owner


def keep() -> Callable[[], None]:
    """Return what lets libraries keep again what they keep now."""
    kept = [_copy(each) for name, held in _HOLDS.items() if name in sys.modules for each in held(sys.modules[name])]

    def put_back() -> None:
        for act in kept:
            act()

    return put_back


def _copy(held: Any) -> Callable[[], None]:
    """Return what lets a dict, a list, a deque or a set hold again what it holds now."""
    if isinstance(held, Mapping):
        entries = dict(held)
        kind: Any = dict if isinstance(held, dict) else type(held)  # past what a class of its own forbids

        def refill() -> None:
            kind.clear(held)
            kind.update(held, entries)

        return refill
    members = [*held]

    def put() -> None:
        held.clear()
        (held.update if isinstance(held, set) else held.extend)(members)

    return put


def forget(of: Names) -> None:
    """Let libraries keep nothing of code that is about to be loaded anew, but for listeners of processes that live."""
    for name, act in _FORGETS.items():
        library = sys.modules.get(name)
        if library is not None:
            act(library, of)


def adopt(of: Names) -> None:
    """Give the listeners of code that has been loaded to the process that is running."""
    sim = simulation()
    task = None if sim is None else sim.kernel.current
    if task is None:
        return
    for name, act in _ADOPTS.items():
        library = sys.modules.get(name)
        if library is not None:
            act(library, of, task.process)


# -- models of SQLAlchemy, and so of SQLModel ------------------------------------------------------------


def _forget_models(mappers: ModuleType, of: Names) -> None:
    """Forget classes, and tables, on a base that is not loaded anew: a library's, say."""
    held: set[int] | None = None
    for registry in [*mappers._all_registries()]:
        users = [mapper for mapper in registry.mappers if of(mapper.class_.__module__)]
        outliving = {id(found): found for each in users if (found := _metadata(each.class_, of)) is not None}
        if not outliving:
            continue
        held = _held(of) if held is None else held
        mapped = {id(table) for mapper in users for table in mapper.tables}
        for metadata in outliving.values():
            for table in [table for table in metadata.tables.values() if id(table) in mapped | held]:
                metadata.remove(table)
        for each in users:
            registry._dispose_cls(each.class_)  # from the names by which classes find one another


def _metadata(kind: type, of: Names) -> Any:
    """The metadata of a mapped class, where they outlive its module; else None."""
    owner = next((each for each in kind.__mro__ if "metadata" in vars(each)), None)
    if owner is None or of(owner.__module__):
        return None
    kept = getattr(sys.modules.get(owner.__module__), owner.__name__, None) is owner  # else it was made for the module
    return vars(owner)["metadata"] if kept else None


def _held(of: Names) -> set[int]:
    """The ids of what modules of the code under test hold, and their classes."""
    return {id(value) for name, module in sys.modules.copy().items() if of(name) for value in _values(module)}


def _values(module: ModuleType) -> Iterator[Any]:
    """The values in a module, and in its classes."""
    for value in vars(module).copy().values():
        yield value
        if issubclass(type(value), type) and value.__module__ == module.__name__:
            yield from vars(value).values()


# -- metrics of Prometheus -------------------------------------------------------------------------------

_collectors: Final[list[Any]] = []  # those that code under test has registered


def _forget_metrics(prometheus: ModuleType, of: Names) -> None:
    registry = prometheus.REGISTRY
    register = registry.register
    if not hasattr(register, "__wrapped__"):

        @wraps(register)
        def noted(collector: Any) -> None:
            register(collector)
            if simulation() is not None:
                _collectors.append(collector)

        registry.register = noted
    gone = _held(of).union(map(id, _collectors))
    for each in [each for each in registry._collector_to_names.copy() if id(each) in gone]:
        registry.unregister(each)
    _collectors.clear()


# -- listeners -------------------------------------------------------------------------------------------


class OfProcess:
    """A listener that is called in one process. Elsewhere it answers as one does that changes nothing."""

    __slots__ = ("__weakref__", "_unchanged", "listener", "process")

    def __init__(self, listener: Callable[..., Any], process: Owner, unchanged: slice | None = None) -> None:
        self.listener = listener
        self.process = process
        self._unchanged = unchanged  # which of its arguments say so; None where nothing need be said

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        sim = simulation()
        task = None if sim is None else sim.kernel.current
        if task is None or task.process is not self.process:
            return None if self._unchanged is None else args[self._unchanged]
        return self.listener(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return other is self or bool(self.listener == getattr(other, "listener", other))

    def __hash__(self) -> int:
        return self.listener.__hash__()


def _is_gone(listener: Any, of: Names) -> bool:
    """True if nobody is to call a listener any more: its process is dead, or it is of none."""
    return listener.process.dead if isinstance(listener, OfProcess) else _is_of(listener, of)


def _is_of(listener: Any, of: Names) -> bool:
    """True for a listener of the code under test, also one that a library has put a function around."""
    within = gc.get_referents(*(listener.__closure__ or ())) if isinstance(listener, FunctionType) else []
    return any(of(getattr(each, "__module__", None) or "") for each in (listener, *within) if callable(each))


_ANSWERS: Final = {"before_execute": slice(1, 4), "before_cursor_execute": slice(2, 4)}
"""The events of SQLAlchemy whose listeners may say what is to be executed in the place of some of their arguments."""


def _levels(events: ModuleType) -> Iterator[tuple[Any, Mapping[type, Any], dict[Any, Any]]]:
    """The collections of listeners of all objects of a class: (by which it is known, listeners by class, keys)."""
    for collection, keys in events._collection_to_key.copy().items():  # it changes whenever garbage is collected
        levels = getattr(collection(), "_clslevel", None)
        if levels is not None:
            yield collection, levels, keys


def _forget_listeners(events: ModuleType, of: Names) -> None:
    for collection, levels, keys in _levels(events):
        gone: set[int] = set()
        for listeners in levels.values():
            for each in [each for each in listeners if _is_gone(each, of)]:
                gone.add(id(getattr(each, "listener", each)))
                listeners.remove(each)
        for known, key in keys.copy().items():
            if id(known()) in gone:
                keys.pop(known, None)
                events._key_to_collection[key].pop(collection, None)


def _adopt_listeners(events: ModuleType, of: Names, process: Owner) -> None:
    for collection, levels, _ in _levels(events):
        unchanged = _ANSWERS.get(collection().name)
        for kind, listeners in levels.items():
            for n, each in enumerate(() if of(kind.__module__) else [*listeners]):
                if not isinstance(each, OfProcess) and _is_of(each, of):
                    listeners[n] = OfProcess(each, process, unchanged)


_known: Final[dict[int, list[Any]]] = {}  # signals, by how many modules there were when they were looked for


def _signals(dispatcher: ModuleType) -> list[Any]:
    """Django's own signals."""
    count = len(sys.modules)
    if count not in _known:
        modules = [module for name, module in sys.modules.copy().items() if name.startswith("django.")]
        values = [each for module in modules for each in vars(module).copy().values()]
        _known.clear()  # isinstance would make lazy values be made:
        _known[count] = [each for each in values if issubclass(type(each), dispatcher.Signal)]
    return _known[count]


def _receiver(entry: tuple[Any, ...]) -> Any:
    return entry[1]() if isinstance(entry[1], weakref.ReferenceType) else entry[1]


def _forget_receivers(dispatcher: ModuleType, of: Names) -> None:
    for signal in _signals(dispatcher):
        signal.receivers = [each for each in signal.receivers if not _is_gone(_receiver(each), of)]
        signal.sender_receivers_cache.clear()


def _adopt_receivers(dispatcher: ModuleType, of: Names, process: Owner) -> None:
    for signal in _signals(dispatcher):
        for n, each in enumerate(signal.receivers):
            receiver = _receiver(each)
            if not isinstance(receiver, OfProcess) and _is_of(receiver, of):
                signal.receivers[n] = (each[0], OfProcess(receiver, process), *each[2:])
        signal.sender_receivers_cache.clear()


def _of_blinker(base: ModuleType) -> Iterator[tuple[Any, int, Any]]:
    """The receivers of the signals that have a name in blinker, Flask's own among them: (signal, key, receiver)."""
    flask = getattr(sys.modules.get("flask.signals"), "_signals", None)
    for namespace in (base.default_namespace, {} if flask is None else flask):
        for signal in [*namespace.values()]:
            for key, kept in [*signal.receivers.items()]:
                yield signal, key, kept() if isinstance(kept, weakref.ReferenceType) else kept


def _forget_blinkers(base: ModuleType, of: Names) -> None:
    for signal, key, receiver in _of_blinker(base):
        if receiver is None or _is_gone(receiver, of):
            signal._disconnect(key, base.ANY_ID)


def _adopt_blinkers(base: ModuleType, of: Names, process: Owner) -> None:
    for signal, key, receiver in _of_blinker(base):
        if not isinstance(receiver, OfProcess) and _is_of(receiver, of):
            signal.receivers[key] = OfProcess(receiver, process)


# -- what is put back in the end -------------------------------------------------------------------------


def _held_of_models(mappers: ModuleType) -> Iterator[Any]:
    for registry in [*mappers._all_registries()]:
        yield registry._class_registry
        tables = [table for mapper in registry.mappers for table in mapper.tables]
        yield from {id(table.metadata): table.metadata.tables for table in tables}.values()


def _held_of_listeners(events: ModuleType) -> Iterator[Any]:
    for _, levels, _ in _levels(events):
        yield from levels.values()


def _held_of_metrics(prometheus: ModuleType) -> Iterator[Any]:
    yield prometheus.REGISTRY._collector_to_names
    yield prometheus.REGISTRY._names_to_collectors


def _held_of_django(registry: ModuleType) -> Iterator[Any]:
    yield from registry.apps.all_models.values()


def _held_of_signals(dispatcher: ModuleType) -> Iterator[Any]:
    for signal in _signals(dispatcher):  # a list of receivers is replaced by another one, and stays as it is
        yield from (vars(signal), signal.sender_receivers_cache)


def _held_of_blinkers(base: ModuleType) -> Iterator[Any]:
    for signal in {id(signal): signal for signal, _, _ in _of_blinker(base)}.values():
        yield from (signal.receivers, signal._by_receiver, *signal._by_receiver.values(), *signal._by_sender.values())


_HOLDS: Final[Mapping[str, Callable[[ModuleType], Iterator[Any]]]] = {
    "sqlalchemy.orm.mapper": _held_of_models,
    "sqlalchemy.event.registry": _held_of_listeners,
    "prometheus_client": _held_of_metrics,
    "django.apps": _held_of_django,
    "django.dispatch.dispatcher": _held_of_signals,
    "blinker.base": _held_of_blinkers,
}
"""The dicts, lists and sets in which a library keeps what an app gives it, by the module that keeps it."""

_FORGETS: Final[Mapping[str, Callable[[ModuleType, Names], None]]] = {
    "sqlalchemy.orm.mapper": _forget_models,
    "sqlalchemy.event.registry": _forget_listeners,
    "prometheus_client": _forget_metrics,
    "django.dispatch.dispatcher": _forget_receivers,
    "blinker.base": _forget_blinkers,
}
"""What makes a library forget, by the module that keeps it."""

_ADOPTS: Final[Mapping[str, Callable[[ModuleType, Names, Owner], None]]] = {
    "sqlalchemy.event.registry": _adopt_listeners,
    "django.dispatch.dispatcher": _adopt_receivers,
    "blinker.base": _adopt_blinkers,
}
"""What gives a process its listeners, by the module that keeps them."""
