"""Saga systems in many styles, each right, and why: none of them may be told wrong.

They share no orchestrator, since the styles differ in just that; what they share is patience with what fails. A
system's docstring says in its first sentence what it is, and then why it is right.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from sagafuzz import (
    Adapter,
    CallTimeout,
    Conflict,
    Order,
    Outcome,
    Rejected,
    Request,
    Saga,
    Scenario,
    Step,
    StoreUnavailable,
    Transaction,
    Unavailable,
    World,
    adapter,
)
from sagafuzz.adapters.checkout import CHECKOUT

SUCCEEDS = Scenario()
DECLINED = Scenario(name="declined", rejections=((1, "payment.charge"),))
UNSHIPPED = Scenario(name="unshipped", rejections=((1, "shipping.send"),))
BOTH = (SUCCEEDS, DECLINED)

DELIVERY = Saga(
    "delivery",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("payment", "payment.charge", undo="payment.refund", pivot=True),
        Step("shipping", "shipping.send", retriable=True),
        Step("mail", "mail.send", retriable=True),
    ],
)
"""With a pivot, and two steps behind it that come through sooner or later."""

ERRANDS = Saga(
    "errands",
    [
        Step("order", "order.create", retriable=True),
        Step("shipping", "shipping.send", retriable=True),
        Step("mail", "mail.send", retriable=True),
    ],
)
"""Nothing of it can be refused, and nothing is ever undone."""

FORKED = Saga(
    "forked",
    [
        Step("order", "order.create", undo="order.cancel", after=()),
        Step("inventory", "inventory.reserve", undo="inventory.release", after=("order",)),
        Step("payment", "payment.charge", undo="payment.refund", after=("order",)),
    ],
)
"""Two branches after the first step."""

TRIED = Saga(
    "tried",
    [
        Step("inventory", "inventory.reserve", undo="inventory.release"),
        Step("payment", "payment.hold", undo="payment.void"),
        Step("sell", "inventory.confirm", retriable=True),
        Step("capture", "payment.confirm", retriable=True),
    ],
)
"""Try, confirm, cancel: each participant reserves, then all are told to make it final."""

SEATS = Saga(
    "seats",
    [
        Step("seat", "inventory.reserve", undo="inventory.release"),
        Step("payment", "payment.charge", undo="payment.refund"),
        Step("keep", "inventory.confirm"),
    ],
)
"""A reservation that may run out before it is confirmed."""

RIGHT: dict[str, Adapter] = {}
"""Each system by its name."""


def right(saga: Saga = CHECKOUT, scenarios: tuple[Scenario, ...] = BOTH, **options: Any) -> Callable[[type], type]:
    """List the decorated class. Each reads the store that it writes: there is no replica that lags behind."""
    options["cannot_suffer"] = ("stale-read", *options.get("cannot_suffer", ()))

    def declare(cls: type) -> type:
        declared: Any = adapter(saga=saga, scenarios=scenarios, **options)(cls)
        RIGHT[cls.__name__] = declared.__sagafuzz_adapter__
        return cls

    return declare


class Patient:
    """Asks again until there is an answer, under one key for each operation of an order."""

    def boot(self, world: World) -> None:
        self.world, self.db = world, world.store

    def insist(self, act: Callable[[], Any]) -> Any:
        while True:
            try:
                return act()
            except (CallTimeout, Unavailable, StoreUnavailable):
                self.world.sleep(2)

    def ask(self, order: str, operation: str, **payload: Any) -> Any:
        return self.insist(lambda: self.world.call(operation, saga=order, key=f"{order}/{operation}", **payload))

    def change(self, order: str, act: Callable[[Any], Any]) -> Any:
        """Let the order be what ``act`` makes of what it is, which nobody else has changed meanwhile; what it then is.
        Where it is not known whether that was written, ``act`` is asked again, of what is found."""

        def once() -> Any:
            record = self.db.get(order, {"is": None})
            now = act(record["is"])
            if now != record["is"]:
                number = record.get("n")
                guard = {} if number is None else {"n": number}
                self.db.put(order, {"n": (number or 0) + 1, "is": now}, saga=order, guard=guard)
            return now

        while True:
            with suppress(Conflict):
                return self.insist(once)

    def known(self) -> dict[str, Any]:
        """What each order is, of those that `change` has made something of."""
        return {order: record["is"] for order, record in self.db.items()}

    def apart(self, orders: Iterable[str], resume: Callable[[str], Any]) -> None:
        """Take up each order in a task of its own: one that cannot be brought to its end keeps back no other."""
        for order in orders:
            self.world.spawn(self.tell, order, resume)

    def tell(self, order: str, resume: Callable[[str], Any]) -> None:
        self.world.reply(order, resume(order))


@right()
class BackwardRecovery(Patient):
    """Who finds an order open rolls it back, whatever was done of it.

    Whether an order is done or rolled back is decided once, in the store; participants take an undo of what was never
    asked for as done, and refuse what comes after it. So a process that slept can finish nothing.
    """

    def run(self, order: Order) -> bool:
        self.change(order.id, lambda now: now or "open")
        try:
            for step in CHECKOUT.steps:
                self.ask(order.id, step.operation)
        except Rejected:
            return self.back(order.id)
        return bool(self.change(order.id, lambda now: "done" if now == "open" else now) == "done") or self.back(
            order.id
        )

    def back(self, order: str) -> bool:
        if self.change(order, lambda now: "back" if now == "open" else now) == "done":
            return True
        for step in reversed(CHECKOUT.steps):
            self.ask(order, str(step.undo))
        return False

    def recover(self) -> None:
        self.apart((order for order, state in self.known().items() if state != "done"), self.back)


@right(ERRANDS, (SUCCEEDS,))
class ForwardRecovery(Patient):
    """Goes on with what is open until it is done.

    No step can be refused, so none is ever undone; each is asked under one key, however often, and by however many.
    """

    def run(self, order: Order) -> bool:
        self.insist(lambda: self.db.put(order.id, 0, record="create", saga=order.id))
        return self.drive(order.id, 0)

    def drive(self, order: str, done: int) -> bool:
        for number, step in enumerate(ERRANDS.steps[done:], done + 1):
            self.ask(order, step.operation)
            self.insist(lambda number=number: self.db.put(order, number, saga=order))
        return True

    def recover(self) -> None:
        done = dict(self.db.items())
        self.apart(done, lambda order: self.drive(order, done[order]))


@right()
class AtLeastOnce(Patient):
    """Every process drives every open order, without a lease, by asking for all of it from the start.

    The participants' memory of keys is its log. A refusal is remembered by the participant, so that all who ask hear
    the same, and an order that is to be undone is so for all of them.
    """

    def run(self, order: Order) -> bool:
        self.insist(lambda: self.db.put(order.id, "open", record="create", saga=order.id))
        return self.drive(order.id)

    def drive(self, order: str) -> bool:
        done: list[Step] = []
        for step in CHECKOUT.steps:
            try:
                self.ask(order, step.operation)
            except Rejected:
                for each in reversed(done):
                    self.ask(order, str(each.undo))
                self.insist(lambda: self.db.put(order, "over", saga=order))
                return False
            done.append(step)
        self.insist(lambda: self.db.put(order, "over", saga=order))
        return True

    def recover(self) -> None:
        self.apart((order for order, state in self.db.items() if state == "open"), self.drive)


@right()
class Outbox(Patient):
    """Writes each request beside the state that asks for it, and a relay sends what it finds.

    The request and the state become durable together; the relay sends it until it is answered, then writes the answer
    and the next request together. A second relay sends the same request under the same key, and its answer finds that
    the order has moved on. A request without an answer stays where it is until the next round, which keeps back no
    other order.
    """

    def boot(self, world: World) -> None:
        super().boot(world)
        world.spawn(self.relay)

    def run(self, order: Order) -> Outcome:
        self.change(order.id, lambda now: now or ["forward", 0])
        return Outcome.PENDING

    def relay(self) -> None:
        while True:
            for order, state in self.known().items():
                if state[0] != "over":
                    with suppress(CallTimeout, Unavailable):
                        self.send(order, state)
            self.world.sleep(0.5)

    def send(self, order: str, state: list[Any]) -> None:
        way, number = state
        step = CHECKOUT.steps[number]
        operation = step.operation if way == "forward" else str(step.undo)
        try:
            self.world.call(operation, saga=order, key=f"{order}/{operation}")
        except Rejected:
            way = "back"
        number += 1 if way == "forward" else -1
        over = not 0 <= number < len(CHECKOUT.steps)
        self.change(order, lambda now: (["over", way] if over else [way, number]) if now == state else now)
        if over:
            self.world.reply(order, way == "forward")

    def recover(self) -> None:
        for order, state in self.known().items():
            if state[0] == "over":
                self.world.reply(order, state[1] == "forward")


@right()
class EventSourced(Patient):
    """Keeps what happened, and derives from that what is next.

    An event is added only where its number is still free, so of two processes one learns that it was late, reads, and
    goes on from there. What was asked and not noted is asked again under its key.
    """

    def run(self, order: Order) -> bool:
        self.add(order.id, [], "began")
        return self.drive(order.id)

    def add(self, order: str, events: list[str], event: str) -> None:
        with suppress(Conflict):  # somebody else, or the same one, whose store had failed after it wrote
            self.insist(
                lambda: self.db.put(
                    order,
                    {"n": len(events) + 1, "events": [*events, event]},
                    saga=order,
                    guard={"n": len(events)} if events else {},
                )
            )

    def drive(self, order: str) -> bool:
        while True:
            events = self.insist(lambda: self.db.get(order))["events"]
            following = self.following(order, events)
            if following is None:
                return "refused" not in events
            self.add(order, events, following)

    def following(self, order: str, events: list[str]) -> str | None:
        done = [step for step in CHECKOUT.steps if step.name in events]
        if "refused" in events:
            left = [step for step in done if f"no {step.name}" not in events]
            if not left:
                return None
            self.ask(order, str(left[-1].undo))
            return f"no {left[-1].name}"
        if len(done) == len(CHECKOUT.steps):
            return None
        step = CHECKOUT.steps[len(done)]
        try:
            self.ask(order, step.operation)
        except Rejected:
            return "refused"
        return step.name

    def recover(self) -> None:
        self.apart(dict(self.db.items()), self.drive)


@right(SEATS, (SUCCEEDS, DECLINED), expiring=("inventory",))
class RunsOut(Patient):
    """Reserves for a while, charges, and confirms; where the reservation has run out the charge is refunded.

    Whether it ran out the participant says when it is confirmed, and then for good. Released is only what is the
    order's own: what ran out, and may be somebody else's by now, is left alone.
    """

    def run(self, order: Order) -> bool:
        self.insist(lambda: self.db.put(order.id, "open", record="create", saga=order.id))
        return self.drive(order.id)

    def drive(self, order: str) -> bool:
        try:
            for step in SEATS.steps:
                self.ask(order, step.operation)
        except Rejected:
            self.ask(order, "payment.refund")
            self.ask(order, "inventory.release")
            return False
        return True

    def recover(self) -> None:
        self.apart(dict(self.db.items()), self.drive)


@right()
class Sweeper(Patient):
    """Notes orders, and a sweeper that polls for ever drives what it finds open.

    The order is durable before the client hears "pending"; an order is taken from the record that says how far it is,
    and that is written only over what was read. An order that does not get on is left for the next round.
    """

    def boot(self, world: World) -> None:
        super().boot(world)
        world.spawn(self.sweep)

    def run(self, order: Order) -> Outcome:
        self.insist(lambda: self.db.put(order.id, {"at": 0, "undo": False}, record="create", saga=order.id))
        return Outcome.PENDING

    def sweep(self) -> None:
        while True:
            for order, state in self.db.items():
                with suppress(CallTimeout, Unavailable, StoreUnavailable, Conflict):
                    self.drive(order, state)
            self.world.sleep(5)

    def drive(self, order: str, state: dict[str, Any]) -> None:
        if not 0 <= state["at"] < len(CHECKOUT.steps):
            return
        while 0 <= state["at"] < len(CHECKOUT.steps):
            step = CHECKOUT.steps[state["at"]]
            operation = str(step.undo) if state["undo"] else step.operation
            undo = state["undo"]
            try:
                self.world.call(operation, saga=order, key=f"{order}/{operation}")
            except Rejected:
                undo = True
            following = {"at": state["at"] + (-1 if undo else 1), "undo": undo}
            self.db.put(order, following, saga=order, guard=state)
            state = following
        self.world.reply(order, not state["undo"])

    def recover(self) -> None:
        for order, state in self.db.items():
            if not 0 <= state["at"] < len(CHECKOUT.steps):
                self.world.reply(order, not state["undo"])


class Clerk:
    """A warehouse with one piece, which says no as an answer, and says so whenever it is asked again."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        about = f"{request.direction} {request.saga}"
        if about not in tx.memory:
            tx.memory[about] = self.act(request, tx)
        return {"answer": tx.memory[about]}

    def act(self, request: Request, tx: Transaction) -> str:
        if request.direction == "C":
            tx.state.pop(request.saga, None)
            return "given back"
        if f"C {request.saga}" in tx.memory or tx.state:
            return "no"
        tx.state[request.saga] = 1
        return "reserved"


@right(
    scenarios=(Scenario(name="one-piece", sagas=2, rejections=((1, "payment.charge"),)),),
    participants={"inventory": Clerk},
)
class PoliteRefusal(AtLeastOnce):
    """Its warehouse answers "no" instead of an error, and remembers it.

    An answer that says no is as definite as a refusal: nothing was taken, and under that key nothing will be.
    """

    def ask(self, order: str, operation: str, **payload: Any) -> Any:
        if super().ask(order, operation, **payload).get("answer") == "no":
            raise Rejected(f"{operation}: no")


@right(TRIED, (SUCCEEDS, Scenario(name="short", rejections=((1, "payment.hold"),))))
class TryConfirmCancel(Patient):
    """Lets all reserve, decides, and then confirms all or cancels all.

    The decision is made once, in the store. After it confirmations are asked for until they are through, since what
    is reserved stays so; before it whoever finds the order cancels.
    """

    def run(self, order: Order) -> bool:
        self.change(order.id, lambda now: now or "trying")
        try:
            self.ask(order.id, "inventory.reserve")
            self.ask(order.id, "payment.hold")
        except Rejected:
            return self.end(order.id, "cancel")
        return self.end(order.id, "confirm")

    def end(self, order: str, wish: str) -> bool:
        decided = self.change(order, lambda now: wish if now == "trying" else now)
        for operation in (
            ("inventory.confirm", "payment.confirm") if decided == "confirm" else ("payment.void", "inventory.release")
        ):
            self.ask(order, operation)
        return bool(decided == "confirm")

    def recover(self) -> None:
        self.apart(self.known(), partial(self.end, wish="cancel"))


@right(operations=("order.look", "inventory.look", "payment.look"), cannot_suffer=("second-orchestrator", "pause"))
class LooksFirst(Patient):
    """Asks the participant what became of a request before it asks again.

    What the participant has is done. Where it has nothing the request may still be on its way, and so it is made again
    under the same key: whichever comes first counts. There is one process at a time, and it waits for it.
    """

    def run(self, order: Order) -> bool:
        self.insist(lambda: self.db.put(order.id, "open", record="create", saga=order.id))
        return self.drive(order.id)

    def drive(self, order: str) -> bool:
        done: list[Step] = []
        for step in CHECKOUT.steps:
            try:
                self.once(order, step)
            except Rejected:
                for each in reversed(done):
                    self.ask(order, str(each.undo))
                return False
            done.append(step)
        return True

    def once(self, order: str, step: Step) -> None:
        while True:
            try:
                self.world.call(step.operation, saga=order, key=f"{order}/{step.operation}")
                return
            except (CallTimeout, Unavailable):
                self.world.sleep(2)
            if self.insist(lambda: self.world.call(f"{step.participant}.look", saga=order))["applied"]:
                return

    def recover(self) -> None:
        self.apart(dict(self.db.items()), self.drive)


@right(FORKED, cannot_suffer=("cancel",))
class Gathers:
    """Runs two branches at once, waits for both, and then undoes both where one was refused.

    No undo starts before each branch has a definite answer; a restarted process asks for all of it again.
    """

    def boot(self, world: World) -> None:
        self.world, self.db = world, world.store

    async def ask(self, order: str, operation: str) -> bool:
        while True:
            try:
                await self.world.call(operation, saga=order, key=f"{order}/{operation}")
                return True
            except Rejected:
                return False
            except (CallTimeout, Unavailable):
                await self.world.sleep(2)

    async def run(self, order: Order) -> bool:
        while True:
            try:
                self.db.put(order.id, "open", record="create", saga=order.id)
                return await self.drive(order.id)
            except StoreUnavailable:
                await self.world.sleep(2)

    async def drive(self, order: str) -> bool:
        if not await self.ask(order, "order.create"):
            return False
        steps = [FORKED.by_name["inventory"], FORKED.by_name["payment"]]
        went = await asyncio.gather(*(self.ask(order, step.operation) for step in steps))
        if all(went):
            return True
        await asyncio.gather(
            *(self.ask(order, str(step.undo)) for step, through in zip(steps, went, strict=True) if through)
        )
        await self.ask(order, "order.cancel")
        return False

    async def recover(self) -> None:
        for order in dict(self.db.items()):
            self.world.spawn(self.resume, order)

    async def resume(self, order: str) -> None:
        self.world.reply(order, await self.drive(order))


@right(DELIVERY)
class AfterThePivot(Patient):
    """Undoes up to the payment, and after it only goes on.

    The payment is asked under its key until it is known; what comes after it cannot be refused, and is asked for until
    it is through.
    """

    def run(self, order: Order) -> bool:
        self.insist(lambda: self.db.put(order.id, "open", record="create", saga=order.id))
        return self.drive(order.id)

    def drive(self, order: str) -> bool:
        try:
            self.ask(order, "order.create")
        except Rejected:
            return False
        try:
            self.ask(order, "payment.charge")
        except Rejected:
            self.ask(order, "order.cancel")
            return False
        self.ask(order, "shipping.send")
        self.ask(order, "mail.send")
        return True

    def recover(self) -> None:
        self.apart(dict(self.db.items()), self.drive)


class Shop:
    """A participant that knows each request by its key: undone is what a key did, and no more."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        done, undone = f"did {request.key}", f"undid {request.key}"
        if request.direction == "C":
            if tx.memory.get(done) and not tx.memory.get(undone):
                tx.state.pop(str(request.key))
            tx.memory[undone] = True
        elif tx.memory.get(undone):
            raise Rejected("undone")
        elif not tx.memory.get(done):
            tx.state[str(request.key)] = request.saga
            tx.memory[done] = True
        return {}


UNREFUSED = Saga("unrefused", [replace(step, retriable=True) for step in CHECKOUT.steps])


@right(UNREFUSED, (SUCCEEDS,), participants={"order": Shop, "inventory": Shop, "payment": Shop})
class BeginsAnew(Patient):
    """Undoes an attempt whose outcome it does not learn, and makes another one, under another number.

    Each attempt is undone under its own key before the next is made, so that of all attempts one stands. Whether it is
    done or to be undone is decided once, in the store, and before the undo; a process that finds the attempt of
    another one decides that, and whose attempt was taken from it waits before it looks again.
    """

    def boot(self, world: World) -> None:
        super().boot(world)
        self.me = world.random.getrandbits(64)

    def run(self, order: Order) -> bool:
        return self.drive(order.id)

    def drive(self, order: str) -> bool:
        for step in UNREFUSED.steps:
            while not self.settle(order, step):
                pass
        return True

    def settle(self, order: str, step: Step) -> bool:
        """Make an attempt, or undo the one that there is; whether one stands."""
        number, state, _ = self.change(order, lambda now: self.begin(now or {}, step.name))[step.name]
        key = f"{order}/{step.name}/{number}"
        if state == "begun":
            try:
                self.world.call(step.operation, saga=order, key=key)
                self.note(order, step.name, number, "begun", "done")
            except (CallTimeout, Unavailable, Rejected):
                self.note(order, step.name, number, "begun", "undoing")
        elif state == "undoing":
            self.insist(lambda: self.world.call(str(step.undo), saga=order, key=key))
            self.note(order, step.name, number, "undoing", "undone")
        return bool(state == "done")

    def begin(self, now: dict[str, Any], name: str) -> dict[str, Any]:
        number, state, who = now.get(name, [0, "undone", 0])
        if state == "undone":
            return {**now, name: [number + 1, "begun", self.me]}
        return {**now, name: [number, "undoing", who]} if state == "begun" and who != self.me else now

    def note(self, order: str, name: str, number: int, was: str, state: str) -> None:
        """Let the attempt be in ``state``, where it still is what it was."""

        def act(now: dict[str, Any]) -> dict[str, Any]:
            found, last, who = now[name]
            return {**now, name: [number, state, who]} if (found, last) == (number, was) else now

        if self.change(order, act)[name][:2] != [number, state]:
            self.world.sleep(2)

    def recover(self) -> None:
        self.apart(self.known(), self.drive)


@right()
class Sqlite(Patient):
    """Keeps its orders in a table, and how far each is in a row.

    A row is changed only from the state that was read, in one statement; what was asked and not written is asked again
    under its key.
    """

    def boot(self, world: World) -> None:
        super().boot(world)
        self.insist(lambda: self.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, at INT, undo INT)"))

    def execute(self, statement: str, *values: Any) -> list[Any]:
        connection = self.world.sqlite()
        try:
            found = connection.execute(statement, values).fetchall()
            connection.commit()
        except sqlite3.OperationalError as error:
            connection.rollback()
            raise StoreUnavailable(str(error)) from error
        return found

    def run(self, order: Order) -> bool:
        self.insist(lambda: self.execute("INSERT OR IGNORE INTO orders VALUES (?, 0, 0)", order.id))
        return self.drive(order.id)

    def drive(self, order: str) -> bool:
        while True:
            ((at, undo),) = self.insist(lambda: self.execute("SELECT at, undo FROM orders WHERE id = ?", order))
            if not 0 <= at < len(CHECKOUT.steps):
                return not undo
            step, now = CHECKOUT.steps[at], undo
            try:
                self.ask(order, str(step.undo) if undo else step.operation)
            except Rejected:
                now = 1
            values = (at - 1 if now else at + 1, now, order, at, undo)
            self.insist(
                lambda values=values: self.execute(
                    "UPDATE orders SET at = ?, undo = ? WHERE id = ? AND at = ? AND undo = ?", *values
                )
            )

    def recover(self) -> None:
        orders = self.insist(lambda: self.execute("SELECT id FROM orders ORDER BY id"))
        self.apart((order for (order,) in orders), self.drive)


@right()
class Journal(Patient):
    """Appends to a file what it is about to do and what came of it, and reads that again at the start.

    A line is synced before what it announces is done. A half-written one at the end is nobody's word, and is left out.
    """

    def run(self, order: Order) -> bool:
        self.note(order.id, "create")
        return self.drive(order.id, ["create"])

    def note(self, order: str, what: str, step: str = "") -> None:
        file = self.world.file()
        file.append(f"\n{json.dumps([order, what, step])}\n".encode())
        self.insist(lambda: file.sync(record=what, saga=order, step=step))

    def drive(self, order: str, told: list[str]) -> bool:
        done: list[Step] = []
        undoing = "compensating" in told
        for step in CHECKOUT.steps:
            if f"intent {step.name}" not in told:
                if undoing:
                    break
                self.note(order, "intent", step.name)
            if undoing and f"outcome {step.name}" not in told:
                break
            try:
                self.ask(order, step.operation)
            except Rejected:
                undoing = True
                break
            self.note(order, "outcome", step.name)
            done.append(step)
        if not undoing:
            self.note(order, "terminal")
            return True
        self.note(order, "compensating")
        for step in reversed(done):
            self.ask(order, str(step.undo))
        self.note(order, "terminal")
        return False

    def recover(self) -> None:
        told: dict[str, list[str]] = {}
        for line in self.world.file().read().split(b"\n"):
            try:
                order, what, step = json.loads(line)
            except ValueError:
                continue
            told.setdefault(order, []).append(f"{what} {step}".rstrip())
        self.apart(told, lambda order: self.drive(order, told[order]))


@right(scenarios=(DECLINED,))
class CallsAPerson(Patient):
    """Tries an undo three times, then puts that step aside, calls a person, and goes on with the others.

    It says "stuck", which is true. How the order ends is decided once, in the store, and before the person is called:
    of two processes, one of which can undo what the other cannot, both tell what the first of them found. What was put
    aside it tries again when it is started anew.
    """

    def run(self, order: Order) -> Outcome:
        self.end(order.id, Outcome.PENDING)
        return self.drive(order.id)

    def drive(self, order: str) -> Outcome:
        done: list[Step] = []
        for step in CHECKOUT.steps:
            try:
                self.ask(order, step.operation)
            except Rejected:
                for each in reversed(done):
                    self.back(order, each)
                return self.end(order, Outcome.COMPENSATED)
            done.append(step)
        return self.end(order, Outcome.COMPLETED)

    def end(self, order: str, wish: Outcome) -> Outcome:
        open_ = (None, Outcome.PENDING.value)
        return Outcome(self.change(order, lambda now: wish.value if now in open_ else now))

    def back(self, order: str, step: Step) -> None:
        for _ in range(3):
            try:
                self.world.call(str(step.undo), saga=order, key=f"{order}/{step.undo}")
                return
            except (CallTimeout, Unavailable):
                self.world.sleep(2)
        if self.end(order, Outcome.STUCK) is Outcome.STUCK:
            self.world.dead_letter(order, step=step.name)
            self.world.alert(order, step=step.name)

    def recover(self) -> None:
        self.apart(self.known(), self.drive)


@right(scenarios=(UNSHIPPED,), saga=Saga("recalled", [*CHECKOUT.steps, Step("shipping", "shipping.send")]))
class RefundsByName(AtLeastOnce):
    """Refunds and releases what it names by its id, under a new key for each attempt.

    A gateway that is told which charge to refund refunds it once, whatever the key.
    """

    def drive(self, order: str) -> bool:
        done: list[tuple[Step, Any]] = []
        for step in (*CHECKOUT.steps, None):
            try:
                operation = step.operation if step is not None else "shipping.send"
                answer = self.ask(order, operation)
            except Rejected:
                for each, known in reversed(done):
                    self.insist(lambda each=each, known=known: self.back(order, each, known))
                return False
            if step is not None:
                done.append((step, answer))
        return True

    def back(self, order: str, step: Step, known: Any) -> None:
        key = f"{order}/{step.undo}/{self.world.random.getrandbits(64)}"
        self.world.call(str(step.undo), saga=order, key=key, id=known["id"])
