"""confluent-kafka by its calls. librdkafka, which it is built on, knows no virtual time and has threads of its own: it
is never begun in a service. Each topic has one partition, and one group of consumers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final, NoReturn

from ..inbox import Delivery
from .clocks import wall_s
from .host import Host
from .inside import simulation
from .messaging import SETTLED_S, Inside, acknowledge, inbox_of, next_for_thread, publish, refuse, refusing, sent
from .replacing import Entry, Instead, Served

_STATE: Final = "_sagafuzz"


class _Producer:
    """The news that a producer has of its messages, to be told when it is asked."""

    def __init__(self, sim: Host, options: Mapping[str, Any]) -> None:
        if options.get("transactional.id"):
            refuse(sim, "makes a Producer with a transactional.id, which is not simulated", "test it in live mode")
        self.tell: list[Callable[[], object]] = []


class _Consumer:
    """The topics that a consumer reads, and the messages that it was given and has not committed, with their
    offsets."""

    def __init__(self, sim: Host, options: Mapping[str, Any]) -> None:
        self.topics: tuple[str, ...] = ()
        self.group = str(options["group.id"])
        automatic = _truth(options.get("enable.auto.commit", True))
        self.commits_itself = automatic and _truth(options.get("enable.auto.offset.store", True))
        self.commits_stored = automatic and not self.commits_itself
        self.open: list[tuple[int, Delivery]] = []
        self.on_assign: Callable[[Any, Any], object] | None = None


def _truth(value: Any) -> bool:
    return str(value).lower() == "true"


# -- producer ------------------------------------------------------------------------------------------


def _produce(
    sim: Host,
    of: Any,
    topic: str,
    value: Any = None,
    key: Any = None,
    partition: int = -1,
    on_delivery: Any = None,
    timestamp: int = 0,
    headers: Any = None,
    callback: Any = None,
) -> None:
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    told = {name: (_bytes(content) or b"").decode("latin-1") for name, content in pairs}
    publish(sim, topic, _bytes(key), _bytes(value), told)
    tell = on_delivery or callback
    if tell is not None:
        message = import_module("confluent_kafka").Message(
            topic=topic, partition=0, offset=0, key=_bytes(key), value=_bytes(value)
        )
        vars(of)[_STATE].tell.append(lambda: tell(None, message))


def _bytes(value: Any) -> bytes | None:
    return value.encode() if isinstance(value, str) else None if value is None else bytes(value)


def _tell(sim: Host, of: Any, timeout: float | None = None) -> int:
    """Tell what became of the messages that were sent."""
    state = vars(of)[_STATE]
    told, state.tell = state.tell, []
    for each in told:
        each()
    return len(told)


def _flush(sim: Host, of: Any, timeout: float | None = None) -> int:
    _tell(sim, of)
    return 0


# -- consumer ------------------------------------------------------------------------------------------


def _subscribe(
    sim: Host, of: Any, topics: Any, on_assign: Any = None, on_revoke: Any = None, on_lost: Any = None
) -> None:
    state = vars(of)[_STATE]
    inbox_of(sim, topics, state.group)
    state.topics, state.on_assign = tuple(topics), on_assign


def _assignment(sim: Host, of: Any) -> list[Any]:
    return [import_module("confluent_kafka").TopicPartition(topic, 0) for topic in vars(of)[_STATE].topics]


def _unsubscribe(sim: Host, of: Any) -> None:
    vars(of)[_STATE].topics = ()


def _close(sim: Host, of: Any) -> None:
    state = vars(of)[_STATE]
    for _, delivery in state.open:
        delivery.refuse("its consumer is closed")
    state.open.clear()
    state.topics = ()


def _poll(sim: Host, of: Any, timeout: float | None = None) -> Any:
    state: _Consumer = vars(of)[_STATE]
    if state.on_assign is not None:
        on_assign, state.on_assign = state.on_assign, None
        on_assign(of, _assignment(sim, of))
    seconds = None if timeout is None or timeout < 0 else timeout
    delivery = next_for_thread(sim, inbox_of(sim, state.topics, state.group), state.topics, seconds)
    if delivery is None:
        return None
    known: dict[str, int] = sim.remembered.setdefault("offsets", {})
    offset = known.setdefault(delivery.message.id, len(known))
    state.open.append((offset, delivery))
    if state.commits_itself:  # it may be at any moment, and is at the first
        _acknowledge(sim, state, None)
    payload = delivery.message.payload
    headers = [(name, text.encode("latin-1")) for name, text in payload.get("headers", {}).items()]
    return import_module("confluent_kafka").Message(
        topic=delivery.message.topic,
        partition=0,
        offset=offset,
        key=sent(payload, "key"),
        value=sent(payload, "value"),
        headers=headers or None,
        timestamp=(1, int(wall_s(sim) * 1000)),
    )


def _consume(sim: Host, of: Any, num_messages: int = 1, timeout: float = -1) -> list[Any]:
    found: list[Any] = []
    message = _poll(sim, of, timeout)
    while message is not None:
        found.append(message)
        message = _poll(sim, of, 0) if len(found) < num_messages else None
    return found


def _commit(sim: Host, of: Any, message: Any = None, offsets: Any = None, asynchronous: bool = True) -> Any:
    _acknowledge(sim, vars(of)[_STATE], _before(message, offsets))
    return None if asynchronous else offsets or _assignment(sim, of)


def _store_offsets(sim: Host, of: Any, message: Any = None, offsets: Any = None) -> None:
    state = vars(of)[_STATE]
    if state.commits_stored:  # which may be at any moment
        _acknowledge(sim, state, _before(message, offsets))


def _before(message: Any, offsets: Any) -> dict[str, int] | None:
    """The offset, for each topic, before which all is to be committed; None where that is all."""
    if message is not None:
        return {message.topic(): message.offset() + 1}
    return None if offsets is None else {place.topic: place.offset for place in offsets}


def _acknowledge(sim: Host, state: _Consumer, before: Mapping[str, int] | None) -> None:
    done = [
        (offset, delivery)
        for offset, delivery in state.open
        if before is None or offset < before.get(delivery.message.topic, 0)
    ]
    for entry in done:
        state.open.remove(entry)
        acknowledge(sim, entry[1])
    if done:
        sim.kernel.sleep(sim.task(), round(SETTLED_S * 1e6))


# -- the classes -----------------------------------------------------------------------------------------


def _standing_for(real: Any, state: Callable[[Host, Mapping[str, Any]], object], calls: Mapping[str, Inside]) -> Any:
    """A class whose objects are those of librdkafka, and in a service those of the run."""

    def begin(self: Any, *args: Any, **options: Any) -> None:
        sim = simulation()
        if sim is None or sim.setup.adapter.service is None:
            real.__init__(self, *args, **options)
        else:
            vars(self)[_STATE] = state(sim, {**(args[0] if args else {}), **options})

    body: dict[str, Any] = {"__init__": begin, "__len__": _len, "__module__": real.__module__}
    for name in dir(real):
        if not name.startswith("_"):
            body[name] = _call(real, name, calls.get(name))
    return type(real.__name__, (real,), body)


def _len(of: Any) -> int:
    return len(vars(of)[_STATE].tell) if _STATE in vars(of) and hasattr(vars(of)[_STATE], "tell") else 1


def _call(real: Any, name: str, inside: Inside | None) -> Callable[..., Any]:
    original = getattr(real, name)
    refused = refusing(f"{real.__name__}.{name}")

    def call(self: Any, *args: Any, **options: Any) -> Any:
        if _STATE not in vars(self):
            return original(self, *args, **options)
        sim = simulation()
        if sim is None:  # its run is over
            return None
        return refused(sim, original) if inside is None else inside(sim, self, *args, **options)

    return call


_PRODUCER: Final[Mapping[str, Inside]] = {"produce": _produce, "poll": _tell, "flush": _flush, "close": _flush}
_CONSUMER: Final[Mapping[str, Inside]] = {
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "assignment": _assignment,
    "poll": _poll,
    "consume": _consume,
    "commit": _commit,
    "store_offsets": _store_offsets,
    "close": _close,
}


def entries() -> Iterator[Entry]:
    """The stand-ins for the classes of confluent-kafka: two are simulated, the others refused."""
    library: Any = import_module("confluent_kafka")
    yield Instead(library, "Producer", _standing_for(library.Producer, _Producer, _PRODUCER))
    yield Instead(library, "Consumer", _standing_for(library.Consumer, _Consumer, _CONSUMER))
    if hasattr(library, "ShareConsumer"):
        yield Instead(library, "ShareConsumer", _standing_for(library.ShareConsumer, _refused, {}))
    yield Served(import_module("confluent_kafka.admin").AdminClient, "__init__", refusing("AdminClient"))
    yield from _refusing(library, "SerializingProducer", "DeserializingConsumer", "DeserializingShareConsumer")


def entries_for_asyncio() -> Iterator[Entry]:
    """The stand-ins for the classes of confluent-kafka for asyncio, which are refused."""
    names = ("AIOProducer", "AIOConsumer", "AsyncSerializingProducer", "AsyncDeserializingConsumer")
    return _refusing(import_module("confluent_kafka.aio"), *names)


def _refusing(library: Any, *names: str) -> Iterator[Entry]:
    for name in names:
        if hasattr(library, name):
            yield Served(getattr(library, name), "__init__", refusing(name))


def _refused(sim: Host, options: Mapping[str, Any]) -> NoReturn:
    refuse(sim, "makes a ShareConsumer, which is not simulated", "test it in live mode")
