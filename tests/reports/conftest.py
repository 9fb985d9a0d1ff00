"""Small values to render: histories written by hand, findings and reports around them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sagafuzz import Fault, Finding, History, Plan, Report, Saga, Scenario, Site, Step, Violation
from sagafuzz.history import Fired, Row
from sagafuzz.verdict import Cell, InvariantResult, PlanCounts, RandomResult, ScenarioResult

SAGA = Saga(
    "checkout",
    [
        Step("inventory", "inventory.reserve", undo="inventory.release"),
        Step("payment", "payment.charge", undo="payment.refund"),
    ],
)

ORCHESTRATOR = "orchestrator"


def row(t_ms: float, kind: str, process: str = ORCHESTRATOR, *data: object, **about: Any) -> Row:
    """An event of saga-1; ``about`` may set step, direction, attempt, key, msg and saga."""
    return (
        round(t_ms * 1000),
        kind,
        process,
        about.get("saga", "saga-1"),
        about.get("step", ""),
        about.get("direction", ""),
        about.get("attempt", 0),
        about.get("key"),
        about.get("msg", 0),
        data,
    )


def charge(t_ms: float, msg: int, *kinds_and_data: tuple[str, tuple[object, ...]], **about: Any) -> list[Row]:
    """The events of one charge, a millisecond apart: ("SEND", …), ("DELIVER", …) and so on."""
    where = {"step": "payment", "direction": "F", "attempt": 1, "msg": msg, **about}
    at_service = ("DELIVER", "APPLY", "REJECT", "ERROR")
    return [
        row(t_ms + n, kind, "payment" if kind in at_service else ORCHESTRATOR, *data, **where)
        for n, (kind, data) in enumerate(kinds_and_data)
    ]


SEND = ("SEND", ("payment.charge", (("amount", 100),)))
ARRIVES = ("DELIVER", (1,))


def money(taken: int) -> tuple[object, ...]:
    return ("money", "customer", 1000 - taken, taken, taken, 1000)


def fault(kind: str, phase: str, *, subject: str = "payment", direction: str = "F", occurrence: int = 1) -> Fault:
    return Fault(kind=kind, site=Site("saga-1", subject, direction, phase, occurrence))


def history(rows: list[Row], *fired: Fired, sagas: tuple[str, ...] = ("saga-1",), saga: Saga = SAGA) -> History:
    return History(saga=saga, sagas=sagas, rows=tuple(rows), fired=fired, adapter="seed", scenario="succeeds")


LOST_ACK = fault("lost-ack", "ack")
CRASH = fault("crash-before-log", "log", subject="outcome payment", direction="")


def lost_ack() -> History:
    """An answer is lost, the charge is sent again without a key, and takes effect again."""
    rows = [row(0, "SUBMIT", "client", "item-1", 1, 100)]
    rows += charge(1, 1, SEND, ARRIVES)
    rows += [row(2, "APPLY", "payment", True, "saga-1", money(100), step="payment", direction="F", attempt=1, msg=1)]
    rows += [row(3, "LOST", ORCHESTRATOR, "answer", step="payment", direction="F", attempt=1, msg=1)]
    rows += [row(1001, "TIMEOUT", ORCHESTRATOR, 1000.0, step="payment", direction="F", attempt=1, msg=1)]
    rows += charge(1001.5, 2, SEND, ARRIVES, ("APPLY", (True, "saga-1", money(200))), ("ACK", ("ok",)), attempt=2)
    rows += [row(1005, "CLIENT_ACK", "client", "completed"), row(1005, "END", "harness", "quiescent", saga="")]
    return history(rows, Fired(position=4, fault=LOST_ACK))


def crash() -> History:
    """The orchestrator dies before it has recorded the outcome, and nobody goes on."""
    rows = [
        row(0, "SUBMIT", "client", "item-1", 1, 100),
        *charge(1, 1, SEND, ARRIVES, ("APPLY", (True, "saga-1", money(100))), ("ACK", ("ok",))),
        row(4, "LOG", ORCHESTRATOR, "outcome", 1, step="payment"),
        row(4, "CRASH", ORCHESTRATOR, "crash-before-log", saga=""),
        row(104, "BOOT", "orchestrator#2", 2, "crash", saga=""),
        row(104, "END", "harness", "quiescent", saga=""),
    ]
    return history(rows, Fired(position=6, fault=CRASH))


DOUBLE = Violation(
    invariant="I1",
    anomaly="duplicate effect",
    sentence="payment.charge for saga-1 took effect 2 times; at most 1 is allowed",
    expected="at most 1 effect",
    got="2 effects",
    saga="saga-1",
    step="payment",
    direction="F",
    position=8,
)
ZOMBIE = Violation(
    invariant="I13",
    anomaly="nobody goes on",
    sentence="saga-1 was begun and never brought to an end",
    expected="an end",
    got="none",
    saga="saga-1",
)


def finding(id: str = "F-3k9q", violation: Violation = DOUBLE, **changes: Any) -> Finding:
    crashed = violation.invariant == "I13"
    given: dict[str, Any] = {
        "scenario": Scenario(),
        "history": crash() if crashed else lost_ack(),
        "plan": Plan(faults=(CRASH if crashed else LOST_ACK,)),
        "hits": 14,
        "first_events": 31,
        "first_faults": 2,
        "replay": f"sagafuzz-report/{id}.json",
    }
    return Finding(id=id, violation=violation, **{**given, **changes})


NAMES = {"I1": "at most once", "I12": "write ahead", "I13": "no zombie", "I17": "conservation"}


def invariants(found: tuple[Finding, ...]) -> tuple[InvariantResult, ...]:
    broken = [item.violation.invariant for item in found]
    status = {"I12": "not exercised", **dict.fromkeys(broken, "violated")}
    return tuple(
        InvariantResult(
            id=id,
            name=name,
            status=status.get(id, "holds"),  # type: ignore[arg-type]
            checked=0 if id == "I12" else 123,
            violated=broken.count(id),
            note="the adapter names no records" if id == "I12" else "",
        )
        for id, name in NAMES.items()
    )


def report(*found: Finding, **changes: Any) -> Report:
    counts = PlanCounts(planned=123, run=123, fired=120, consequential=40, histories=17, by_faults=(1, 22, 100))
    given: dict[str, Any] = {
        "adapter": "seed",
        "spec": "seed",
        "saga": "checkout",
        "steps": tuple((step.name, step.operation, step.undo or "") for step in SAGA.steps),
        "verdict": "violated" if found else "consistent",
        "complete": True,
        "max_faults": 2,
        "seed": 0,
        "counts": counts,
        "scenarios": (ScenarioResult(scenario=Scenario(), counts=counts, outcomes={"completed": 123}),),
        "random": RandomResult(asked=200, run=200, steps=4211, violated=bool(found)),
        "invariants": invariants(found),
        "findings": found,
        "coverage": (
            Cell(kind="lost-ack", mode="forward", sites=2, planned=60, fired=60, consequential=40),
            Cell(kind="lost-ack", mode="recovery", sites=1, planned=3, fired=0, consequential=0),
        ),
        "not_exercised": ("I12 write ahead: the adapter names no records",),
        "digest": "9f86d081",
        "version": "0.1.0",
        "command": "sagafuzz run seed --faults 2",
    }
    return Report(**{**given, **changes})


@pytest.fixture
def make() -> SimpleNamespace:
    """Everything above, by name: test modules cannot import one another."""
    return SimpleNamespace(**{name: thing for name, thing in globals().items() if not name.startswith("_")})


ESCAPES = "\x1b[31mred\x1b[0m\n\n# evil | <b>*x*</b> `y` @me \u202e\ud800" + "A" * 10_000


@pytest.fixture
def hostile(make: SimpleNamespace) -> Report:
    """A report in which every text that comes from elsewhere means harm."""
    saga = Saga(ESCAPES, [Step(ESCAPES, f"{ESCAPES}.{ESCAPES}", undo=f"{ESCAPES}.undo")])
    send = ("SEND", (f"{ESCAPES}.{ESCAPES}", ((ESCAPES, ESCAPES),)))
    where = {"saga": ESCAPES, "step": ESCAPES}
    rows = [
        row(0, "SUBMIT", "client", ESCAPES, 1, 100, saga=ESCAPES),
        *charge(1, 1, send, ARRIVES, ("REJECT", (ESCAPES,)), **where),
        row(5, "RAISED", ORCHESTRATOR, ESCAPES, ESCAPES, ESCAPES, False, saga=ESCAPES),
        row(6, "NONSENSE", "client", ESCAPES, saga=ESCAPES),
        row(6, "DEAD_LETTER", ORCHESTRATOR, ESCAPES, **where),
        row(7, "ALERT", ORCHESTRATOR, ESCAPES, **where),
        row(8, "CLIENT_ACK", "client", ESCAPES, saga=ESCAPES),
        row(9, "CRASH", ORCHESTRATOR, ESCAPES, saga=""),
        row(9, "END", "harness", ESCAPES, saga=""),
    ]
    struck = Fault(kind="reject", site=Site(ESCAPES, ESCAPES, "F", "effect", 1))
    text = dict.fromkeys(("invariant", "anomaly", "sentence", "expected", "got", "saga", "step"), ESCAPES)
    one = make.finding(
        ESCAPES,
        Violation(**text, position=3),
        scenario=Scenario(name=ESCAPES, about=ESCAPES),
        history=history(rows, Fired(position=3, fault=struck), sagas=(ESCAPES, "saga-2"), saga=saga),
        plan=Plan(faults=(struck,)),
        explains=(ESCAPES,) * 20,
        replay=ESCAPES,
    )
    program = make.finding("F-2", Violation(**text), plan=None, actions=((ESCAPES, 1),) * 40, shown=(ESCAPES,) * 40)  # type: ignore[arg-type]
    names = dict.fromkeys(("adapter", "spec", "saga", "nondeterministic", "digest", "version", "command"), ESCAPES)
    return make.report(
        one,
        program,
        **names,
        scenarios=(ScenarioResult(scenario=Scenario(name=ESCAPES), counts=PlanCounts(), outcomes={ESCAPES: 1}),),
        invariants=(InvariantResult(id=ESCAPES, name=ESCAPES, status="violated", note=ESCAPES),),
        coverage=(Cell(kind=ESCAPES, mode=ESCAPES, sites=1, planned=1, fired=0, consequential=0),),
        not_exercised=(ESCAPES,) * 100,
        reasons=(ESCAPES,) * 100,
    )
