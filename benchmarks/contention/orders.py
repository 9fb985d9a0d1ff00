"""What is asked of every contender: one stream of orders for each seed, the same for all."""

from __future__ import annotations

import functools
import itertools
import math
import random
from dataclasses import dataclass

SIGMA = 1.0
"""The spread of lognormal payment times: the slowest of a hundred takes ten times the median."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Orders come at ``rate`` a second for ``seconds`` (Poisson, open loop: nobody waits for an answer before he asks).

    ``items`` is the number of rows, chosen by Zipf's law with exponent ``skew`` (0: all alike). A payment takes
    ``payment_s`` in the mean, always the same or, where ``lognormal``, spread. ``declined`` is the share of payments
    that are refused. ``stock`` is what each item has. The coordinator, or orchestrator, is down for ``outage_s``
    from ``outage_at_s`` on. Goodput is counted from ``warm_s`` on."""

    rate: float = 1_000.0
    seconds: float = 10.0
    warm_s: float = 4.0
    items: int = 100_000
    skew: float = 0.8
    payment_s: float = 3.0
    lognormal: bool = False
    declined: float = 0.05
    stock: int = 1_000_000_000
    outage_at_s: float = 0.0
    outage_s: float = 0.0


@dataclass(frozen=True)
class Orders:
    """Columns of equal length: when an order comes, the item, how long its payment takes, whether it is refused."""

    at: list[float]
    item: list[int]
    payment_s: list[float]
    declined: list[bool]

    def __len__(self) -> int:
        return len(self.at)


def orders(demand: Demand, seed: int) -> Orders:
    """Each column has randomness of its own, so that demands that differ in one thing share all others."""
    at = _arrivals(demand, random.Random(f"{seed} arrivals"))
    count = len(at)
    choose = random.Random(f"{seed} items")
    if demand.skew:
        item = choose.choices(range(demand.items), cum_weights=_weights(demand.items, demand.skew), k=count)
    else:
        item = [int(choose.random() * demand.items) for _ in range(count)]
    pay = random.Random(f"{seed} payments")
    mean, mu = demand.payment_s, math.log(demand.payment_s) - SIGMA**2 / 2
    payment_s = [pay.lognormvariate(mu, SIGMA) for _ in range(count)] if demand.lognormal else [mean] * count
    refuse = random.Random(f"{seed} refusals")
    declined = [refuse.random() < demand.declined for _ in range(count)]
    return Orders(at, item, payment_s, declined)


@functools.lru_cache(maxsize=2)
def _weights(items: int, skew: float) -> list[float]:
    return list(itertools.accumulate((n + 1) ** -skew for n in range(items)))


def _arrivals(demand: Demand, chance: random.Random) -> list[float]:
    at, now = [], chance.expovariate(demand.rate)
    while now < demand.seconds:
        at.append(now)
        now += chance.expovariate(demand.rate)
    return at
