"""From runs to figures: what is measured of one, and means with intervals over several."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .contenders import DECLINED, DONE, LOG_S, NET_S, SOLD_OUT, TX_S, Run
from .orders import Demand, Orders

EARLY_OVERHEAD_S = 3 * TX_S + 6 * NET_S + LOG_S
"""What early lock holds a row for, beside the payment."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and half of its 95 % interval."""

    mean: float
    half: float

    def __format__(self, spec: str) -> str:
        return f"{self.mean:{spec}} ± {self.half:{spec}}"


def estimate(values: Sequence[float]) -> Estimate:
    """By Student's t. One value has no interval: nan."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Estimate(mean, math.nan)
    return Estimate(mean, student(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values)))


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, by the expansion in Abramowitz & Stegun, 26.7.5; good to 1 % from 3 degrees
    of freedom on, to 0.01 % from 10 on."""
    z = statistics.NormalDist().inv_cdf(0.975)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * freedom**4)
    )


def measure(demand: Demand, orders: Orders, run: Run) -> dict[str, float]:
    """The figures of one run. Goodput, and what is counted "by then", look at the clock when the last order comes;
    latencies (s) are those of every order that was done and came after the warm-up, however late it ended. An order
    that never ended is "lost"."""
    window_s = demand.seconds - demand.warm_s
    done_in_time = sum(
        told == DONE and demand.warm_s <= end <= demand.seconds
        for told, end in zip(run.outcome, run.end_s, strict=True)
    )
    by_then = Counter(told for told, end in zip(run.outcome, run.end_s, strict=True) if end <= demand.seconds)
    latencies = sorted(
        end - at
        for told, end, at in zip(run.outcome, run.end_s, orders.at, strict=True)
        if told == DONE and at >= demand.warm_s
    )
    return {
        "arrivals": len(orders),
        "done": by_then[DONE],
        "declined": by_then[DECLINED],
        "sold out": by_then[SOLD_OUT],
        "in progress": len(orders) - by_then.total(),
        "goodput": done_in_time / window_s,
        "p50": quantile(latencies, 0.50),
        "p95": quantile(latencies, 0.95),
        "p99": quantile(latencies, 0.99),
        "lock": run.locks_s / run.locks if run.locks else 0.0,
        "hold": run.holds_s / run.holds if run.holds else 0.0,
        "wait": statistics.fmean(run.waits_s) if run.waits_s else 0.0,
        "in doubt": run.in_doubt,
        "blocked": run.blocked_s,
        "undone": run.undone,
        "retried": run.retried,
        "lost": sum(end <= at for end, at in zip(run.end_s, orders.at, strict=True)),
        "oversold": oversold(demand, orders, run),
        "sold": run.outcome.count(DONE),
        "turned away": run.outcome.count(SOLD_OUT),
        "left": run.left,
    }


def oversold(demand: Demand, orders: Orders, run: Run) -> int:
    """Pieces that were sold beyond what there was, by the clients' answers and not by the model's own count."""
    sold = Counter(item for item, told in zip(orders.item, run.outcome, strict=True) if told == DONE)
    return sum(max(count - demand.stock, 0) for count in sold.values())


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that is not below that share of all; nan of none."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else math.nan


def over_seeds(measured: Sequence[Mapping[str, float]]) -> dict[str, Estimate]:
    return {name: estimate([each[name] for each in measured]) for name in measured[0]}


def mean_wait(rate: float, service: float, service_squared: float) -> float:
    """Of one row with Poisson arrivals: by Pollaczek and Khinchine, from the first two moments of the service.
    Where that is fixed it is the wait of M/D/1."""
    return rate * service_squared / (2 * (1 - rate * service))
