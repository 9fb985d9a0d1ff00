"""Events over Redis streams, by redis-py: ``pip install 'sagafuzz[redis]'``.

One stream, and a consumer group for each service, so that every service sees every event at least once. A
consumer acknowledges (XACK) when its local transaction is committed; what a dead consumer had not, another
claims (XAUTOCLAIM).
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

import redis
from redis.exceptions import ResponseError

from ...ports import Unavailable
from ..services import Database
from ..stores.redis import check_durability, redis_errors
from .flow import Event
from .sql import EventService, published, unpublished

LOG = logging.getLogger("sagafuzz.reference_saga")

AT_ONCE: Final = 32
"""Events that a consumer, or the relay, takes at one time."""


class Stream:
    """The stream ``name`` of a Redis server. Raises UsageError where the server would lose events that it has
    acknowledged, as `RedisStore` does; ``allow_loss`` accepts that, with a warning."""

    def __init__(self, url: str, name: str = "checkout:events", *, allow_loss: bool = False) -> None:
        self.name = name
        self.client: Any = redis.Redis.from_url(url, decode_responses=True)
        with redis_errors():
            check_durability(self.client, type(self).__name__, allow_loss)

    def publish(self, events: list[Event]) -> None:
        """Append events, durably. One that was there already is there twice then."""
        with redis_errors(), self.client.pipeline(transaction=False) as pipe:
            for event in events:
                pipe.xadd(self.name, {"type": event.type, "saga": event.saga, "data": json.dumps(dict(event.data))})
            pipe.execute()

    def group(self, service: str) -> None:
        """Make the consumer group of a service, from the first event on, where there is none."""
        with redis_errors():
            try:
                self.client.xgroup_create(self.name, service, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    def idle(self) -> bool:
        """True if every group has been given, and has acknowledged, all that was published."""
        with redis_errors():
            groups = self.client.xinfo_groups(self.name)
            last = self.client.xinfo_stream(self.name)["last-generated-id"]
        return all(group["pending"] == 0 and group["last-delivered-id"] == last for group in groups)

    def close(self) -> None:
        self.client.close()


def relay(database: Database, stream: Stream) -> int:
    """Publish what lies in the outbox, and only then take it out. How many events there were."""
    events = unpublished(database, AT_ONCE)
    if events:
        stream.publish(events)
        published(database, events)
    return len(events)


class Consumer:
    """One process's, or thread's, part of a service's consumer group. ``name`` is its own.

    ``takeover_ms`` is for how long an event must have lain with another consumer before this one claims it. It
    may be claimed while that one is only slow: then both handle it, and the inbox lets one of them.
    """

    def __init__(self, stream: Stream, service: EventService, name: str, *, takeover_ms: int = 30_000) -> None:
        self._stream = stream
        self._service = service
        self._name = name
        self._takeover_ms = takeover_ms
        stream.group(service.name)

    def work(self, block_ms: int = 1_000) -> int:
        """Handle what is there: first what others left behind, then what is new, for which it waits at most
        ``block_ms``. How many deliveries there were."""
        stream, group = self._stream, self._service.name
        with redis_errors():
            claimed = stream.client.xautoclaim(
                stream.name, group, self._name, self._takeover_ms, start_id="0-0", count=AT_ONCE
            )[1]
            fresh = stream.client.xreadgroup(
                group, self._name, {stream.name: ">"}, count=AT_ONCE, block=None if claimed else block_ms
            )
        delivered = [*claimed, *(fresh[0][1] if fresh else ())]
        for id, fields in delivered:
            if fields:  # else it was trimmed
                self._handle(id, fields)
        return len(delivered)

    def _handle(self, id: str, fields: dict[str, str]) -> None:
        """An event whose handling fails is not acknowledged, so it comes again; the others go on."""
        try:
            event = Event(type=fields["type"], saga=fields["saga"], data=json.loads(fields["data"]))
            self._service.receive(event)
        except Unavailable as error:
            LOG.warning("%s cannot handle event %s now: %s", self._service.name, id, error)
            return
        except Exception:
            LOG.exception("%s cannot handle event %s", self._service.name, id)
            return
        with redis_errors():
            self._stream.client.xack(self._stream.name, self._service.name, id)
