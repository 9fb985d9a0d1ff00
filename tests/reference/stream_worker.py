"""A process with a consumer for each service, a relay and a client, until it is killed.

python stream_worker.py KIND PLACE URL STREAM NAME     with NAME "-": only drive what is there to its end
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from stores import open_event_database

from sagafuzz.reference_saga.choreography import CHECKOUT_FLOW, Event
from sagafuzz.reference_saga.choreography.sql import EventService, unpublished
from sagafuzz.reference_saga.choreography.streams import Consumer, Stream, relay
from sagafuzz.reference_saga.services import Database, Services

TAKEOVER_MS = 300


def main(kind: str, where: str, url: str, stream: str, name: str) -> None:
    database = open_event_database(kind, where)
    Services(database).endow(stock={"plenty": 10**6, "rare": 20}, accounts={"rich": 10**9, "poor": 0})
    consumers = [
        Consumer(Stream(url, stream), EventService(service, database), f"{service}/{name}", takeover_ms=TAKEOVER_MS)
        for service in CHECKOUT_FLOW.services
    ]
    last = name == "-"
    for consumer in consumers:
        threading.Thread(target=for_ever, args=(consumer,), daemon=last).start()
    if not last:
        threading.Thread(target=keep_buying, args=(database, name)).start()
    publish(database, Stream(url, stream), until_idle=last)


def for_ever(consumer: Consumer) -> None:
    while True:
        consumer.work(block_ms=100)


def publish(database: Database, stream: Stream, *, until_idle: bool) -> None:
    """Empty the outbox again and again; to the end of all events where that is asked."""
    while not (until_idle and not unpublished(database) and stream.idle() and not unpublished(database)):
        if not relay(database, stream):
            time.sleep(0.01)


def keep_buying(database: Database, name: str) -> None:
    order = EventService("order", database)
    for n in itertools.count():
        data = {
            "item": "rare" if n % 5 == 2 else "plenty",
            "quantity": 1,
            "account": "poor" if n % 3 == 1 else "rich",
            "amount": 100,
        }
        order.receive(Event(type=CHECKOUT_FLOW.begin, saga=f"{name}-{n}", data=data))
        sys.stdout.write(f"{name}-{n}\n")
        sys.stdout.flush()
        time.sleep(0.05)


main(*sys.argv[1:])
