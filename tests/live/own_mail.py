"""A parcel of which two messages have to come before it is sent; whoever misses one asks for both again."""

from __future__ import annotations

from typing import Any

import sagafuzz
from sagafuzz import Conflict, Message, Outcome, PortError

SAGA = sagafuzz.Saga("parcel", [sagafuzz.Step("parcel", "shipping.send", undo="shipping.recall")])
BOTH = ["first", "second"]
DECLARED: dict[str, Any] = {
    "saga": SAGA,
    "scenarios": [sagafuzz.Scenario()],
    "cannot_suffer": ("second-orchestrator", "pause", "stale-read"),
}


class Posts:
    """Publishes two messages, and sends the parcel when both have come."""

    fails = False

    def boot(self, world: Any) -> None:
        self.world = world

    def run(self, order: Any) -> Outcome:
        self.world.store.put(order.id, {"got": []}, record="create", saga=order.id)
        self.publish(order.id)
        return Outcome.PENDING

    def recover(self) -> None:
        for saga, record in self.world.store.items():
            if set(record["got"]) != {*BOTH}:
                self.publish(saga)

    def publish(self, saga: str) -> None:
        for topic in BOTH:
            self.world.publish(topic, saga=saga, key="parcel")

    def receive(self, message: Message) -> None:
        if self.fails and message.topic == "first" and message.delivery == 1:
            raise LookupError("not yet")
        while True:
            record = self.world.store.get(message.saga)
            got = [*record["got"], message.topic]
            try:
                self.world.store.put(message.saga, {"got": got}, record="got", saga=message.saga, guard=record)
                break
            except Conflict:
                self.world.sleep(0.1)
        if {*got} == {*BOTH}:
            self.send(message.saga)

    def send(self, saga: str) -> None:
        while True:
            try:
                self.world.call("shipping.send", saga=saga, key=saga)
                break
            except PortError:
                self.world.sleep(0.5)
        self.world.reply(saga, Outcome.COMPLETED)


class Fails(Posts):
    """Cannot handle the first message when it first comes."""

    fails = True


IN_ORDER = {topic: sagafuzz.Topic(ordered=True) for topic in BOTH}

Free = sagafuzz.adapter(**DECLARED)(Posts)
FailsOnce = sagafuzz.adapter(**DECLARED)(Fails)
Ordered = sagafuzz.adapter(**DECLARED, topics=IN_ORDER)(type("Ordered", (Fails,), {}))
Lossy = sagafuzz.adapter(**DECLARED, topics={"first": sagafuzz.Topic(may_lose=True)})(type("Lossy", (Posts,), {}))
