"""aiokafka by its calls: each topic has one partition, and one group of consumers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, Final

from ..inbox import Delivery
from .clocks import wall_s
from .host import Host
from .messaging import SETTLED_S, Faked, acknowledge, inbox_of, next_of, publish, refuse, sent

_Original = Callable[..., Any]
_STATE: Final = "_sagafuzz"
_LIVE: Final = "test it in live mode"


class _Consumer:
    """The topics that a consumer reads, and the messages that it was given and has not committed."""

    def __init__(self, topics: Iterable[str], options: dict[str, Any]) -> None:
        self.topics = tuple(topics)
        self.key_of = options.get("key_deserializer") or _same
        self.value_of = options.get("value_deserializer") or _same
        self.group = str(options.get("group_id") or "")
        self.commits_itself = options.get("enable_auto_commit", True) or not self.group
        self.open: list[tuple[int, Delivery]] = []  # with their offsets


def _same(value: Any) -> Any:
    return value


def _nothing(sim: Host, original: _Original, of: Any, *_: Any, **__: Any) -> Any:
    return _done(None)


async def _done(value: Any) -> Any:
    return value


# -- producer ------------------------------------------------------------------------------------------


def _make_producer(sim: Host, original: _Original, of: Any, **options: Any) -> None:
    of._closed = True  # so that it does not complain, when it is collected, that it is open
    serializers = [options.get(name) or _same for name in ("key_serializer", "value_serializer")]
    vars(of)[_STATE] = (*serializers, options.get("transactional_id"))


async def _start_producer(sim: Host, original: _Original, of: Any) -> None:
    if vars(of)[_STATE][2] is not None:
        refuse(sim, "makes an AIOKafkaProducer with a transactional_id, which is not simulated", _LIVE)


async def _send(
    sim: Host,
    original: _Original,
    of: Any,
    topic: str,
    value: Any = None,
    key: Any = None,
    partition: int | None = None,
    timestamp_ms: int | None = None,
    headers: Any = None,
) -> asyncio.Future[Any]:
    key_as, value_as, _ = vars(of)[_STATE]
    told = {name: content.decode("latin-1") for name, content in headers or ()}
    publish(sim, topic, _bytes(key_as(key)), _bytes(value_as(value)), told)
    structs = import_module("aiokafka.structs")
    number = sim.remembered["kafka"] = sim.remembered.get("kafka", 0) + 1
    future = asyncio.get_running_loop().create_future()
    where = structs.TopicPartition(topic, 0)
    future.set_result(structs.RecordMetadata(topic, 0, where, number, int(wall_s(sim) * 1000), 0, 0))
    return future


async def _send_and_wait(sim: Host, original: _Original, of: Any, topic: str, *args: Any, **options: Any) -> Any:
    return await (await _send(sim, original, of, topic, *args, **options))


def _bytes(value: Any) -> bytes | None:
    if value is not None and not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"Value must be bytes, bytearray or memoryview, not {type(value)}")
    return None if value is None else bytes(value)


async def _partitions_for(sim: Host, original: _Original, of: Any, topic: str) -> set[int]:
    return {0}


# -- consumer ------------------------------------------------------------------------------------------


def _make_consumer(sim: Host, original: _Original, of: Any, *topics: str, **options: Any) -> None:
    of._closed = True
    vars(of)[_STATE] = _Consumer(topics, options)


def _state(of: Any) -> _Consumer:
    found: _Consumer = vars(of)[_STATE]
    return found


async def _start_consumer(sim: Host, original: _Original, of: Any) -> None:
    inbox_of(sim, _state(of).topics, _state(of).group)


def _subscribe(
    sim: Host, original: _Original, of: Any, topics: Any = (), pattern: str | None = None, listener: Any = None
) -> None:
    if pattern is not None:
        refuse(sim, "subscribes to a pattern, which is not simulated", "name the topics")
    _state(of).topics = tuple(topics)


def _subscription(sim: Host, original: _Original, of: Any) -> frozenset[str]:
    return frozenset(_state(of).topics)


def _assignment(sim: Host, original: _Original, of: Any) -> frozenset[Any]:
    structs = import_module("aiokafka.structs")
    return frozenset(structs.TopicPartition(topic, 0) for topic in _state(of).topics)


async def _stop_consumer(sim: Host, original: _Original, of: Any) -> None:
    state = _state(of)
    for _, delivery in state.open:
        delivery.refuse("its consumer has stopped")
    state.open.clear()
    state.topics = ()


async def _take(sim: Host, of: Any, seconds: float | None) -> Any:
    """The next record; None where none comes in so many seconds."""
    state = _state(of)
    delivery = await next_of(inbox_of(sim, state.topics, state.group), state.topics, seconds)
    if delivery is None:
        return None
    offset = _offset(sim, delivery)
    state.open.append((offset, delivery))
    if state.commits_itself:  # it may be at any moment, and is at the first
        await _acknowledge(sim, state)
    payload = delivery.message.payload
    key, value = sent(payload, "key"), sent(payload, "value")
    return import_module("aiokafka.structs").ConsumerRecord(
        topic=delivery.message.topic,
        partition=0,
        offset=offset,
        timestamp=int(wall_s(sim) * 1000),
        timestamp_type=0,
        key=None if key is None else state.key_of(key),
        value=None if value is None else state.value_of(value),
        checksum=None,
        serialized_key_size=-1 if key is None else len(key),
        serialized_value_size=-1 if value is None else len(value),
        headers=tuple((name, text.encode("latin-1")) for name, text in payload.get("headers", {}).items()),
    )


def _offset(sim: Host, delivery: Delivery) -> int:
    """The offset of a message: the same for each delivery of it."""
    known: dict[str, int] = sim.remembered.setdefault("offsets", {})
    return known.setdefault(delivery.message.id, len(known))


async def _getone(sim: Host, original: _Original, of: Any, *partitions: Any) -> Any:
    return await _take(sim, of, None)


async def _getmany(
    sim: Host, original: _Original, of: Any, *partitions: Any, timeout_ms: int = 0, max_records: int | None = None
) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    record = await _take(sim, of, timeout_ms / 1000)
    while record is not None:
        where = import_module("aiokafka.structs").TopicPartition(record.topic, 0)
        found.setdefault(where, []).append(record)
        record = None if sum(map(len, found.values())) == max_records else await _take(sim, of, 0)
    return found


async def _commit(sim: Host, original: _Original, of: Any, offsets: Any = None) -> None:
    await _acknowledge(sim, _state(of), offsets)


async def _acknowledge(sim: Host, state: _Consumer, offsets: Any = None) -> None:
    """Acknowledge what was given out: all of it, or what lies before some offsets."""
    before = None if offsets is None else {place.topic: _number(told) for place, told in offsets.items()}
    done = [
        (offset, delivery)
        for offset, delivery in state.open
        if before is None or offset < before.get(delivery.message.topic, 0)
    ]
    for entry in done:
        state.open.remove(entry)
        acknowledge(sim, entry[1])
    if done:
        await asyncio.sleep(SETTLED_S)


def _seek(sim: Host, original: _Original, of: Any, partition: Any, offset: int) -> None:
    state = _state(of)
    back = [entry for entry in state.open if entry[1].message.topic == partition.topic and entry[0] >= offset]
    if not back:
        refuse(sim, "calls AIOKafkaConsumer.seek to what it has committed, which is not simulated", _LIVE)
    for entry in back:
        state.open.remove(entry)
        entry[1].refuse("its consumer goes back")


def _number(told: Any) -> int:
    """The offset in what is committed: itself, or with a text for it."""
    return int(told[0] if isinstance(told, tuple) else told)


async def _next(sim: Host, original: _Original, of: Any) -> Any:
    return await _take(sim, of, None)


def _itself(sim: Host, original: _Original, of: Any) -> Any:
    return of


# -- admin ---------------------------------------------------------------------------------------------


class _Created:
    """The answer when topics are made: each is there already."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def to_object(self) -> dict[str, Any]:
        return {"topic_errors": [{"topic": name, "error_code": 0, "error_message": None} for name in self._names]}


def _make_admin(sim: Host, original: _Original, of: Any, **options: Any) -> None:
    of._closed = True


async def _create_topics(
    sim: Host,
    original: _Original,
    of: Any,
    new_topics: Iterable[Any],
    timeout_ms: int | None = None,
    validate_only: bool = False,
) -> _Created:
    return _Created([topic.name for topic in new_topics])


def faked() -> Iterator[Faked]:
    """The classes of aiokafka whose calls are simulated."""
    aiokafka: Any = import_module("aiokafka")
    yield Faked(
        aiokafka.AIOKafkaProducer,
        {
            "__init__": _make_producer,
            "start": _start_producer,
            "stop": _nothing,
            "flush": _nothing,
            "send": _send,
            "send_and_wait": _send_and_wait,
            "partitions_for": _partitions_for,
        },
    )
    yield Faked(
        aiokafka.AIOKafkaConsumer,
        {
            "__init__": _make_consumer,
            "__aiter__": _itself,
            "__anext__": _next,
            "start": _start_consumer,
            "stop": _stop_consumer,
            "subscribe": _subscribe,
            "subscription": _subscription,
            "assignment": _assignment,
            "getone": _getone,
            "getmany": _getmany,
            "commit": _commit,
            "seek": _seek,
        },
    )
    yield Faked(
        import_module("aiokafka.admin.client").AIOKafkaAdminClient,
        {"__init__": _make_admin, "start": _nothing, "close": _nothing, "create_topics": _create_topics},
    )
