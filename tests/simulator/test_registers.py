"""What a transaction shows of its reads, writes and locks, and the participant that shows them."""

from __future__ import annotations

from typing import Any

import pytest

from sagafuzz import Adapter, Rejected, Request, Saga, Scenario, Step, Transaction, UsageError, adapter, check
from sagafuzz.invariants import blocking
from sagafuzz.simulator import Register

from .conftest import Laboratory

COUNTER = Saga(
    "counter",
    [
        Step("look", "account.look"),
        Step("put", "account.put", undo="account.put-back"),
        Step("ship", "shipping.ship", undo="shipping.recall"),
    ],
)


class Locking(Register):
    locks = True


class Careless:
    """Does to its entities what the payload says, in that order."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        for verb, *arguments in request.payload.get("does", ()):
            getattr(tx, verb)(*arguments)
        if request.payload.get("refuses"):
            raise Rejected("no")


@pytest.fixture
def acts(lab: Laboratory) -> Any:
    """Let one saga's requests do things; what the participant showed of it."""

    def make(*requests: tuple[str, list[Any], bool], sagas: int = 1) -> list[tuple[Any, ...]]:
        def run(world: Any, order: Any) -> bool:
            for saga, does, refuses in requests:
                try:
                    world.call("account.put", saga=saga, does=does, refuses=refuses)
                except Rejected:
                    world.alert(order.id)
            return True

        system = lab.system(run, saga=COUNTER, participants={"account": Careless})
        trial = lab.trial(system, scenario=Scenario(sagas=sagas, gap_ms=60_000))
        shown = trial.of("READ", "WRITE", "HOLD", "RELEASE")
        return [(event.kind, event.saga, *event.data) for event in shown if event.t_us < 60_000_000]

    return make


def test_writes_are_counted_and_reads_say_what_they_saw(acts: Any) -> None:
    assert acts(("saga-1", [("read", "x"), ("write", "x", 7), ("add", "x", 1), ("read", "x")], False)) == [
        ("READ", "saga-1", "x", 0, False),
        ("WRITE", "saga-1", "x", 1, "set"),
        ("WRITE", "saga-1", "x", 2, "add"),
        ("READ", "saga-1", "x", 2, False),
    ]


def test_a_refusal_leaves_no_trace(acts: Any) -> None:
    assert acts(("saga-1", [("write", "x", 7), ("lock", "x")], True), ("saga-1", [("read", "x")], False)) == [
        ("READ", "saga-1", "x", 0, False)
    ]


def test_a_lock_marks_the_value_for_others_until_it_is_taken_away(acts: Any) -> None:
    peek = [("read", "x"), ("lock", "x"), ("unlock", "x")]
    assert acts(
        ("saga-1", [("lock", "x"), ("read", "x")], False),
        ("saga-2", peek, False),
        ("saga-1", [("unlock", "x")], False),
        ("saga-2", peek, False),
        sagas=2,
    ) == [
        ("HOLD", "saga-1", "x"),
        ("READ", "saga-1", "x", 0, False),
        ("READ", "saga-2", "x", 0, True),
        ("RELEASE", "saga-1", "x"),
        ("READ", "saga-2", "x", 0, False),
        ("HOLD", "saga-2", "x"),
        ("RELEASE", "saga-2", "x"),
    ]


# -- isolation, from end to end ----------------------------------------------------------------


def counting(
    lab: Laboratory, participant: Any, *, add: bool, isolation: tuple[str, ...], final: bool = False
) -> Adapter:
    """Each saga reads a number and puts the next one; where the second step is refused it is undone."""

    def run(world: Any, order: Any) -> bool:
        def call(operation: str, **payload: Any) -> Any:
            return world.call(operation, saga=order.id, key=f"{order.id}/{operation}", **payload)

        try:
            seen = call("account.look", entity="x")["value"]
            change = {"add": 1} if add else {"set": 10 * seen + int(order.id[-1])}
            call("account.put", entity="x", **change, **({"final": True} if final else {}))
        except Rejected:
            return False
        try:
            call("shipping.ship")
        except Rejected:
            call("account.put-back", entity="x")
            return False
        return True

    return lab.system(run, saga=COUNTER, participants={"account": participant}, isolation=isolation)


BOTH = Scenario(sagas=2)
FIRST_IS_UNDONE = Scenario(sagas=2, rejections=((1, "shipping.ship"),))


@pytest.mark.parametrize(
    ("participant", "add", "scenario", "found"),
    [
        (Register, False, BOTH, {"lost-update"}),
        (Register, True, BOTH, set()),
        (Register, False, FIRST_IS_UNDONE, {"undo-clobber"}),
        (Register, True, FIRST_IS_UNDONE, set()),
    ],
)
def test_two_sagas_that_count_lose_what_they_do_not_add(
    lab: Laboratory, participant: Any, add: bool, scenario: Scenario, found: set[str]
) -> None:
    system = counting(lab, participant, add=add, isolation=("lost-update", "undo-clobber"))
    verdict = check(lab.trial(system, scenario=scenario).history)
    assert {violation.anomaly for violation in verdict.violations} == found
    assert "I25" in verdict.exercised


def test_a_saga_that_meets_a_mark_is_refused_and_nothing_is_lost(lab: Laboratory) -> None:
    system = counting(lab, Locking, add=False, isolation=("lost-update", "undo-clobber"), final=True)
    trial = lab.trial(system, scenario=BOTH)
    assert sorted(trial.answers) == ["compensated", "completed"]
    assert check(trial.history).violations == ()
    (held,) = blocking(trial.history)
    assert (held.service, held.entity, held.released, held.in_doubt_us) == ("account", "x", True, 0)
    assert held.waits == 1


def test_a_mark_that_nobody_takes_away_is_left(lab: Laboratory) -> None:
    system = counting(lab, Locking, add=False, isolation=())
    found = check(lab.trial(system).history).violations
    assert [violation.anomaly for violation in found] == ["lock left"]


# -- what an adapter promises --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"isolation": ["dirty-reads"]}, r"isolation has 'dirty-reads' \(did you mean 'dirty-read'\?\)"),
        ({"max_attempts": {"account.putt": 3}}, "max_attempts bounds 'account.putt', which no step of 'counter' has"),
        ({"expiring": ["acount"]}, r"expiring has 'acount' \(did you mean 'account'\?\); there is account"),
        ({"refusing_repeats": ["till"]}, r"refusing_repeats has 'till'; there is account"),
        ({"forgetting_refusals": ["till"]}, r"forgetting_refusals has 'till'; there is account"),
        ({"tickets": ["desk.open"]}, r"tickets has 'desk.open', which is none of operations="),
        ({"definitions": {"v1": "counter"}}, r"definitions\['v1'\] is 'counter'; write a Saga for each version"),
    ],
)
def test_a_promise_about_nothing_is_refused(options: dict[str, Any], complaint: str) -> None:
    class System:
        def boot(self, world: Any) -> None:
            """Nothing."""

        def run(self, order: Any) -> bool:
            return True

    with pytest.raises(UsageError, match=complaint):
        adapter(saga=COUNTER, **options)(System)


def test_what_is_promised_is_told_in_the_history_and_read_back(lab: Laboratory) -> None:
    other = Saga("counter-2", [Step("look", "account.look"), Step("put", "account.set", undo="account.put-back")])

    def run(world: Any, order: Any) -> bool:
        world.adopt(order.id, epoch=3, definition="v2")
        world.call("account.set", saga=order.id, key="k")
        return True

    promises = {"max_attempts": {"account.put": 3}, "deadline_ms": 500, "definitions": {"v1": COUNTER, "v2": other}}
    trial = lab.trial(lab.system(run, saga=COUNTER, **promises))  # type: ignore[arg-type]
    assert trial.history.declared == {
        "max_attempts": {"account.put": 3},
        "deadline_ms": 500,
        "call_timeout_ms": 1000.0,
        "definitions": {
            "v1": ("account.look", "account.put", "shipping.ship", "account.put-back", "shipping.recall"),
            "v2": ("account.look", "account.set", "account.put-back"),
        },
    }
    assert type(trial.history).from_ndjson(trial.history.to_ndjson()) == trial.history
    assert [event.data for event in trial.of("ADOPT")] == [(3, "v2")]
    assert [(event.step, event.direction) for event in trial.of("SEND")] == [("put", "F")]
    assert lab.trial(lab.system(lambda world, order: True)).history.declared == {}
