"""A stock of one's own behind an orchestrator that trusts it, for the live world and the simulator alike."""

from __future__ import annotations

from typing import Any, ClassVar

import sagafuzz
from sagafuzz import Job, PortError, Request, Transaction

SAGA = sagafuzz.Saga("sale", [sagafuzz.Step("hold", "stock.hold", undo="stock.release")])


class Stock:
    """Accepts, writes the hold on an account at once, and settles it a moment later."""

    volatile: ClassVar[bool] = False

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.key in tx.memory:
            return
        tx.memory[str(request.key)] = True
        if request.direction == "F":
            tx.later("settle", delay_ms=200, volatile=self.volatile)
        else:
            tx.balance("held", request.saga, -tx.balance("held", request.saga))

    def work(self, job: Job, tx: Transaction) -> None:
        tx.state[job.saga] = "settled"
        tx.balance("held", job.saga, tx.stock)
        tx.effect(job.saga, job.step)


class InMemory(Stock):
    volatile = True


@sagafuzz.rule(reads="rest")
def told_is_settled(view: Any) -> Any:
    """Who was told to be completed has a settled hold of all the stock."""
    rest = view.rest
    for saga, outcome in rest.told.items():
        settled = rest.state("stock").get(saga) == "settled"
        if outcome == "completed" and not (settled and rest.balance("stock.held", saga) == view.scenario.stock):
            yield f"{saga} was told to be completed, and nothing is settled for it"


@sagafuzz.rule(reads="moments")
def settled_after_it_was_asked(view: Any) -> Any:
    """A hold is settled by the stock alone."""
    return [m.wrong("who?") for m in view.moments if m.participant not in ("stock", "client")]


RULES = [told_is_settled, settled_after_it_was_asked]


@sagafuzz.adapter(saga=SAGA, scenarios=[sagafuzz.Scenario()], participants={"stock": Stock}, invariants=RULES)
class Sale:
    def boot(self, world: Any) -> None:
        self.world = world

    def run(self, order: Any) -> bool:
        for _ in range(5):
            try:
                self.world.call("stock.hold", saga=order.id, key=order.id)
                break
            except PortError:
                self.world.sleep(0.5)
        self.world.sleep(2)
        return True


@sagafuzz.adapter(saga=SAGA, scenarios=[sagafuzz.Scenario()], participants={"stock": InMemory}, invariants=RULES)
class Forgetful(Sale):
    """On a stock that settles in memory."""


class Held(Stock):
    """Settles at once, shows what it writes, and lets a hold run out."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.direction == "F" and request.saga not in tx.state:
            tx.balance("held", request.saga, 1)
            tx.write(request.saga, "held")

    def expire(self, request: Request, tx: Transaction) -> None:
        tx.balance("held", request.saga, -1)
        tx.state.pop(request.saga)


@sagafuzz.adapter(saga=SAGA, scenarios=[sagafuzz.Scenario()], participants={"stock": Held}, expiring=["stock"])
class Trusting(Sale):
    """Does not look whether the hold has run out."""


@sagafuzz.adapter(saga=SAGA, scenarios=[sagafuzz.Scenario()], expiring=["stock"])
class TrustingTheirs(Sale):
    """On the stock of the harness."""
