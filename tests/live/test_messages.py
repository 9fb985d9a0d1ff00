"""Messages to real processes: what a webhook does to a worker, wrong and right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sagafuzz import Fault, Plan, Site, Topic
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.history import HANDLED, NACK, PARKED, PUBLISH, RECEIVE, REDRIVE
from sagafuzz.invariants import check
from sagafuzz.live.manifest import as_adapter, hosted, manifest_of
from sagafuzz.loading import load
from sagafuzz.simulator import Setup, simulate

from .conftest import run

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "webhooks" / "webhooks_adapter.py"


def shop(name: str = "ShopRight") -> Setup:
    adapter = hosted(load(f"{EXAMPLE}:{name}"), name)
    return Setup(adapter=adapter, scenario=adapter.scenarios[0])


def told(setup: Setup, kind: str = "") -> tuple[list[str], set[str], str]:
    """What happened to the message, which invariants are broken, and what the client knows in the end."""
    site = Site("saga-1", "payment.charged", "M", FAULT_KINDS[kind].phase, 1) if kind else None
    plan = Plan(faults=(Fault(kind=kind, site=site),)) if site is not None else Plan()
    live = run(setup, plan)
    assert not live.blocked, live.blocked
    assert len(live.run.fired) == len(plan)
    events = [row[1] for row in live.run.rows if row[1] in (PUBLISH, RECEIVE, HANDLED, NACK)]
    outcomes = [row[9][0] for row in live.run.rows if row[1] == "CLIENT_ACK"]
    broken = {v.invariant for v in check(live.run.history(setup, plan)).violations}
    # A recovery beside the message may say after it that it waits: then the client knows better.
    return events, broken, "completed" if "completed" in outcomes else outcomes[-1]


def test_the_worker_is_told_and_acknowledges() -> None:
    assert told(shop()) == ([PUBLISH, RECEIVE, HANDLED], set(), "completed")


@pytest.mark.parametrize(
    ("kind", "received"),
    [
        ("message-twice", 2),
        ("message-again-at-end", 2),
        ("message-after-end", 1),
        ("message-late", 1),
        ("lost-message-ack", 2),
        ("crash-at-receipt", 1),
        ("crash-before-message-ack", 2),
        ("crash-after-message-ack", 1),
    ],
)
def test_a_right_one_survives_what_befalls_a_message(kind: str, received: int) -> None:
    events, violated, outcome = told(shop(), kind)
    assert (events.count(RECEIVE), violated, outcome) == (received, set(), "completed")


def test_one_that_drops_what_comes_too_early_is_left_waiting() -> None:
    setup = shop("Shop")
    plan = Plan(faults=(Fault(kind="lost-ack", site=Site("saga-1", "payment", "F", "ack", 1)),))
    live = run(setup, plan)
    assert not live.blocked, live.blocked
    assert "I40" in {v.invariant for v in check(live.run.history(setup, plan)).violations}


def test_workers_that_compete_for_messages_take_turns() -> None:
    alone = shop().adapter
    manifest = manifest_of(alone)
    assert manifest is not None
    workers = tuple(replace(each, replicas=2) for each in manifest.components)
    both = as_adapter(replace(manifest, components=workers, topics={"payment.charged": Topic(shared=True)}), alone.spec)
    setup = Setup(adapter=both, scenario=both.scenarios[0])
    plan = Plan(faults=(Fault(kind="message-twice", site=Site("saga-1", "payment.charged", "M", "publish", 1)),))
    live = run(setup, plan)
    assert not live.blocked, live.blocked
    assert {row[2] for row in live.run.rows if row[1] == RECEIVE} == {"orchestrator", "orchestrator#2"}
    assert check(live.run.history(setup, plan)).violations == ()


def test_what_was_put_aside_an_operator_replays() -> None:
    adapter = load("live:zoo:dead-letter-replay")  # it sells again what is replayed after it gave up
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    plan = Plan(faults=(Fault(kind="message-parked", site=Site("saga-1", "order.created", "M", "receipt", 1)),))
    live = run(setup, plan)
    assert not live.blocked, live.blocked
    about = [row for row in live.run.rows if row[1] in (PARKED, REDRIVE, RECEIVE, HANDLED)]
    kinds = [row[1] for row in about if row[9][0] == "order.created"]
    assert kinds == [PARKED, REDRIVE, RECEIVE, HANDLED]


MAIL = Path(__file__).with_name("own_mail.py")


def carried(name: str, kind: str = "") -> tuple[list[str], list[str], set[str]]:
    """What was published and what was received, in order, and what is broken, where a fault strikes the first message;
    the simulator is asked as well, and says the same is broken."""
    adapter, there = hosted(load(f"{MAIL}:{name}"), name), load(f"{MAIL}:{name}")
    setup, simulated = (Setup(adapter=each, scenario=each.scenarios[0]) for each in (adapter, there))
    site = Site("saga-1", "first", "M", FAULT_KINDS[kind].phase, 1) if kind else None
    plan = Plan(faults=(Fault(kind=kind, site=site),)) if site is not None else Plan()
    live = run(setup, plan)
    assert not live.blocked, live.blocked
    assert len(live.run.fired) == len(plan)
    broken = {v.invariant for v in check(live.run.history(setup, plan)).violations}
    assert broken == {v.invariant for v in check(simulate(simulated, plan).history(simulated, plan)).violations}
    told = {kind: [row[9][0] for row in live.run.rows if row[1] == kind] for kind in (PUBLISH, RECEIVE)}
    return told[PUBLISH], told[RECEIVE], broken


BOTH = ["first", "second"]


@pytest.mark.parametrize(
    ("name", "kind", "published", "received"),
    [
        ("Free", "", BOTH, BOTH),
        ("Free", "message-overtaken", BOTH, ["second", "first"]),
        ("Free", "crash-before-publish", BOTH, BOTH),
        ("Lossy", "", BOTH, BOTH),
        ("Ordered", "", BOTH, ["first", "first", "second"]),
    ],
)
def test_messages_come_in_the_order_that_was_declared_or_struck(
    name: str, kind: str, published: list[str], received: list[str]
) -> None:
    assert carried(name, kind) == (published, received, set())


def test_where_no_order_is_declared_a_message_that_fails_is_passed_by_the_next() -> None:
    tries = (carried("FailsOnce")[1] for _ in range(5))  # on a busy machine the next one may be slower
    assert ["first", "second", "first"] in tries


def test_what_was_published_before_a_crash_comes_and_so_does_what_is_published_again() -> None:
    published, received, broken = carried("Free", "crash-after-publish")
    assert (published, sorted(received), broken) == (["first", *BOTH], sorted(["first", *BOTH]), set())


def test_a_message_that_may_be_lost_is_lost_and_who_waits_for_it_does_so_for_ever() -> None:
    published, received, broken = carried("Lossy", "message-lost")
    assert (published, received) == (BOTH, ["second"])
    assert "I41" in broken
    setup = Setup(adapter=hosted(load(f"{MAIL}:Ordered"), "Ordered"), scenario=load(f"{MAIL}:Ordered").scenarios[0])
    plan = Plan(faults=(Fault(kind="message-lost", site=Site("saga-1", "first", "M", "publish", 1)),))
    assert run(setup, plan).run.fired == (), "what may not be lost is not"


APPROVAL = EXAMPLE.parents[1] / "approval" / "approval_adapter.py"


@pytest.mark.parametrize(
    ("name", "kind", "topic", "came", "broken"),
    [
        ("PurchaseRight", "", "approved", ["approved", "time is up"], set()),
        ("PurchaseRight", "message-overtaken", "approved", ["time is up", "approved"], set()),
        ("PurchaseRight", "message-twice", "time is up", ["approved", "time is up", "time is up"], set()),
        ("Purchase", "message-overtaken", "approved", ["time is up", "approved"], {"I15"}),
    ],
)
def test_what_takes_an_hour_comes_before_what_takes_a_day(
    name: str, kind: str, topic: str, came: list[str], broken: set[str]
) -> None:
    adapter = hosted(load(f"{APPROVAL}:{name}"), name)
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    plan = Plan(faults=(Fault(kind=kind, site=Site("saga-1", topic, "M", "publish", 1)),)) if kind else Plan()
    live = run(setup, plan)
    assert not live.blocked, live.blocked
    assert len(live.run.fired) == len(plan)
    received = [(row[9][0], row[0]) for row in live.run.rows if row[1] == RECEIVE]
    assert [topic for topic, _ in received] == came
    assert received[-1][1] < 60_000_000, "and a day takes no minute"
    assert {v.invariant for v in check(live.run.history(setup, plan)).violations} == broken
