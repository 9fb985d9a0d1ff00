"""What two-phase commit costs beside a saga when many want the same rows: a discrete-event simulation.

Orders come in an open loop (Poisson). Each takes one piece of an item from inventory and makes a payment of 3 s. Every
contender gets the same orders of each seed, so the business outcomes are the same wherever nothing sells out. A row
serves one at a time; participants and coordinators have no other limit. Times that are assumed: 0.5 ms one way through
the network, 1 ms for a durable local transaction or a coordinator's record, 2 ms for a record that a majority keeps.

Three checks come first: the mean wait at one row against Pollaczek and Khinchine (M/D/1 where the payment is fixed),
that no order is lost or sold twice, and that all contenders tell their clients the same. The headline is the goodput
of early-lock two-phase commit divided by that of the saga, at 10,000/s on items chosen by Zipf's law.

    python benchmarks/two_phase_commit_vs_saga.py [--seeds N] [--quick]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from contention.contenders import CONTENDERS, SOLD_OUT, VOTES_FIRST, Contender
from contention.figures import EARLY_OVERHEAD_S, Estimate, estimate, mean_wait, measure, over_seeds
from contention.orders import SIGMA, Demand, orders
from tabulate import tabulate

Point = dict[str, dict[str, Estimate]]
"""By contender and measure."""

BY_ZIPF = "arrival rate, 100,000 items by Zipf's law (1.0)"
"""The sweep whose last point is the headline's."""

EARLY, LATE, SAGA = "2PC, early lock", "2PC, late lock", "saga, guarded"

BASE = Demand()
FLASH = Demand(rate=400, seconds=3, warm_s=0, items=1, stock=1_000, declined=0.2)
"""1,200 orders in 3 s for 1,000 pieces of one item; one payment in five is refused."""

OUTAGE = Demand(rate=200, seconds=60, warm_s=0, items=10_000, skew=0.0, outage_at_s=20)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Demands by the label of their line. ``shown`` are the measures to print, a table each, with a format and what
    to multiply by."""

    title: str
    demands: Mapping[str, Demand]
    shown: Sequence[tuple[str, str, float, str]]
    contenders: Mapping[str, Contender]


GOODPUT = ("goodput", "goodput, orders/s", 1, ",.1f")
LATENCY = [(name, f"latency {name}, s", 1, ",.2f") for name in ("p50", "p95", "p99")]
LOCK = ("lock", "a row is locked for, ms", 1e3, ",.1f")
HOLD = ("hold", "a piece is held for, ms", 1e3, ",.0f")
UNDONE = ("undone", "compensations", 1, ",.0f")


def sweeps(scale: float) -> list[Sweep]:
    """All of them; ``scale`` multiplies the rates of the larger ones."""
    top = 10_000 * scale
    rates = [rate for rate in (10.0, 100.0, 1_000.0) if rate < top] + [top]
    few = {name: CONTENDERS[name] for name in (EARLY, LATE, SAGA)}
    outage = {EARLY: CONTENDERS[EARLY], **VOTES_FIRST, **CONTENDERS}
    return [
        Sweep(
            title="one row, 10 orders/s",
            demands={"1 item": replace(BASE, rate=10, seconds=100, warm_s=40, items=1)},
            shown=[GOODPUT, LOCK],
            contenders=CONTENDERS,
        ),
        Sweep(
            title=f"rows, all alike, at {top:,.0f}/s: early lock needs rate × 3 s of them",
            demands={
                f"{n:,} items": replace(BASE, rate=top, items=n, skew=0.0) for n in (1_000, 10_000, 30_000, 60_000)
            },
            shown=[GOODPUT],
            contenders={EARLY: CONTENDERS[EARLY]},
        ),
        Sweep(
            title="arrival rate, 100,000 items all alike",
            demands={f"{rate:,.0f}/s": replace(BASE, rate=rate, skew=0.0) for rate in rates},
            shown=[GOODPUT, *LATENCY],
            contenders=few,
        ),
        Sweep(
            title=BY_ZIPF,
            demands={f"{rate:,.0f}/s": replace(BASE, rate=rate, skew=1.0) for rate in rates},
            shown=[GOODPUT, *LATENCY, LOCK, HOLD],
            contenders=CONTENDERS,
        ),
        Sweep(
            title=f"skew, at {1_000 * scale:,.0f}/s",
            demands={
                f"Zipf {skew}": replace(BASE, rate=1_000 * scale, skew=skew) for skew in (0.0, 0.5, 0.8, 1.0, 1.2)
            },
            shown=[GOODPUT, LATENCY[2]],
            contenders=CONTENDERS,
        ),
        Sweep(
            title=f"payment time, at {1_000 * scale:,.0f}/s, Zipf 0.8",
            demands={
                "3 s": replace(BASE, rate=1_000 * scale),
                "lognormal, mean 3 s": replace(BASE, rate=1_000 * scale, lognormal=True),
            },
            shown=[GOODPUT, LATENCY[0], LATENCY[2], HOLD],
            contenders=CONTENDERS,
        ),
        Sweep(
            title=f"refused payments, at {1_000 * scale:,.0f}/s, Zipf 0.8",
            demands={
                f"{share:.0%} refused": replace(BASE, rate=1_000 * scale, declined=share) for share in (0.0, 0.05, 0.2)
            },
            shown=[GOODPUT, UNDONE],
            contenders=CONTENDERS,
        ),
        Sweep(
            title=f"the coordinator is away, at {200 * scale:,.0f}/s on 10,000 items all alike",
            demands={f"{away} s": replace(OUTAGE, rate=200 * scale, outage_s=away) for away in (0.0, 10.0, 30.0)},
            shown=[
                ("in doubt", "rows in doubt", 1, ",.1f"),
                ("blocked", "blocked row-seconds", 1, ",.1f"),
                ("retried", "orders begun anew", 1, ",.0f"),
                LATENCY[2],
                HOLD,
            ],
            contenders=outage,
        ),
        Sweep(
            title="scarce: 1,200 orders in 3 s for 1,000 pieces of one item, 20 % of the payments refused",
            demands={"flash sale": FLASH},
            shown=[
                ("turned away", "turned away as sold out", 1, ",.0f"),
                ("sold", "sold in the end", 1, ",.0f"),
                ("left", "left in the end", 1, ",.0f"),
                LATENCY[2],
            ],
            contenders=CONTENDERS,
        ),
    ]


def simulate(demand: Demand, contenders: Mapping[str, Contender], seeds: int) -> tuple[Point, list[str]]:
    """All contenders on the same orders, over the seeds, and what does not add up."""
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    wrong = []
    for seed in range(seeds):
        asked = orders(demand, seed)
        runs = {name: contender(demand, asked) for name, contender in contenders.items()}
        for name, run in runs.items():
            figures = measure(demand, asked, run)
            measured[name].append(figures)
            if figures["lost"] or figures["sold"] != run.sold or figures["oversold"]:
                wrong.append(
                    f"{name}, seed {seed}: {figures['lost']:g} of {len(asked)} orders lost, "
                    f"{figures['sold']:g} sold by {run.sold} decrements, {figures['oversold']:g} too many"
                )
        told = [run.outcome for run in runs.values()]
        if not any(SOLD_OUT in each for each in told) and any(each != told[0] for each in told):
            wrong.append(f"seed {seed}: the contenders tell their clients different things")
    return {name: over_seeds(each) for name, each in measured.items()}, wrong


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The mean wait at one row, measured and by the formula."""

    label: str
    measured: Estimate
    expected: float

    @property
    def deviation(self) -> float:
        return self.measured.mean / self.expected - 1


def one_row(seeds: int, count: int) -> list[Queue]:
    """Early lock at one row, at several loads; fixed payments (M/D/1) and lognormal ones (M/G/1)."""
    found = []
    for lognormal, loads in ((False, (0.3, 0.6, 0.8)), (True, (0.3, 0.5))):
        for load in loads:
            service = BASE.payment_s + EARLY_OVERHEAD_S
            squared = service**2 + (BASE.payment_s**2 * (math.exp(SIGMA**2) - 1) if lognormal else 0.0)
            rate = load / service
            demand = Demand(
                rate=rate, seconds=count / rate, warm_s=0, items=1, skew=0, lognormal=lognormal, declined=0.0
            )
            waits = [
                measure(demand, asked, CONTENDERS[EARLY](demand, asked))["wait"]
                for asked in (orders(demand, seed) for seed in range(seeds))
            ]
            label = f"{'M/G/1, lognormal' if lognormal else 'M/D/1'}, load {load}"
            found.append(Queue(label=label, measured=estimate(waits), expected=mean_wait(rate, service, squared)))
    return found


def show_queues(queues: Sequence[Queue], tell: Callable[[str], None]) -> None:
    rows = [
        (queue.label, f"{queue.measured:.3f}", f"{queue.expected:.3f}", f"{queue.deviation:+.2%}") for queue in queues
    ]
    tell("the mean wait at one row, s")
    tell(tabulate(rows, headers=("", "simulated", "formula", "deviation"), disable_numparse=True) + "\n")


def show(sweep: Sweep, points: Mapping[str, Point], tell: Callable[[str], None]) -> None:
    tell(f"== {sweep.title}\n")
    for name, about, factor, spec in sweep.shown:
        rows = []
        for label, point in points.items():
            cells = [point[contender][name] for contender in sweep.contenders]
            rows.append([label, *(f"{Estimate(cell.mean * factor, cell.half * factor):{spec}}" for cell in cells)])
        tell(tabulate(rows, headers=(about, *sweep.contenders), disable_numparse=True) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="runs of each point, at least 2 (20)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rates, two seeds: to see that it works")
    options = parser.parse_args(arguments)
    seeds, scale, count = (2, 0.1, 4_000) if options.quick else (options.seeds, 1.0, 20_000)
    if seeds < 2:
        parser.error(f"--seeds {seeds}: an interval needs at least 2")
    tell = partial(print, flush=True)
    queues = one_row(seeds, count)
    show_queues(queues, tell)
    wrong: list[str] = []
    share = math.nan
    for sweep in sweeps(scale):
        points = {}
        for label, demand in sweep.demands.items():
            points[label], found = simulate(demand, sweep.contenders, seeds)
            wrong += [f"{sweep.title}, {label}: {line}" for line in found]
        show(sweep, points, tell)
        if sweep.title == BY_ZIPF:
            last = list(points.values())[-1]
            share = last[EARLY]["goodput"].mean / last[SAGA]["goodput"].mean
    for line in wrong:
        tell(f"does not add up: {line}")
    if wrong:
        raise SystemExit(1)
    tell(f"every order was done, refused, turned away or under way; none was sold twice; {seeds} seeds a point")
    tell(f"largest_deviation_from_md1: {max(abs(queue.deviation) for queue in queues[:3]):.4f}")
    tell(f"early_lock_share_of_saga_goodput: {share:.3f}")


if __name__ == "__main__":
    main()
