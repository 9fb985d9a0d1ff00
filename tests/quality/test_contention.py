"""The simulation of two-phase commit beside sagas agrees with queueing theory, with simpy, and with itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import simpy

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "benchmarks"))
import two_phase_commit_vs_saga as benchmark
from contention import contenders as c
from contention.contenders import CONTENDERS, LOG_S, NET_S, TX_S, VOTES_FIRST, Run, saga
from contention.figures import measure, student
from contention.orders import Demand, Orders, orders

SMALL = Demand(rate=200, seconds=10, warm_s=4, items=500, skew=0.8, declined=0.2)
AWAY = replace(SMALL, outage_at_s=5, outage_s=4)
EVERY = {**CONTENDERS, **VOTES_FIRST}


# -- against theory ---------------------------------------------------------------------------------


def test_the_wait_at_one_row_is_that_of_md1() -> None:
    for queue in benchmark.one_row(seeds=4, count=10_000)[:3]:
        assert abs(queue.deviation) < 0.05, queue


def test_one_row_held_3_s_serves_one_order_in_3_s_whatever_is_asked() -> None:
    demand = Demand(rate=20, seconds=300, warm_s=30, items=1, declined=0.0)
    asked = orders(demand, 0)
    run = CONTENDERS["2PC, early lock"](demand, asked)
    assert measure(demand, asked, run)["goodput"] == pytest.approx(1 / 3.007, rel=0.02)
    late = CONTENDERS["2PC, late lock"](demand, asked)
    assert measure(demand, asked, late)["goodput"] == pytest.approx(20, rel=0.1)


def test_students_quantiles() -> None:
    assert student(19) == pytest.approx(2.0930, abs=1e-4)
    assert student(4) == pytest.approx(2.7764, rel=1e-2)


# -- against another simulator ----------------------------------------------------------------------


class InSimpy:
    """The same model in processes and resources; ``end_s`` is when each client knows."""

    def __init__(self, demand: Demand, asked: Orders) -> None:
        self.env = simpy.Environment()
        self.rows = [simpy.Resource(self.env) for _ in range(demand.items)]
        self.asked = asked
        self.end_s = [0.0] * len(asked)

    def run(self, how: Any) -> list[float]:
        for number in range(len(self.asked)):
            self.env.process(self.order(number, how))  # type: ignore[arg-type]
        self.env.run()
        return self.end_s

    def order(self, number: int, how: Any) -> Iterator[Any]:
        yield self.env.timeout(self.asked.at[number])
        yield from how(self, self.rows[self.asked.item[number]], number)
        self.end_s[number] = self.env.now

    def early(self, row: simpy.Resource, number: int) -> Iterator[Any]:
        yield self.env.timeout(NET_S)
        with row.request() as mine:
            yield mine
            yield self.env.timeout(TX_S + 3 * NET_S + self.asked.payment_s[number])
            if not self.asked.declined[number]:
                yield self.env.timeout(NET_S + TX_S + NET_S + LOG_S)
            yield self.env.timeout(NET_S + TX_S)
        yield self.env.timeout(NET_S)

    def late(self, row: simpy.Resource, number: int) -> Iterator[Any]:
        yield self.env.timeout(2 * NET_S + self.asked.payment_s[number])
        if self.asked.declined[number]:
            return
        yield self.env.timeout(NET_S)
        with row.request() as mine:
            yield mine
            yield self.env.timeout(TX_S + NET_S + LOG_S + NET_S + TX_S)
        yield self.env.timeout(NET_S)

    def guarded(self, row: simpy.Resource, number: int) -> Iterator[Any]:
        yield from self.transaction(row)
        yield self.env.timeout(LOG_S + 2 * NET_S + self.asked.payment_s[number] + LOG_S)
        if self.asked.declined[number]:
            yield from self.transaction(row)

    def transaction(self, row: simpy.Resource) -> Iterator[Any]:
        yield self.env.timeout(NET_S)
        with row.request() as mine:
            yield mine
            yield self.env.timeout(TX_S)
        yield self.env.timeout(NET_S)


@pytest.mark.parametrize(
    ("name", "how"),
    [("2PC, early lock", InSimpy.early), ("2PC, late lock", InSimpy.late), ("saga, guarded", InSimpy.guarded)],
)
def test_every_client_is_answered_when_simpy_says_so(name: str, how: Any) -> None:
    for demand in (SMALL, replace(SMALL, items=3, lognormal=True, rate=100)):
        asked = orders(demand, 7)
        assert CONTENDERS[name](demand, asked).end_s == pytest.approx(InSimpy(demand, asked).run(how), abs=1e-6)


# -- against itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize("demand", [SMALL, AWAY, replace(SMALL, stock=3), replace(AWAY, stock=3, lognormal=True)])
def test_no_order_is_lost_no_piece_sold_twice_and_all_tell_the_same(demand: Demand) -> None:
    points, wrong = benchmark.simulate(demand, EVERY, seeds=3)
    assert wrong == []
    for point in points.values():
        ended = sum(point[name].mean for name in ("done", "declined", "sold out", "in progress"))
        assert ended == pytest.approx(point["arrivals"].mean)
        assert point["oversold"].mean == point["lost"].mean == 0


def test_what_does_not_add_up_is_told() -> None:
    scarce = replace(SMALL, stock=3)

    def careless(demand: Demand, asked: Orders) -> Run:
        return saga(replace(demand, stock=1_000_000), asked)

    def forgetful(demand: Demand, asked: Orders) -> Run:
        run = saga(demand, asked)
        run.end_s[5] = 0.0
        return run

    def moody(demand: Demand, asked: Orders) -> Run:
        run = saga(demand, asked)
        run.outcome[run.outcome.index(c.DONE)] = c.DECLINED
        run.sold -= 1
        return run

    assert "too many" in benchmark.simulate(scarce, {"careless": careless}, 2)[1][0]
    assert "1 of" in benchmark.simulate(SMALL, {"forgetful": forgetful}, 2)[1][0]
    assert "different things" in benchmark.simulate(SMALL, {"moody": moody, "saga": saga}, 2)[1][0]


def test_demands_that_differ_in_one_thing_share_all_else() -> None:
    asked, more_refused = orders(SMALL, 1), orders(replace(SMALL, declined=0.5), 1)
    assert (asked.at, asked.item, asked.payment_s) == (more_refused.at, more_refused.item, more_refused.payment_s)
    assert all(b for a, b in zip(asked.declined, more_refused.declined, strict=True) if a)


# -- when the coordinator is away -------------------------------------------------------------------


def figures(name: str, demand: Demand) -> dict[str, float]:
    asked = orders(demand, 3)
    return measure(demand, asked, EVERY[name](demand, asked))


def test_only_who_has_voted_is_in_doubt() -> None:
    demand = replace(AWAY, items=100_000, skew=0.0)
    voted_first, voted_last = figures("2PC, early vote", demand), figures("2PC, early lock", demand)
    assert voted_first["in doubt"] == pytest.approx(demand.rate * demand.payment_s, rel=0.1)
    assert voted_first["blocked"] == pytest.approx(voted_first["in doubt"] * demand.outage_s, rel=0.01)
    assert voted_last["in doubt"] < 10
    assert figures("saga, guarded", demand)["in doubt"] == 0


def test_a_replicated_coordinator_is_soon_back() -> None:
    assert figures("2PC, late, replicated", AWAY)["p99"] < figures("2PC, late lock", AWAY)["p99"] - 2


def test_a_saga_turns_away_who_could_have_been_served() -> None:
    scarce = benchmark.FLASH
    for name, most in (("2PC, late lock", 60), ("2PC, early lock", 60)):
        assert figures(name, scarce)["turned away"] <= most
    held = figures("saga, guarded", scarce)
    assert held["turned away"] > 150 and held["left"] > 150, "pieces of those whose payment was refused later"


@pytest.mark.slow
def test_the_benchmark_ends_with_its_headline(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.main(["--quick"])
    *_, last = capsys.readouterr().out.strip().split("\n")
    name, _, value = last.partition(": ")
    assert name == "early_lock_share_of_saga_goodput" and 0 < float(value) < 1
