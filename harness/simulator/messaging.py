"""What the clients of brokers have in common whose calls are simulated: they publish to the `Broker` of the run, and
take from the `Inbox` of their process what that delivers.

A call of theirs that is not simulated ends the run, and is named.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, NoReturn

from ..errors import UsageError
from ..frames import Caller
from ..inbox import Delivery, Inbox
from ..records import Write
from .aio import current_saga
from .host import Host
from .incarnation import Incarnation
from .parking import moment_us
from .redis_names import named
from .replacing import Served
from .store import durable_write
from .threads import works_for
from .whose import calling, here

SETTLED_S: Final = 0.001
"""So long who acknowledges waits for that to be noted."""

Inside = Callable[..., Any]


class Faked(NamedTuple):
    """A class of a client, and what its calls are inside of a service, by name."""

    of: type
    calls: Mapping[str, Inside]


def entries(faked: Iterable[Faked]) -> Iterator[Served]:
    """Stand-ins for the calls of some classes: all that are public and not simulated are refused."""
    for of, calls in faked:
        for name, inside in calls.items():
            yield Served(of, name, inside)
        for name in dir(of):
            if not name.startswith("_") and name not in calls and callable(getattr(of, name)):
                yield Served(of, name, refusing(f"{of.__name__}.{name}"))


def refusing(call: str) -> Inside:
    """The stand-in for a call that is not simulated."""

    def refused(sim: Host, original: Inside, *_: Any, **__: Any) -> NoReturn:
        refuse(sim, f"calls {call}, which is not simulated", "docs/service.md lists what is; test it in live mode")

    return refused


def refuse(sim: Host, does: str, instead: str) -> NoReturn:
    """End the run: the user's code does what it cannot, and what is to be done in its place is said."""
    where = calling(sim).words or "an unknown line"
    sim.refuse(UsageError(f"adapter {sim.setup.adapter.name!r} at {where} {does}; {instead}"))


def process_of(sim: Host) -> Incarnation:
    """The process that calls. Raises ProcessCrashed where it is dead."""
    process = sim.task().process
    assert isinstance(process, Incarnation)
    process.check_alive()
    return process


# -- what is sent ------------------------------------------------------------------------------------


def publish(sim: Host, topic: str, key: bytes | None, value: bytes | None, headers: Mapping[str, Any]) -> None:
    """Send a message, which is a value, a key and headers, to a topic."""
    texts = [each for each in (value, key) if each is not None]
    payload = {**as_text("value", value), **as_text("key", key), **({"headers": dict(headers)} if headers else {})}
    send(sim, topic, (topic,), texts, payload, lane=key.decode("utf-8", "replace") if key is not None else "")


def send(
    sim: Host, to: str, topics: Sequence[str], texts: Sequence[bytes], payload: Mapping[str, Any], lane: str = ""
) -> None:
    """Send a message to all of some topics at once. It is about the order that the ``texts`` name. Where none of the
    topics is declared, it is for others: to send it is one durable write."""
    process, known = process_of(sim), sim.setup.known
    saga = named(texts, known) or process.current_saga()
    ours = [topic for topic in topics if topic in sim.setup.adapter.topics]
    if not ours or sim.broker is None:
        what = f"send {to}"
        durable_write(sim, process, saga, what, (Write(saga, "", what),), lambda _: None)
        return
    if saga not in known:
        refuse(sim, f"sends a message to {to!r} that names no order", "write the order's id into its value or its key")
    first, *also = ours
    sim.broker.publish(process.label, first, saga=saga, key=lane, payload=payload, process=process, also=also)


def as_text(name: str, value: bytes | None) -> dict[str, str]:
    """The field of a payload for text or data, which `sent` reads."""
    if value is None:
        return {}
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_latin1": value.decode("latin-1")}


def sent(payload: Mapping[str, Any], name: str) -> bytes | None:
    """The text or data that was sent as value or key."""
    if name in payload:
        return str(payload[name]).encode()
    latin = payload.get(f"{name}_latin1")
    return None if latin is None else str(latin).encode("latin-1")


# -- what becomes of it ------------------------------------------------------------------------------

ACKNOWLEDGED: Final = "acknowledged"
"""Where somebody wants to know it, what is remembered by this name: the line that acknowledged the last message of a
saga and a topic."""


def acknowledge(sim: Host, delivery: Delivery) -> None:
    """A message is handled."""
    lines: dict[tuple[str, str], Caller] | None = sim.remembered.get(ACKNOWLEDGED)
    if lines is not None:
        lines[delivery.message.saga, delivery.message.topic] = here()
    delivery.acknowledge()


# -- what comes --------------------------------------------------------------------------------------


def inbox_of(sim: Host, topics: Iterable[str], group: str) -> Inbox:
    """The inbox of the process that calls, where some topics may be read by a consumer of that group."""
    process = process_of(sim)
    groups: dict[str, str] = sim.remembered.setdefault("groups", {})
    for topic in topics:
        if groups.setdefault(topic, group) != group:
            refuse(
                sim, f"reads {topic!r} in group {group!r} as well as in {groups[topic]!r}", "one group can be simulated"
            )
        if topic not in sim.setup.adapter.topics:
            add = f'@sagafuzz.service(topics={{"{topic}": sagafuzz.Topic(ordered=True)}}, ...)'
            refuse(sim, f"reads {topic!r}, which is no topic", f"declare it: {add}")
    found = process.inbox
    if found is None:
        refuse(sim, "consumes messages in an app of a participant", "test it as a service of its own")
    return found


async def next_of(inbox: Inbox, topics: Iterable[str], seconds: float | None) -> Delivery | None:
    """The next message of some topics, waited for in virtual time; None where none comes in so many seconds."""
    loop = asyncio.get_running_loop()
    until = None if seconds is None else loop.time() + seconds
    while (found := inbox.take(topics)) is None:
        left = None if until is None else until - loop.time()
        if left is not None and left <= 0:
            return None
        came = asyncio.Event()
        inbox.when_more_comes(partial(loop.call_soon_threadsafe, came.set))
        try:
            await asyncio.wait_for(came.wait(), left)
        except TimeoutError:
            return None
    current_saga.set(found.message.saga)
    return found


def next_for_thread(sim: Host, inbox: Inbox, topics: Iterable[str], seconds: float | None) -> Delivery | None:
    """The same, for a thread."""
    works_for(sim.task(), "")
    until_us = None if seconds is None else moment_us(sim.kernel, seconds)
    while (found := inbox.take(topics)) is None:
        left = None if until_us is None else (until_us - sim.kernel.now_us) / 1e6
        if left is not None and left <= 0:
            return None
        came = threading.Event()
        inbox.when_more_comes(came.set)
        came.wait(left)
    works_for(sim.task(), found.message.saga)
    return found
