"""Hypothesis drives the simulator and finds by itself what there is to find."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

import sagafuzz
from sagafuzz import CallTimeout, Rejected, Saga, Scenario, Step, Unavailable, UsageError
from sagafuzz.adapters.reference import Reference
from sagafuzz.adapters.seed import Seed
from sagafuzz.adapters.zoo import ZOO
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.driver import ACTIONS, Action, Driver, replay_actions
from sagafuzz.exploration.settings import Settings
from sagafuzz.exploration.shrink import shrink_actions
from sagafuzz.exploration.stateful import MAX_LIVELOCKS, Livelocks, SagaMachine, SagaViolation, search
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.invariants import check
from sagafuzz.loading import load
from sagafuzz.simulator import Setup, simulate

EVERY_SIGNATURE_BUT_THE_CHARGE = frozenset(
    ("I1", "duplicate effect", step, direction)
    for step in ("order", "inventory", "payment")
    for direction in "FC"
    if (step, direction) != ("payment", "F")
)


def test_it_finds_the_double_charge_and_shrinks_it_to_four_rules() -> None:
    seed = load("seed")
    failure, _ = search(
        seed,
        examples=400,
        seed=1,
        scenarios=[seed.scenario("succeeds")],
        only=frozenset({"I1"}),
        ignore=EVERY_SIGNATURE_BUT_THE_CHARGE,
        steps=12,
    )
    assert failure is not None
    assert failure.violation.signature == ("I1", "duplicate effect", "payment", "F")
    setup = Setup(adapter=seed, scenario=failure.scenario)
    small = shrink_actions(setup, failure.actions, failure.violation.signature)
    assert small.whole
    assert len(small.actions) <= 4, small


def test_what_it_finds_can_be_done_again() -> None:
    failure, _ = search(load("seed"), examples=100, seed=2)
    assert failure is not None
    setup = Setup(adapter=load("seed"), scenario=failure.scenario)
    again = replay_actions(setup, failure.actions)
    assert again.digest == failure.history.digest
    assert failure.violation.signature in {violation.signature for violation in check(again).violations}


def test_a_search_that_is_stopped_before_its_failure_is_done_again_keeps_the_failure() -> None:
    """Hypothesis does a failing example once more; that it was not let is no sign that it went another way."""

    class Watched(SagaMachine):
        failed = False

        def teardown(self) -> None:
            try:
                super().teardown()
            except SagaViolation:
                Watched.failed = True
                raise

    failure, _ = search(load("seed"), examples=400, seed=1, steps=12, machine=Watched, stopped=lambda: Watched.failed)
    assert Watched.failed
    assert failure is not None


def test_the_same_seed_finds_the_same() -> None:
    first, steps = search(load("seed"), examples=50, seed=3)
    second, same_steps = search(load("seed"), examples=50, seed=3)
    assert first is not None and second is not None
    assert (first.actions, steps) == (second.actions, same_steps)


def test_the_reference_passes_sixty_examples() -> None:
    failure, steps = search(load("reference"), examples=60, seed=0)
    assert failure is None, failure and (failure.violation.sentence, failure.shown)
    assert steps > 600


class CountingMachine(sagafuzz.SagaMachine):
    """A user's own machine: another adapter and a rule more."""

    adapter = Reference
    noted = 0

    @rule()
    def note(self) -> None:
        type(self).noted += 1


def test_a_user_can_subclass_it() -> None:
    failure, _ = search(load("reference"), examples=20, seed=0, machine=CountingMachine)
    assert failure is None


def test_a_machine_without_an_adapter_says_what_to_write() -> None:
    with pytest.raises(sagafuzz.UsageError, match="adapter = YourAdapter"):
        sagafuzz.SagaMachine()


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_drawn_plans_always_fire(data: st.DataObject) -> None:
    plan = data.draw(sagafuzz.plans(Seed, max_faults=3))
    adapter = load("seed")
    run = simulate(Setup(adapter=adapter, scenario=adapter.scenarios[0]), plan)
    assert run.struck == len(plan)


@settings(max_examples=30, deadline=None)
@given(plan=sagafuzz.plans(Reference, max_faults=4))
def test_the_reference_stands_plans_of_up_to_four_faults(plan: sagafuzz.Plan) -> None:
    adapter = load("reference")
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    verdict = check(simulate(setup, plan).history(setup, plan))
    assert verdict.conclusion == "consistent", verdict.violations


def spared(*kinds: str) -> Driver:
    adapter = dataclasses.replace(load("reference"), cannot_suffer=kinds)
    return Driver(Setup(adapter=adapter, scenario=adapter.scenarios[0]))


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("reject", "reject"),
        ("duplicate", "duplicate"),
        ("delayed-duplicate", "copy"),
        ("lost-request", "drop"),
        ("lost-ack", "lose_ack"),
    ],
)
def test_what_a_system_cannot_suffer_is_not_done_to_it_by_hand_either(kind: str, action: str) -> None:
    driver = spared(kind)
    assert {name for name in ACTIONS if not driver.suffers(name)} == {action, "resubmit", "park"}
    driver.do("submit")
    with pytest.raises(UsageError, match=f"action '{action}': the adapter 'reference' cannot suffer such a fault"):
        driver.perform(action, 0)
    driver.close()


def test_a_process_that_cannot_die_is_not_killed_but_one_that_dies_at_some_moments_is() -> None:
    crashes = [kind.name for kind in FAULT_KINDS.values() if kind.crash]
    assert not spared(*crashes).suffers("crash")
    assert spared(*crashes[1:]).suffers("crash")


def test_who_dies_at_writes_only_is_not_killed_while_it_calls() -> None:
    at_calls = [kind.name for kind in FAULT_KINDS.values() if kind.crash and kind.phase in ("send", "effect", "ack")]
    assert not spared(*at_calls).suffers("crash")


@pytest.mark.parametrize(
    ("name", "beside"),
    [("reference", set()), ("zoo:order-each-click", {"resubmit"}), ("zoo:dead-letter-replay", {"park"})],
)
def test_a_machine_has_the_rules_that_its_system_can_suffer(name: str, beside: set[str]) -> None:
    machine = type("Machine", (sagafuzz.SagaMachine,), {"adapter": name})
    assert {rule for rule in ("resubmit", "park") if hasattr(machine, rule)} == beside


@pytest.mark.parametrize(("name", "broken"), [("zoo:order-each-click", {"I1"}), ("zoo:resubmitted-elsewhere", set())])
def test_an_order_that_is_sent_again_by_hand_is_done_once_by_who_knows_it(name: str, broken: set[str]) -> None:
    adapter = load(name)
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    history = replay_actions(setup, [("submit", 0), ("resubmit", 0)])
    assert {violation.invariant for violation in check(history).violations} == broken
    with pytest.raises(UsageError, match="action 'resubmit' cannot be done now"):
        replay_actions(setup, [("resubmit", 0)])


def test_a_message_is_put_into_the_dead_letter_queue_by_hand_where_there_is_one() -> None:
    adapter = load("zoo:dead-letter-replay")
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    driver = Driver(setup)
    driver.do("submit")
    while not driver.may_park:
        driver.do("deliver")
    driver.do("park", driver.in_flight - 1)
    assert driver.shown[-1].startswith("park: ")
    assert "PARKED" in {event.kind for event in driver.finish().events}


def test_a_machine_keeps_to_the_faults_that_its_system_can_suffer() -> None:
    seed = load("seed")
    harmless = dataclasses.replace(seed, cannot_suffer=tuple(FAULT_KINDS))
    failure, steps = search(harmless, examples=40, seed=1, scenarios=[seed.scenario("succeeds")])
    assert (failure, steps > 100) == (None, True)


# -- within bounds -----------------------------------------------------------------------------------

ONE = Saga("one", [Step("order", "order.create", undo="order.cancel")])


def system(drive: Callable[[Any, Any], Any], **options: Any) -> sagafuzz.Adapter:
    """An adapter whose ``run`` is ``drive(world, order)``."""

    @sagafuzz.adapter(saga=ONE, scenarios=[Scenario(name="succeeds")], **options)
    class Driven:
        def boot(self, world: Any) -> None:
            self.world = world

        def run(self, order: Any) -> Any:
            return drive(self.world, order)

    declared: Any = Driven
    found: sagafuzz.Adapter = declared.__sagafuzz_adapter__
    return found


def asks_for_ever(world: Any, order: Any) -> bool:
    """A refusal is asked about again at once, without an end."""
    while True:
        try:
            world.call("order.create", saga=order.id, key=order.id)
        except (Rejected, Unavailable, CallTimeout):
            continue
        return True


def test_a_system_that_runs_for_ever_ends_the_search_after_a_few_examples() -> None:
    livelocks = Livelocks()
    failure, _ = search(system(asks_for_ever), examples=200, seed=0, livelocks=livelocks)
    assert failure is not None
    assert failure.violation.invariant == "C3"
    known = frozenset({failure.violation.signature})
    search(system(asks_for_ever), examples=200, seed=1, ignore=known, livelocks=livelocks)
    assert livelocks.count == livelocks.most == MAX_LIVELOCKS


def test_what_is_drawn_follows_from_the_seed_alone_whichever_modules_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hypothesis takes numbers from the source of the project's modules, of which others are imported elsewhere."""

    def drawn() -> Counter[bytes]:
        classes: Counter[bytes] = Counter()
        search(load("reference"), examples=30, seed=0, classes=classes)
        return classes

    before = drawn()
    (tmp_path / "full_of_numbers.py").write_text(f"NUMBERS = {list(range(101, 255))}", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("full_of_numbers")
    assert drawn() == before


def test_a_campaign_says_that_its_examples_ran_for_ever() -> None:
    report = Campaign(system(asks_for_ever), Settings(max_faults=0, examples=200)).run()
    assert any("examples of the state machine ran for ever" in reason for reason in report.reasons)
    assert not report.complete
    assert report.random.run < 200


def test_a_program_that_runs_for_ever_is_made_small_within_a_budget_and_says_so() -> None:
    adapter = system(asks_for_ever)
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    program = (*[("advance", 1)] * 6, ("submit", 0), ("copy", 0), ("reject", 0), ("advance", 10_000))
    signature = ("C3", "livelock", "", "")
    small = shrink_actions(setup, program, signature, ticks=1)
    assert not small.whole
    assert small.attempts < 4
    ended = shrink_actions(setup, program, signature, ticks=2_000)
    assert not ended.whole
    assert ended == shrink_actions(setup, program, signature, ticks=2_000)
    assert shrink_actions(setup, program, signature).actions == (("submit", 0), ("reject", 0))


def test_what_cannot_be_left_out_one_by_one_is_left_out_together_and_numbers_become_small() -> None:
    def twice(world: Any, order: Any) -> bool:
        for n in range(2):
            world.call("order.create", saga=order.id, key=f"{order.id}/{n}")
        return True

    adapter = system(twice)
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    program = [("advance", 10_000), ("submit", 0), ("copy", 0), ("deliver", 1), ("deliver", 0), ("advance", 1000)]
    small = shrink_actions(setup, program, ("I1", "duplicate effect", "order", "F"))
    assert small.actions == (("submit", 0),)
    assert small.whole


def test_a_system_that_leaves_the_world_is_told_at_once() -> None:
    def out(world: Any, order: Any) -> bool:
        with contextlib.suppress(BaseException):
            threading.Thread(target=int).start()
        return True

    with pytest.raises(sagafuzz.UsageError, match=r"test_stateful\.py:\d+ in out: it starts a real thread"):
        search(system(out), examples=100, seed=0)


SOLD = (("submit", 0), ("deliver", 0), ("deliver", 0))
MESSAGES = [
    ("acknowledged-before-commit", (*SOLD, ("deliver", 0), ("drop", 0), ("crash", 0))),
    ("webhook-twice", (*SOLD, ("duplicate", 0), ("deliver", 0))),
    ("webhook-before-response", (*SOLD[:2], ("lose_ack", 0), ("deliver", 0))),
]
"""Behind the requests in flight come the messages."""


@pytest.mark.parametrize(("name", "actions"), MESSAGES)
def test_messages_are_delivered_doubled_and_dropped_as_requests_are(name: str, actions: tuple[Action, ...]) -> None:
    mutant = ZOO[name]
    for adapter, wrong in ((mutant.adapter, True), (mutant.twin, False)):
        setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
        found = {violation.invariant for violation in check(replay_actions(setup, actions)).violations}
        assert bool(found & set(mutant.invariants)) == wrong, found


def test_a_shrink_by_hypothesis_ends_when_its_time_is_over_and_says_so_in_each_run() -> None:
    class Machine(sagafuzz.SagaMachine):
        adapter = Seed
        shrink_seconds = 0.3

    Machine.TestCase.settings = settings(max_examples=100, deadline=None, database=None, derandomize=True)
    for _ in range(2):
        result = Machine.TestCase("runTest").run()
        assert result is not None
        assert len(result.failures) == 1, result.errors
        assert "the time to make the program smaller was over: see shrink_seconds" in result.failures[0][1]


def test_a_failure_that_is_not_cut_says_nothing_of_time() -> None:
    class Machine(sagafuzz.SagaMachine):
        adapter = Seed

    phases = [Phase.generate]
    Machine.TestCase.settings = settings(
        max_examples=100, database=None, deadline=None, derandomize=True, phases=phases
    )
    result = Machine.TestCase("runTest").run()
    assert result is not None
    assert len(result.failures) == 1, result.errors
    assert "shrink_seconds" not in result.failures[0][1]
