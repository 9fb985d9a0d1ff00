"""RabbitMQ by the calls of aiormq, which aio-pika is built on. What lies above the wire is aio-pika's own.

A queue is a topic of the run. Exchanges, bindings and what queues are declared with outlive a process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, Final

from ..inbox import Delivery, Inbox
from .aio import current_saga
from .host import Host
from .messaging import SETTLED_S, Inside, acknowledge, as_text, inbox_of, next_of, process_of, refuse, send, sent
from .replacing import Served

_Original = Callable[..., Any]
_STATE: Final = "_sagafuzz"
_LIVE: Final = "test it in live mode"
_OLDEST: Final = 7

_CAPABLE: Final = {"basic.nack": True, "publisher_confirms": True, "consumer_cancel_notify": True}
_DEAD_LETTERS, _DEAD_KEY = "x-dead-letter-exchange", "x-dead-letter-routing-key"
_ARGUMENTS: Final = frozenset({"x-queue-type", _DEAD_LETTERS, _DEAD_KEY})
"""The arguments of a queue that are simulated."""


# -- what is declared ----------------------------------------------------------------------------------


class _Server:
    """The declarations: types of exchanges, bindings (exchange, key, queue), and arguments of queues."""

    def __init__(self) -> None:
        self.exchanges = {"amq.direct": "direct", "amq.fanout": "fanout", "amq.topic": "topic"}
        self.bindings: list[tuple[str, str, str]] = []
        self.queues: dict[str, Mapping[str, Any]] = {}

    def route(self, exchange: str, key: str) -> list[str]:
        """The queues to which a message goes."""
        if not exchange:
            return [key]
        matches = _MATCHES[self.exchanges.get(exchange, "direct")]
        found = [queue for source, pattern, queue in self.bindings if source == exchange and matches(pattern, key)]
        return list(dict.fromkeys(found))


def _by_words(pattern: str, key: str) -> bool:
    """True if the words of a key are those of a pattern, in which ``*`` is any one and ``#`` any number of them."""

    def same(wanted: list[str], words: list[str]) -> bool:
        if not wanted:
            return not words
        if wanted[0] == "#":
            return same(wanted[1:], words) or (bool(words) and same(wanted, words[1:]))
        return bool(words) and wanted[0] in ("*", words[0]) and same(wanted[1:], words[1:])

    return same(pattern.split("."), key.split(".") if key else [])


_MATCHES: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "direct": str.__eq__,
    "fanout": lambda pattern, key: True,
    "topic": _by_words,
}
"""By the type of an exchange, when the key of a binding is that of a message."""


def _server(sim: Host) -> _Server:
    if "rabbit" not in sim.remembered:
        sim.remembered["rabbit"] = _Server()
    found: _Server = sim.remembered["rabbit"]
    return found


def _declare_exchange(sim: Host, of: Any, frame: Any) -> Any:
    if frame.exchange_type not in _MATCHES:
        refuse(sim, f"declares an exchange of type {frame.exchange_type!r}, which is not simulated", _LIVE)
    if not frame.passive:
        _server(sim).exchanges[frame.exchange] = frame.exchange_type
    return _spec().Exchange.DeclareOk()


def _declare_queue(sim: Host, of: Any, frame: Any) -> Any:
    if frame.exclusive or frame.auto_delete or not frame.queue:
        refuse(sim, "declares a queue that goes with its consumer, which is not simulated", "declare one that stays")
    for name in sorted(set(frame.arguments or {}) - _ARGUMENTS):
        refuse(sim, f"declares the queue {frame.queue!r} with {name}, which is not simulated", _LIVE)
    if not frame.passive:
        _server(sim).queues[frame.queue] = dict(frame.arguments or {})
    consumers = sum(consumer.queue == frame.queue for consumer in _state(of).consumers.values())
    waiting = _waiting(sim, frame.queue)
    return _spec().Queue.DeclareOk(queue=frame.queue, message_count=waiting, consumer_count=consumers)


def _waiting(sim: Host, queue: str) -> int:
    inbox = process_of(sim).inbox
    return 0 if inbox is None else inbox.waiting(queue)


def _bind(sim: Host, of: Any, frame: Any) -> Any:
    binding = (frame.exchange, frame.routing_key, frame.queue)
    if binding not in _server(sim).bindings:
        _server(sim).bindings.append(binding)
    return _spec().Queue.BindOk()


def _unbind(sim: Host, of: Any, frame: Any) -> Any:
    with suppress(ValueError):
        _server(sim).bindings.remove((frame.exchange, frame.routing_key, frame.queue))
    return _spec().Queue.UnbindOk()


# -- channels --------------------------------------------------------------------------------------------


class _Consumer:
    """Who reads a queue: the numbers of the messages that it has and has not acknowledged, at most so many. ``room``
    is set while it may have another."""

    def __init__(self, queue: str, most: int) -> None:
        self.queue = queue
        self.most = most
        self.has: set[int] = set()
        self.room = asyncio.Event()
        self.room.set()
        self.task: asyncio.Task[None] | None = None

    def give(self, number: int) -> None:
        self.has.add(number)
        if len(self.has) == self.most:
            self.room.clear()

    def done(self, number: int) -> None:
        self.has.discard(number)
        self.room.set()


class _Channel:
    """A channel: who consumes on it, and what was given out and is not acknowledged, by its number. ``about`` is the
    order of each message that came."""

    def __init__(self) -> None:
        self.prefetch = 0
        self.consumers: dict[str, _Consumer] = {}
        self.open: dict[int, Delivery] = {}
        self.about: dict[int, str] = {}

    def number(self, delivery: Delivery) -> int:
        """The number of a message that is given out now."""
        number = len(self.about) + 1
        self.about[number] = delivery.message.saga
        self.open[number] = delivery
        return number

    def take_back(self, number: int) -> Delivery:
        """A message that is not to be acknowledged any more."""
        for consumer in self.consumers.values():
            consumer.done(number)
        return self.open.pop(number)

    def close(self, _: object = None) -> None:
        """Deliver again each message that is not acknowledged."""
        for consumer in self.consumers.values():
            if consumer.task is not None:
                consumer.task.cancel()
        for delivery in self.open.values():
            delivery.refuse("its channel was closed")
        self.consumers.clear()
        self.open.clear()


def _spec() -> Any:
    return import_module("pamqp.commands")


def _state(of: Any) -> _Channel:
    found: _Channel = vars(of)[_STATE]
    return found


def _open(sim: Host, of: Any, frame: Any) -> Any:
    vars(of)[_STATE] = _Channel()
    of.closing.add_done_callback(_state(of).close)
    return _spec().Channel.OpenOk()


def _close(sim: Host, of: Any, frame: Any) -> Any:
    _state(of).close()
    of.connection.channels.pop(of.number, None)
    of.frames.put_nowait((0, _spec().Channel.CloseOk()))
    return _spec().Channel.CloseOk()


async def _read(sim: Host, original: _Original, of: Any) -> None:
    """Wait for the answer that the channel is closed: nothing else comes by the wire. There a dead process would close
    it too."""
    await of.frames.get()
    try:
        await of._on_close_ok_frame(None)
    except import_module("aiormq").ChannelClosed as closed:
        await of.close(closed)


def _confirm(sim: Host, of: Any, frame: Any) -> Any:
    return _spec().Confirm.SelectOk()


def _limit(sim: Host, of: Any, frame: Any) -> Any:
    if frame.global_ and frame.prefetch_count:
        refuse(sim, "limits all consumers of a channel together, which is not simulated", "write global_=False")
    _state(of).prefetch = frame.prefetch_count
    return _spec().Basic.QosOk()


# -- what is sent ----------------------------------------------------------------------------------------


async def _publish(
    sim: Host,
    original: _Original,
    of: Any,
    body: bytes,
    *,
    exchange: str = "",
    routing_key: str = "",
    properties: Any = None,
    mandatory: bool = False,
    immediate: bool = False,
    timeout: Any = None,  # noqa: ASYNC109, its name there
    wait: bool = True,
) -> Any:
    _check_open(of)
    told = {} if properties is None else {name: value for name, value in properties if value is not None}
    if "expiration" in told:
        refuse(sim, "sends a message that expires, which is not simulated", _LIVE)
    if told.get("delivery_mode") == 1:
        del told["delivery_mode"]
    number = sim.remembered["rabbit messages"] = sim.remembered.get("rabbit messages", 0) + 1
    told.setdefault("message_id", f"{number:032x}")
    where = {"exchange": exchange, "routing_key": routing_key} if exchange else {}
    topics = _server(sim).route(exchange, routing_key)
    texts = [body, *(str(told[name]).encode() for name in ("correlation_id", "headers") if name in told)]
    send(sim, exchange or routing_key, topics, texts, {**as_text("value", body), **where, "properties": told})
    of.delivery_tag += 1
    return _spec().Basic.Ack(delivery_tag=of.delivery_tag) if of.publisher_confirms else None


def _check_open(of: Any) -> None:
    if of.is_closed:
        raise import_module("aiormq").ChannelInvalidStateError(f"{of!r} closed")


# -- what comes ------------------------------------------------------------------------------------------


def _consume(sim: Host, of: Any, frame: Any) -> Any:
    state, inbox = _state(of), inbox_of(sim, [frame.queue], "")
    consumer = state.consumers[frame.consumer_tag] = _Consumer(frame.queue, state.prefetch)
    work = _deliver(sim, of, frame, consumer, inbox)
    consumer.task = asyncio.get_running_loop().create_task(work)
    return _spec().Basic.ConsumeOk(consumer_tag=frame.consumer_tag)


async def _deliver(sim: Host, of: Any, asked: Any, consumer: _Consumer, inbox: Inbox) -> None:
    """Give a consumer its messages, as long as it is there."""
    while True:
        await consumer.room.wait()
        delivery = await next_of(inbox, [consumer.queue], None)
        assert delivery is not None
        number = _state(of).number(delivery)
        if asked.no_ack:
            await _end(of, number, partial(acknowledge, sim))
        else:
            consumer.give(number)
        place = {"exchange": _exchange(delivery), "routing_key": _key(delivery), "redelivered": _again(delivery)}
        told = _spec().Basic.Deliver(consumer_tag=asked.consumer_tag, delivery_tag=number, **place)
        of.create_task(of.consumers[asked.consumer_tag](_delivered(of, told, delivery)))


async def _get(sim: Host, of: Any, frame: Any) -> Any:
    """The next message of a queue; none where there is none now."""
    delivery = await next_of(inbox_of(sim, [frame.queue], ""), [frame.queue], 0)
    if delivery is None:
        told = _spec().Basic.GetEmpty()
        message = import_module("aiormq").abc.DeliveredMessage(told, _header({}, b""), b"", of)
    else:
        number = _state(of).number(delivery)
        place = {"exchange": _exchange(delivery), "routing_key": _key(delivery), "redelivered": _again(delivery)}
        told = _spec().Basic.GetOk(delivery_tag=number, message_count=_waiting(sim, frame.queue), **place)
        message = _delivered(of, told, delivery)
        if frame.no_ack:
            await _end(of, number, partial(acknowledge, sim))
    of.getter.set_result((told, message))
    return told


def _exchange(delivery: Delivery) -> str:
    return str(delivery.message.payload.get("exchange", ""))


def _key(delivery: Delivery) -> str:
    return str(delivery.message.payload.get("routing_key", delivery.message.topic))


def _again(delivery: Delivery) -> bool:
    return delivery.message.delivery > 1


def _delivered(of: Any, told: Any, delivery: Delivery) -> Any:
    payload = delivery.message.payload
    body = sent(payload, "value") or b""
    return import_module("aiormq").abc.DeliveredMessage(told, _header(payload["properties"], body), body, of)


def _header(properties: Mapping[str, Any], body: bytes) -> Any:
    return import_module("pamqp.header").ContentHeader(
        properties=_spec().Basic.Properties(**properties), body_size=len(body)
    )


def _cancel(sim: Host, of: Any, frame: Any) -> Any:
    of.consumers.pop(frame.consumer_tag, None)
    consumer = _state(of).consumers.pop(frame.consumer_tag, None)
    if consumer is not None and consumer.task is not None:
        consumer.task.cancel()
    return _spec().Basic.CancelOk(consumer_tag=frame.consumer_tag)


async def _next(sim: Host, original: _Original, of: Any) -> Any:
    """The next message of an iterator, whose order is worked for from here on."""
    message = await original(of)
    with suppress(import_module("aiormq").ChannelInvalidStateError):
        current_saga.set(_state(message.channel).about[message.delivery_tag])
    return message


# -- what becomes of it ----------------------------------------------------------------------------------


async def _ack(
    sim: Host, original: _Original, of: Any, delivery_tag: int, multiple: bool = False, wait: bool = True
) -> None:
    await _end(of, delivery_tag, partial(acknowledge, sim), multiple)


async def _nack(
    sim: Host,
    original: _Original,
    of: Any,
    delivery_tag: int,
    multiple: bool = False,
    requeue: bool = True,
    wait: bool = True,
) -> None:
    await _end(of, delivery_tag, _give_back if requeue else partial(_discard, sim), multiple)


async def _reject(
    sim: Host, original: _Original, of: Any, delivery_tag: int, *, requeue: bool = True, wait: bool = True
) -> None:
    await _nack(sim, original, of, delivery_tag, requeue=requeue)


async def _end(of: Any, number: int, end: Callable[[Delivery], None], multiple: bool = False) -> None:
    """Be done with a message, or with all to one."""
    _check_open(of)
    state = _state(of)
    done = [each for each in state.open if each == number or (multiple and (number == 0 or each < number))]
    if number not in done and number != 0:
        raise import_module("aiormq").ChannelPreconditionFailed(f"unknown delivery tag {number}")
    for each in done:
        end(state.take_back(each))
    await asyncio.sleep(SETTLED_S)


def _give_back(delivery: Delivery) -> None:
    delivery.refuse("its consumer gives it back")


def _discard(sim: Host, delivery: Delivery) -> None:
    """Be done with a message that was rejected: it goes where its queue has dead letters go, if it does."""
    message, server = delivery.message, _server(sim)
    arguments = server.queues.get(message.topic, {})
    if _DEAD_LETTERS in arguments and sim.broker is not None:
        exchange, key = arguments[_DEAD_LETTERS], arguments.get(_DEAD_KEY, _key(delivery))
        where = {"exchange": exchange, "routing_key": key, "properties": _with_death(delivery)}
        for topic in server.route(exchange, key):
            if topic in sim.setup.adapter.topics:
                sim.broker.publish("rabbitmq", topic, saga=message.saga, payload={**message.payload, **where})
    acknowledge(sim, delivery)


def _with_death(delivery: Delivery) -> dict[str, Any]:
    """The properties of a dead letter: its headers say how often it was rejected from which queue."""
    properties = delivery.message.payload["properties"]
    headers, queue = properties.get("headers") or {}, delivery.message.topic
    deaths = headers.get("x-death", [])
    times = sum(each["count"] for each in deaths if each["queue"] == queue)
    last = {"queue": queue, "reason": "rejected", "count": times + 1, "exchange": _exchange(delivery)}
    others = [each for each in deaths if each["queue"] != queue]
    return {**properties, "headers": {**headers, "x-death": [{**last, "routing-keys": [_key(delivery)]}, *others]}}


# -- connections -----------------------------------------------------------------------------------------


async def _connect(sim: Host, original: _Original, of: Any, client_properties: Any = None) -> bool:
    process_of(sim)
    version = import_module("aiormq.connection").__version__
    if int(version.partition(".")[0]) < _OLDEST:
        refuse(sim, f"connects by aiormq {version}, whose calls are not simulated", "take aio-pika 10 or later")
    of.server_properties = {"capabilities": _CAPABLE}
    of.connection_tune = _spec().Connection.Tune(channel_max=2047, frame_max=131_072, heartbeat=0)
    of._reader_task, of._writer_task = of.create_task(_for_ever()), of.create_task(_for_ever())
    of.connected.set()
    return True


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def _ready(sim: Host, original: _Original, of: Any) -> None:
    await of.connected.wait()


_ANSWERS: Final[Mapping[str, Callable[[Host, Any, Any], Any]]] = {
    "Basic.Cancel": _cancel,
    "Basic.Consume": _consume,
    "Basic.Get": _get,
    "Basic.Qos": _limit,
    "Channel.Close": _close,
    "Channel.Open": _open,
    "Confirm.Select": _confirm,
    "Exchange.Declare": _declare_exchange,
    "Queue.Bind": _bind,
    "Queue.Declare": _declare_queue,
    "Queue.Unbind": _unbind,
}
"""By the name of a request, what it is answered. The others are refused."""


async def _ask(sim: Host, original: _Original, of: Any, frame: Any, **_: Any) -> Any:
    process_of(sim)
    if frame.name not in _ANSWERS:
        refuse(sim, f"asks RabbitMQ for {frame.name}, which is not simulated", _LIVE)
    if frame.name != "Channel.Open":
        _check_open(of)
    answer = _ANSWERS[frame.name](sim, of, frame)
    return await answer if asyncio.iscoroutine(answer) else answer


CALLS: Final[Mapping[str, Inside]] = {
    "rpc": _ask,
    "basic_publish": _publish,
    "basic_ack": _ack,
    "basic_nack": _nack,
    "basic_reject": _reject,
}
"""Of a channel, what its calls are inside of a service; all others come down to ``rpc``."""


def entries() -> Iterator[Served]:
    """The stand-ins for the wire of aiormq."""
    aiormq: Any = import_module("aiormq")
    yield Served(aiormq.Connection, "connect", _connect)
    yield Served(aiormq.Connection, "ready", _ready)
    yield Served(aiormq.Channel, "_reader", _read)
    for name, inside in CALLS.items():
        yield Served(aiormq.Channel, name, inside)


def iterators() -> Iterator[Served]:
    """The stand-ins for the iterators of aio-pika."""
    yield Served(import_module("aio_pika.queue").QueueIterator, "__anext__", _next)
    yield Served(import_module("aio_pika.robust_queue").RobustQueueIterator, "__anext__", _next)
