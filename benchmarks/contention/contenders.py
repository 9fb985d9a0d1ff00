"""The contenders: how each takes an order through inventory and payment, row by row.

A row serves one at a time, in the order of coming. What happens between two visits to rows is a sum of fixed times,
so a visit is the only event. Visits that are known beforehand come from a list, the others from a heap: some twenty
times as fast as simpy on the same model, whose results the tests compare with these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush

from .orders import Demand, Orders

NET_S = 0.0005
"""One way through the network."""

TX_S = 0.001
"""A local transaction, durable: for so long a row is held at least."""

LOG_S = 0.001
"""A durable record of a coordinator or orchestrator; QUORUM_S where a majority of three must have it."""
QUORUM_S = 0.002

FAILOVER_S = 1.0
"""How long a replicated coordinator is away when its leader dies."""

DETECT_S = 1.0
"""How long a participant that has promised nothing waits for a coordinator that is silent, before it lets go."""

BUCKETS = 16
"""Rows among which the stock of one item is divided."""

NEVER = float("inf")

DONE, DECLINED, SOLD_OUT = "done", "declined", "sold out"


@dataclass
class Run:
    """What one contender made of the orders: for each order ``outcome`` and ``end_s``, when the client knows.

    ``locks_s`` sums for how long rows were locked, ``holds_s`` for how long a piece was taken and not yet sold (under
    two-phase commit that is the lock). ``in_doubt`` are rows whose transaction had voted when the coordinator went
    away, ``blocked_s`` the row-seconds for which they stayed locked from then on. ``left`` is what the rows that were
    touched have in the end; ``sold`` counts the decrements that stay, ``undone`` compensations, ``retried`` orders
    that began anew. ``waits_s`` are the waits for rows."""

    outcome: list[str]
    end_s: list[float]
    locks_s: float = 0.0
    locks: int = 0
    holds_s: float = 0.0
    holds: int = 0
    in_doubt: int = 0
    blocked_s: float = 0.0
    undone: int = 0
    retried: int = 0
    left: int = 0
    sold: int = 0
    waits_s: list[float] = field(default_factory=list)


class Stock:
    """What was taken of each row that was ever touched; ``buckets`` rows have one item's stock."""

    def __init__(self, pieces: int, buckets: int = 1) -> None:
        self.each, self.rest = divmod(pieces, buckets)
        self.buckets = buckets
        self.taken: dict[int, int] = {}

    def initial(self, row: int) -> int:
        return self.each + (row % self.buckets < self.rest)

    def take(self, row: int) -> bool:
        """A guarded decrement: False where nothing is left."""
        taken = self.taken.get(row, 0)
        if taken >= self.initial(row):
            return False
        self.taken[row] = taken + 1
        return True

    def give_back(self, row: int) -> None:
        self.taken[row] -= 1


def _merged(first: list[tuple[float, int]], later: list[tuple[float, int]]) -> Iterator[tuple[float, int]]:
    """Visits in the order of their time: those known beforehand, and those that are put on the heap meanwhile."""
    first.sort()
    place, count = 0, len(first)
    while True:
        if later and (place == count or later[0] < first[place]):
            yield heappop(later)
        elif place < count:
            yield first[place]
            place += 1
        else:
            return


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way to commit in two phases. ``early``: the row is locked first, and stays so while the payment is made;
    else the payment is prepared first, and the row locked for vote and decision only. ``votes_first``: inventory
    does its work and votes in one, before the payment; else all vote when the payment is made."""

    early: bool
    votes_first: bool = False
    log_s: float = LOG_S
    replicated: bool = False

    def locked(self, since_s: float, payment_s: float, declined: bool) -> tuple[float, float, float]:
        """When the row's vote, the decision and the unlocking come, of a row that is locked from ``since_s`` on."""
        worked_s = since_s + TX_S
        if not self.early:
            voted_s, known_s = worked_s, worked_s + NET_S
        else:
            paid_s = worked_s + 3 * NET_S + payment_s
            if declined:
                return (worked_s if self.votes_first else NEVER), NEVER, paid_s + NET_S + TX_S
            voted_s, known_s = (
                (worked_s, paid_s) if self.votes_first else (paid_s + NET_S + TX_S, paid_s + 2 * NET_S + TX_S)
            )
        decided_s = known_s + self.log_s
        return voted_s, decided_s, decided_s + NET_S + TX_S


class _Commits:
    """One run of a protocol: whose turn it is at which row, and what becomes of it."""

    def __init__(self, demand: Demand, orders: Orders, protocol: Protocol) -> None:
        self.orders = orders
        self.protocol = protocol
        self.down = demand.outage_at_s if demand.outage_s else NEVER
        self.up = self.down + (min(demand.outage_s, FAILOVER_S) if protocol.replicated else demand.outage_s)
        self.run = Run([DONE] * len(orders), [0.0] * len(orders))
        self.stock = Stock(demand.stock)
        self.later: list[tuple[float, int]] = []

    def to_the_end(self) -> Run:
        run, item, free, waits_s = self.run, self.orders.item, dict[int, float](), self.run.waits_s
        down, up, take = self.down, self.up, self.stock.take
        visits = [visit for order, at_s in enumerate(self.orders.at) if (visit := self.first_visit(order, at_s))]
        for asked_s, order in _merged(visits, self.later):
            row = item[order]
            since_s = free.get(row, 0.0)
            if since_s < asked_s:  # noqa: PLR1730, a call costs more
                since_s = asked_s
            if asked_s - NET_S < down <= since_s:  # it queued, and whom it queued for is gone
                self.try_again(order, up)
                continue
            waits_s.append(since_s - asked_s)
            if take(row):
                free[row] = self.locked(order, row, since_s)
            else:
                free[row] = since_s + TX_S
                run.outcome[order], run.end_s[order] = SOLD_OUT, since_s + TX_S + NET_S
        run.holds, run.holds_s = run.locks, run.locks_s
        return _summed(run, self.stock)

    def first_visit(self, order: int, begun_s: float) -> tuple[float, int] | None:
        """When the row is asked for; None where that never comes to be."""
        begun_s = _awake(begun_s, self.down, self.up)
        if self.protocol.early:
            return begun_s + NET_S, order
        took_s = 2 * NET_S + self.orders.payment_s[order]
        paid_s = begun_s + took_s
        if begun_s < self.down <= paid_s:
            self.run.retried += 1
            paid_s = self.up + took_s
        if self.orders.declined[order]:
            self.run.outcome[order], self.run.end_s[order] = DECLINED, paid_s
            return None
        return paid_s + NET_S, order

    def try_again(self, order: int, begun_s: float) -> None:
        self.run.retried += 1
        if visit := self.first_visit(order, begun_s):
            heappush(self.later, visit)

    def locked(self, order: int, row: int, since_s: float) -> float:
        """What becomes of an order that has its row since then: until when the row is locked."""
        run, down, up, declined = self.run, self.down, self.up, self.orders.declined[order]
        voted_s, decided_s, until_s = self.protocol.locked(since_s, self.orders.payment_s[order], declined)
        struck = since_s < down < until_s
        if struck and voted_s < down:
            until_s = up + NET_S + TX_S
            run.in_doubt += 1
            run.blocked_s += until_s - down
        elif struck:
            until_s = min(down + DETECT_S, up + NET_S + TX_S)
        run.locks += 1
        run.locks_s += until_s - since_s
        aborted = struck and decided_s > down
        if declined or aborted:
            self.stock.give_back(row)
        if aborted:
            self.try_again(order, up)
        else:
            run.outcome[order] = DECLINED if declined else DONE
            run.end_s[order] = until_s + NET_S
        return until_s


def two_phase_commit(demand: Demand, orders: Orders, protocol: Protocol) -> Run:
    """When the coordinator goes away, who has not voted lets go and is tried again when it is back; who has voted
    stays locked until then, and is committed where the decision was durable, else aborted and tried again."""
    return _Commits(demand, orders, protocol).to_the_end()


def saga(demand: Demand, orders: Orders, *, buckets: int = 1, pending: bool = False) -> Run:
    """A saga: a guarded decrement, then the payment, then, where that is refused, the compensation. ``buckets``
    divides the stock of an item among rows; who finds his empty tries the next. ``pending``: the piece is marked, and
    a last transaction on the row makes it sold.

    When the orchestrator goes away nothing is locked; what it would do is done when it is back."""
    down = demand.outage_at_s if demand.outage_s else NEVER
    up = down + demand.outage_s
    at, item, payment_s, declined = orders.at, orders.item, orders.payment_s, orders.declined
    run = Run([DONE] * len(orders), [0.0] * len(orders))
    stock, free, waits_s = Stock(demand.stock, buckets), dict[int, float](), run.waits_s
    taken_s, place = dict[int, float](), dict[int, int]()  # of orders under way: since when, in which bucket
    later: list[tuple[float, int]] = []
    first = [((up if down <= a < up else a) + NET_S, n) for n, a in enumerate(at)]
    for asked_s, order in _merged(first, later):
        bucket = place.get(order, order % buckets)
        row = item[order] * buckets + bucket % buckets
        since_s = free.get(row, 0.0)
        if since_s < asked_s:  # noqa: PLR1730, a call costs more
            since_s = asked_s
        free[row] = until_s = since_s + TX_S
        run.locks += 1
        waits_s.append(since_s - asked_s)
        if order in taken_s:  # the last transaction: sold, or given back
            run.holds_s += until_s - taken_s.pop(order)
            run.end_s[order] = until_s + NET_S
            if declined[order]:
                stock.give_back(row)
                run.undone += 1
            continue
        if not stock.take(row):
            if bucket - order % buckets < buckets - 1:
                place[order] = bucket + 1
                heappush(later, (until_s, order))
            else:
                run.outcome[order], run.end_s[order] = SOLD_OUT, until_s + NET_S
            continue
        run.holds += 1
        told_s = _awake(until_s + NET_S, down, up) + LOG_S
        paid_s = told_s + 2 * NET_S + payment_s[order]
        if told_s < down <= paid_s < up + 2 * NET_S:  # the answer finds nobody: it is asked for again
            paid_s = up + 2 * NET_S
        ready_s = _awake(paid_s + LOG_S, down, up)
        if declined[order]:
            run.outcome[order] = DECLINED
        if declined[order] or pending:
            taken_s[order] = until_s
            heappush(later, (ready_s + NET_S, order))
        else:
            run.holds_s += paid_s - until_s
            run.end_s[order] = ready_s
    run.locks_s = run.locks * TX_S
    return _summed(run, stock)


def _awake(at_s: float, down: float, up: float) -> float:
    return up if down <= at_s < up else at_s


def _summed(run: Run, stock: Stock) -> Run:
    run.sold = sum(stock.taken.values())
    run.left = sum(map(stock.initial, stock.taken)) - run.sold
    return run


Contender = Callable[[Demand, Orders], Run]

EARLY, LATE = Protocol(early=True), Protocol(early=False)
EARLY_VOTE = Protocol(early=True, votes_first=True)
REPLICATED = Protocol(early=False, log_s=QUORUM_S, replicated=True)

CONTENDERS: dict[str, Contender] = {
    "2PC, early lock": partial(two_phase_commit, protocol=EARLY),
    "2PC, late lock": partial(two_phase_commit, protocol=LATE),
    "2PC, late, replicated": partial(two_phase_commit, protocol=REPLICATED),
    "saga, guarded": saga,
    "saga, buckets": partial(saga, buckets=BUCKETS),
    "saga, PENDING": partial(saga, pending=True),
}
"""All that are compared, by the names that the tables show."""

VOTES_FIRST: dict[str, Contender] = {"2PC, early vote": partial(two_phase_commit, protocol=EARLY_VOTE)}
"""Early lock at its worst, for where a coordinator goes away."""
