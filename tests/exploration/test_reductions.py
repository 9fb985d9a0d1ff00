"""A reduction spares plans and loses nothing: the same outcomes and anomalies as the full search."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace

import pytest

from sagafuzz import Adapter, Order, Plan, PortError, Saga, Scenario, Step, World, adapter
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import Judge, outcome_of
from sagafuzz.exploration.quiet import fewer_collections, quiet
from sagafuzz.exploration.reductions import (
    ALL,
    CRASH_EQUIVALENCE,
    INDEPENDENCE,
    PREFIX_SHARING,
    STATE_MEMO,
    UNREAD_CLOCK,
    Reduction,
)
from sagafuzz.exploration.settings import Settings
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.history import CLOCK, rows_digest
from sagafuzz.invariants import Invariant
from sagafuzz.loading import load
from sagafuzz.simulator import Observer, Setup, observe, resting, simulate
from sagafuzz.simulator.state import state_keys

from ..quality.every_system import EVERY_SETUP, EXPOSING

Found = tuple[frozenset[tuple[str, str, str, str]], frozenset[str]]


def search(
    adapter: str, scenario: str, reductions: Collection[Reduction], faults: int = 2
) -> tuple[Found, int, Enumerator]:
    """Every anomaly and every outcome that the search comes upon, and how many plans it runs."""
    loaded = load(adapter)
    return searched(Setup(adapter=loaded, scenario=loaded.scenario(scenario)), reductions, faults)


def searched(
    setup: Setup, reductions: Collection[Reduction], faults: int, only: Collection[str] | None = None
) -> tuple[Found, int, Enumerator]:
    judge, enumerator, count = Judge(setup), Enumerator(setup, faults, only, reductions=reductions), 0
    signatures, outcomes = set(), set()
    with quiet(), fewer_collections():  # some adapters log each exception: ten times the cost of a run
        for case in enumerator.cases():
            count += 1
            if case.known:
                continue
            verdict, new = judge.judge(case.plan, case.run, case.digest)
            if new:
                signatures.update(violation.signature for violation in verdict.violations)
                outcomes.add(outcome_of(case.run, setup))
    return (frozenset(signatures), frozenset(outcomes)), count, enumerator


def expect_the_same(setup: Setup, faults: int, only: Collection[str] | None = None) -> tuple[int, Enumerator]:
    """With all reductions there are the anomalies and outcomes of the search without any. How many plans they spared,
    and who did."""
    full, plans, _ = searched(setup, (), faults, only)
    reduced, fewer, enumerator = searched(setup, ALL, faults, only)
    if reduced != full:
        alone = {row.name: searched(setup, (row,), faults, only)[0] for row in ALL}
        pytest.fail(f"not the same with {[name for name, found in alone.items() if found != full] or 'all at once'}")
    assert fewer <= plans
    return plans - fewer, enumerator


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """End a run after a few hundred steps: one of the systems asks for ever, and each of its runs is a second."""
    monkeypatch.setattr(resting, "MAX_TICKS", 600)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", [*EVERY_SETUP][::12])
def test_one_fault_shows_the_same_of_a_system_with_and_without(name: str) -> None:
    """Of every system: in test_own_rules.py, where the search without reductions is made once for both."""
    expect_the_same(EVERY_SETUP[name], 1)


CRASHES = [kind.name for kind in FAULT_KINDS.values() if kind.visible_first is not None]

SPREAD = {
    name: sorted({*CRASHES[number % 2 :: 2], *EXPOSING[name], *list(FAULT_KINDS)[number % 12 :: 12]})
    for number, name in enumerate([*EVERY_SETUP][::3])
}
"""For every third system kinds of faults: those that find it out, every other one of the crashes (whose equivalence is
one of the reductions), and one or more of every dozen others; other ones for each, so that all have their turn."""


@pytest.mark.slow
@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", SPREAD)
def test_two_faults_show_the_same_of_a_system_with_and_without(name: str) -> None:
    """Of all systems and kinds it would be hours. The reference, the seed and simple-saga are searched by all kinds
    below."""
    expect_the_same(EVERY_SETUP[name], 2, SPREAD[name])


def test_every_kind_has_its_turn_somewhere() -> None:
    assert {kind for kinds in SPREAD.values() for kind in kinds} == set(FAULT_KINDS)


@pytest.mark.parametrize(
    ("adapter", "scenario"),
    [
        ("seed", "declined"),
        ("simple-saga", "succeeds"),
        pytest.param("seed", "succeeds", marks=pytest.mark.slow),
        pytest.param("simple-saga", "declined", marks=pytest.mark.slow),
    ],
)
def test_a_broken_system_shows_the_same_with_and_without(adapter: str, scenario: str) -> None:
    full, plans, _ = search(adapter, scenario, ())
    for reduction in (CRASH_EQUIVALENCE, STATE_MEMO):
        reduced, fewer, enumerator = search(adapter, scenario, (reduction,))
        assert reduced == full, reduction.name
        assert fewer < plans or adapter == "simple-saga"  # an async system's state cannot be told
        assert bool(enumerator.pruned[reduction.name]) == (fewer < plans)


@pytest.mark.parametrize("scenario", ["succeeds", "declined"])
def test_a_shared_prefix_spares_no_plan(scenario: str) -> None:
    full, plans, _ = search("seed", scenario, ())
    shared, same, enumerator = search("seed", scenario, (PREFIX_SHARING,))
    assert (shared, same) == (full, plans)
    assert enumerator.resumed == plans - 1, "all but the empty plan"


def test_a_jump_of_a_clock_that_nobody_reads_changes_nothing() -> None:
    """What is spared is the run without the jump, row by row."""
    loaded = load("seed")
    setup = Setup(adapter=loaded, scenario=loaded.scenario("declined"))
    ran = {case.plan: case.run for case in Enumerator(setup, 2, reductions=()).cases()}
    reduced = Enumerator(setup, 2, reductions=(UNREAD_CLOCK,))
    spared = set(ran) - {case.plan for case in reduced.cases()}
    assert len(spared) == reduced.pruned[UNREAD_CLOCK.name] > 100
    for plan in spared:
        jump = next(number for number, fault in enumerate(plan.faults) if fault.kind.startswith("clock-"))
        with_it, without = ran[plan].rows, ran[plan.without(jump)].rows
        assert [row for row in with_it if row[1] != CLOCK] == [row for row in without if row[1] != CLOCK]


@pytest.mark.parametrize("adapter", ["seed", "simple-saga", "reference"])
def test_requests_on_different_data_need_no_second_order(adapter: str) -> None:
    """Without the reduction they are delivered in both orders too: more plans, of which none shows anything new."""
    loaded = load(adapter)
    apart = Scenario(name="apart", sagas=2, items=("item-1", "item-2"), accounts=("one", "other"))
    setup = Setup(adapter=loaded, scenario=apart)
    full, plans, _ = searched(setup, (), 1)
    reduced, fewer, enumerator = searched(setup, (INDEPENDENCE,), 1)
    assert reduced == full
    assert plans - fewer == enumerator.pruned[INDEPENDENCE.name] >= 12


def test_requests_on_the_same_data_are_delivered_in_both_orders_all_the_same() -> None:
    loaded = load("seed")
    together = Setup(adapter=loaded, scenario=loaded.scenario("two-on-one-item"))
    struck = {case.plan.faults[0] for case in Enumerator(together, 1).cases() if case.plan.faults}
    overtaken = {fault.site.subject for fault in struck if fault.kind == "overtaken"}
    assert overtaken == {"inventory", "payment"}, "each saga has an order of its own"


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["succeeds", "declined"])
def test_the_reference_shows_the_same_with_and_without(scenario: str) -> None:
    full, plans, _ = search("reference", scenario, ())
    assert not full[0]
    reduced, fewer, _ = search("reference", scenario, ALL)
    assert reduced == full
    assert fewer < plans


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["two-on-one-item", "over-the-limit"])
def test_two_sagas_at_once_show_the_same_with_and_without(scenario: str) -> None:
    assert search("seed", scenario, ALL)[0] == search("seed", scenario, ())[0]


def looks(world: World, sagas: list[str]) -> None:
    assert sagas


def asks(world: World, sagas: list[str]) -> None:
    for saga in sagas:
        with suppress(PortError):
            world.call("payment.status", saga=saga)


class HarmfulInItsThirdLookAtBoth:
    """Counts how often it has found both sagas, and then takes back the payment of the first."""

    def __init__(self) -> None:
        self.rounds = 0

    def __call__(self, world: World, sagas: list[str]) -> None:
        if self.rounds == 3 or len(sagas) < 2:
            return
        self.rounds += 1
        if self.rounds == 3:
            with suppress(PortError):
                world.call("payment.refund", saga=sagas[0], key="r")


def refunds_what_it_could_not_ask_for(world: World, sagas: list[str]) -> None:
    """Takes a payment about which it got no answer for one that was not wanted."""
    for saga in sagas:
        try:
            world.call("payment.status", saga=saga)
        except PortError:
            with suppress(PortError):
                world.call("payment.refund", saga=saga, key="r")


def says_that_it_lives(world: World, sagas: list[str]) -> None:
    with suppress(PortError):
        world.store.put("sign", {"seen": world.now()})


class RefundsAfterAnHour:
    """Says that it lives, and after an hour also refunds what it could not ask for."""

    def __init__(self) -> None:
        self.begun = 0.0

    def __call__(self, world: World, sagas: list[str]) -> None:
        now = world.now()
        self.begun = self.begun or now
        if now - self.begun > 3_600:
            refunds_what_it_could_not_ask_for(world, [saga for saga in sagas if saga != "sign"])
        says_that_it_lives(world, sagas)


def swept(made: Callable[[], Callable[[World, list[str]], None]]) -> Adapter:
    """Takes two steps and notes that; beside all sagas what is ``made()`` at boot is called every second for ever."""
    pair = Saga("pair", [Step("order", "order.create"), Step("pay", "payment.charge", undo="payment.refund")])

    class Swept:
        def boot(self, world: World) -> None:
            self.world, self.sweep = world, made()
            world.spawn(self.sweeps)

        def sweeps(self) -> None:
            while True:
                self.world.sleep(1)
                self.sweep(self.world, [saga for saga, _ in self.world.store.items()])

        def run(self, order: Order) -> bool:
            self.world.store.put(order.id, {}, saga=order.id)
            for operation in ("order.create", "payment.charge"):
                self.world.call(operation, key=f"{order.id}/{operation}")
            return True

    return adapter(saga=pair, name="swept", operations=("payment.status",))(Swept).__sagafuzz_adapter__  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("made", "harm"),
    [
        (lambda: looks, False),
        (lambda: asks, False),
        (HarmfulInItsThirdLookAtBoth, True),
        (lambda: refunds_what_it_could_not_ask_for, True),
    ],
    ids=["looks", "asks", "harmful in its third look at both", "refunds what it could not ask for"],
)
def test_a_sweeper_shows_the_same_where_it_is_known_again_and_where_it_is_watched(
    monkeypatch: pytest.MonkeyPatch, made: Callable[[], Callable[[World, list[str]], None]], harm: bool
) -> None:
    """One that is not known to go round is watched for some hundred rounds, and its calls are struck in six of them."""
    setup = Setup(adapter=swept(made), scenario=Scenario(name="two", sagas=2, gap_ms=2_500))
    kinds = {"lost-ack"}
    found, plans, _ = searched(setup, ALL, 1, kinds)
    monkeypatch.setattr(resting, "position", lambda sim, **how: None)
    watched, more, _ = searched(setup, ALL, 1, kinds)
    assert found == watched
    assert {invariant for invariant, *_ in found[0]} == ({"I15"} if harm else set())
    assert plans <= more


@pytest.mark.parametrize(
    "made",
    [lambda: asks, HarmfulInItsThirdLookAtBoth, lambda: refunds_what_it_could_not_ask_for],
    ids=["asks", "harmful in its third look at both", "refunds what it could not ask for"],
)
def test_a_fault_in_a_later_round_of_a_sweeper_shows_nothing_new(
    made: Callable[[], Callable[[World, list[str]], None]],
) -> None:
    setup = Setup(adapter=swept(made), scenario=Scenario(name="two", sagas=2, gap_ms=2_500))
    expect_the_same(setup, 2, {"lost-ack", "crash-after-effect"})


class RetriesUnderAnotherKey:
    """Leaves a saga open whose payment was not answered, and asks about it for ever. Who starts next pays it, and does
    so again under another key where that is not answered either."""

    def boot(self, world: World) -> None:
        self.world = world
        world.spawn(self.sweeps)

    def sweeps(self) -> None:
        while True:
            self.world.sleep(1)
            self.sweep([saga for saga, _ in self.world.store.items()])

    def sweep(self, sagas: list[str]) -> None:
        asks(self.world, sagas)

    def run(self, order: Order) -> bool:
        self.world.store.put(order.id, {"open": True}, saga=order.id)
        self.world.call("order.create", key=f"{order.id}/order")
        try:
            self.world.call("payment.charge", key=f"{order.id}/payment")
        except PortError:
            self.world.store.put(order.id, {"unpaid": True}, saga=order.id)
            raise
        self.world.store.put(order.id, {}, saga=order.id)
        return True

    def recover(self) -> None:
        for saga, entry in self.world.store.items():
            for attempt in range(2) if "unpaid" in entry else ():
                with suppress(PortError):
                    self.world.call("payment.charge", saga=saga, key=f"{saga}/payment/{attempt}")
                    break


class RetriesAndSaysThatItLives(RetriesUnderAnotherKey):
    def sweep(self, sagas: list[str]) -> None:
        says_that_it_lives(self.world, sagas)


def unpaid(made: type[RetriesUnderAnotherKey] = RetriesUnderAnotherKey) -> Setup:
    pair = Saga(
        "pair",
        [
            Step("order", "order.create", undo="order.cancel"),
            Step("pay", "payment.charge", undo="payment.refund"),
        ],
    )
    declared = adapter(saga=pair, name="unpaid", operations=("payment.status",))(made)
    return Setup(adapter=declared.__sagafuzz_adapter__, scenario=Scenario())  # type: ignore[attr-defined]


BOTH = pytest.mark.parametrize("made", [RetriesUnderAnotherKey, RetriesAndSaysThatItLives], ids=["asks", "lives"])


@BOTH
def test_beside_a_sweeper_a_fault_strikes_also_after_what_was_stuck_was_started_anew(
    made: type[RetriesUnderAnotherKey],
) -> None:
    """It is started by the harness, once: that is no round of the sweeper's."""
    kinds = {"lost-request", "lost-ack", "crash-after-log"}
    (found, _), *_ = searched(unpaid(made), ALL, 2, kinds)
    assert "I1" in {invariant for invariant, *_ in found}
    expect_the_same(unpaid(made), 2, kinds)


@BOTH
def test_a_run_that_goes_on_from_one_that_was_told_to_go_round_is_the_run_from_the_start(
    made: type[RetriesUnderAnotherKey],
) -> None:
    """Its last fault may be for a site that comes in each round: then it is not told so until that has struck."""
    setup = unpaid(made)
    search = Enumerator(setup, 2, {"lost-request", "crash-after-log"}, reductions=(PREFIX_SHARING,))
    cases = [*search.cases()]
    struck = {case.plan.faults[-1].site[1] for case in cases if len(case.plan) == 2}
    assert struck >= ({"write", "pay"} if made is RetriesAndSaysThatItLives else {"payment.status", "pay"})
    assert [case.digest for case in cases] == [rows_digest(simulate(setup, case.plan).rows) for case in cases]


def test_where_a_run_goes_round_it_is_struck_in_one_round() -> None:
    def rounds(reductions: Collection[Reduction]) -> set[Plan]:
        plans = [case.plan for case in Enumerator(unpaid(), 2, {"lost-request"}, reductions=reductions).cases()]
        return {plan for plan in plans if any(fault.site.direction == "Q" for fault in plan.faults[1:])}

    assert 0 < len(rounds((STATE_MEMO,))) < len(rounds(()))


@pytest.mark.parametrize("made", [lambda: says_that_it_lives, RefundsAfterAnHour], ids=["lives", "refunds later"])
def test_a_fault_in_a_later_round_of_who_says_that_it_lives_shows_nothing_new(
    made: Callable[[], Callable[[World, list[str]], None]],
) -> None:
    """Unless something else is done in that one."""
    setup = Setup(adapter=swept(made), scenario=Scenario())
    expect_the_same(setup, 1, {"lost-ack", "crash-after-log", "store-error-before-commit", "second-orchestrator"})
    if made is RefundsAfterAnHour:
        (violations, _), *_ = searched(setup, ALL, 1, {"lost-ack"})
        assert "I15" in {invariant for invariant, *_ in violations}
    else:
        expect_the_same(setup, 2, {"crash-after-log", "store-error-before-commit"})


@pytest.mark.parametrize(
    "made",
    [lambda: looks, lambda: asks, lambda: says_that_it_lives, RefundsAfterAnHour],
    ids=["looks", "asks", "lives", "refunds later"],
)
def test_beside_a_sweeper_a_run_that_goes_on_from_another_one_is_the_run_from_the_start(
    made: Callable[[], Callable[[World, list[str]], None]],
) -> None:
    setup = Setup(adapter=swept(made), scenario=Scenario())
    kinds = {"duplicate", "lost-ack", "clock-forward", "crash-after-log", "store-error-before-commit"}
    search = Enumerator(setup, 1, kinds, reductions=(PREFIX_SHARING,))
    cases = [*search.cases()]
    assert search.resumed > len(cases) / 2
    assert [case.digest for case in cases] == [rows_digest(simulate(setup, case.plan).rows) for case in cases]


def test_where_a_run_goes_round_but_for_the_time_it_is_struck_in_its_first_rounds() -> None:
    def rounds(reductions: Collection[Reduction]) -> set[int]:
        setup = Setup(adapter=swept(lambda: says_that_it_lives), scenario=Scenario())
        plans = [case.plan for case in Enumerator(setup, 1, {"crash-after-log"}, reductions=reductions).cases()]
        return {fault.site.occurrence for plan in plans for fault in plan.faults if not fault.site.saga}

    assert max(rounds((STATE_MEMO,))) == 3 < max(rounds(()))


@pytest.mark.parametrize("limit_s", [0.05, 1.5])
def test_a_time_that_was_read_means_something_else_after_a_slow_answer(limit_s: float) -> None:
    """The answers are the same as without the fault, and everything else but the time is too."""

    class Hasty:
        def boot(self, world: World) -> None:
            self.world = world

        def run(self, order: Order) -> bool:
            begun = self.world.now()
            self.world.call("order.create", key="1")
            self.world.call("payment.charge", key="2")
            if self.world.now() - begun > limit_s:
                self.world.call("payment.charge", key="3")
            return True

    pair = Saga("pair", [Step("order", "order.create"), Step("pay", "payment.charge", undo="payment.refund")])
    declared: Adapter = adapter(saga=pair, name="hasty")(Hasty).__sagafuzz_adapter__  # type: ignore[attr-defined]
    setup, kinds = Setup(adapter=declared, scenario=Scenario()), {"slow-answer"}
    (found, _), *_ = searched(setup, ALL, 2, kinds)
    assert "I1" in {invariant for invariant, *_ in found}
    expect_the_same(setup, 2, kinds)


def test_the_count_of_plans_of_the_reference_is_pinned() -> None:
    """A change of these numbers is a change of what is searched: look at it, then write the new ones."""
    _, one, _ = search("reference", "succeeds", (), faults=1)
    _, reduced, enumerator = search("reference", "succeeds", ALL, faults=1)
    assert (one, reduced, enumerator.pruned[CRASH_EQUIVALENCE.name]) == (94, 86, 8)


def test_a_crash_in_boot_and_one_after_an_order_was_taken_are_two() -> None:
    """Nothing that outlives the process lies between them, and yet only the first one's order waits for the next."""
    loaded = load("reference-sqlite")
    setup = Setup(adapter=loaded, scenario=loaded.scenario("succeeds"))
    cases = [*Enumerator(setup, 1, {"crash-before-log", "crash-after-log"}, reductions=[CRASH_EQUIVALENCE]).cases()]
    at = {(fault.kind, fault.site.saga): case.run for case in reversed(cases) for fault in case.plan.faults}
    served, lost = at["crash-after-log", ""], at["crash-before-log", "saga-1"]
    assert [outcome_of(run, setup) for run in (served, lost)] == ["completed", "no answer"]


def test_two_states_are_told_apart_by_what_a_process_was_answered() -> None:
    """The same stores and participants, but one orchestrator has seen a timeout: not the same state."""
    adapter = load("reference")
    setup = Setup(adapter=adapter, scenario=adapter.scenario("succeeds"))
    keys: list[dict[tuple[bytes, ...], None]] = []
    cases = [case for case in Enumerator(setup, 1).cases() if case.plan.faults]
    wanted = ("lost-ack", "late-answer", "lost-request")
    for kind in wanted:
        plan = next(case.plan for case in cases if case.plan.faults[0].kind == kind)
        seen: dict[tuple[bytes, ...], None] = {}

        def watch(seen_by: Observer, seen: dict[tuple[bytes, ...], None] = seen) -> bool:
            seen[state_keys(seen_by)] = None
            return False

        observe(setup, plan, watch)
        keys.append(seen)
    base: set[tuple[bytes, ...]] = set()
    observe(setup, Plan(), lambda seen_by: bool(base.add(state_keys(seen_by))))
    answer_lost, answer_late, request_lost = keys
    assert all(() not in seen for seen in keys)
    assert not answer_lost.keys() & base, "an orchestrator that waited in vain once is not one that did not"
    assert next(iter(request_lost)) not in answer_lost, "the participant has not been asked yet"
    assert request_lost.keys() & answer_lost.keys(), "once the retry is through, nothing tells them apart"
    assert answer_lost == answer_late, "an answer that is lost and one that comes too late leave the same behind"


def test_a_time_of_day_that_was_read_before_the_clock_jumped_is_not_one_that_was_read_after() -> None:
    """The two processes asked at the same moment, and hold two times."""

    class Dated:
        def boot(self, world: World) -> None:
            self.world = world

        def run(self, order: Order) -> bool:
            self.world.call("order.create", key="1")
            day = time.time() // 86_400
            self.world.call("payment.charge", key="2", amount=1)
            self.world.call("payment.refund", key="3", day=day)
            return True

    pair = Saga("pair", [Step("order", "order.create"), Step("pay", "payment.charge", undo="payment.refund")])
    declared: Adapter = adapter(saga=pair, name="dated")(Dated).__sagafuzz_adapter__  # type: ignore[attr-defined]
    setup = Setup(adapter=declared, scenario=Scenario())
    before, after, _ = [case.plan for case in Enumerator(setup, 1, {"clock-forward"}, ()).cases() if case.plan.faults]

    def last_state(plan: Plan) -> tuple[bytes, ...]:
        seen: list[tuple[bytes, ...]] = []

        def watch(seen_by: Observer) -> bool:
            seen.append(state_keys(seen_by))
            return False

        observe(setup, plan, watch)
        return seen[-1]

    assert last_state(before)
    assert last_state(before) != last_state(after)


def test_where_a_users_invariant_judges_too_no_run_is_spared_for_what_only_ours_ask() -> None:
    theirs = Invariant(
        id="S1",
        name="theirs",
        holds_when="always",
        cause="none",
        repair="none",
        nature="safety",
        check=lambda facts: (True, []),
    )
    loaded = load("reference")
    settings = Settings(max_faults=1, examples=0, scenarios=(loaded.scenario("succeeds"),))
    counts = Campaign(replace(loaded, invariants=(theirs,)), settings).run().counts
    _, every, _ = search("reference", "succeeds", (PREFIX_SHARING,), faults=1)
    assert counts.run + counts.idle == every and not any(counts.pruned.values())
