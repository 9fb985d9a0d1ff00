"""Choreography in the simulator: right as it is, and caught without its outbox or without its inbox."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sagafuzz import (
    Adapter,
    LocalTransaction,
    Outcome,
    Rejected,
    Report,
    Request,
    Saga,
    Step,
    UsageError,
    adapter,
)
from sagafuzz.adapters.choreography import FLOW, Choreography, ChoreographyParticipant
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.invariants import check
from sagafuzz.loading import as_adapter
from sagafuzz.reference_saga.choreography import Event, Flow, Reaction
from sagafuzz.simulator import Setup, resting
from sagafuzz.simulator.repeating import Place, position

THE_CHOREOGRAPHY = as_adapter(Choreography)


def searched(system: Adapter, *kinds: str) -> Report:
    with quiet():
        return Campaign(system, Settings(max_faults=1, examples=0, kinds=kinds)).run()


def invariants(report: Report) -> set[str]:
    return {finding.violation.invariant for finding in report.findings}


def twin(service: type[ChoreographyParticipant], gateway: type[Choreography] = Choreography) -> Adapter:
    """The choreography with other code around its participants, and another gateway."""
    return as_adapter(
        adapter(
            saga=FLOW.saga,
            scenarios=THE_CHOREOGRAPHY.scenarios,
            around=dict.fromkeys(FLOW.services, service),
        )(type(service.__name__, (gateway,), {}))
    )


class HasNoOutbox(ChoreographyParticipant):
    """Wrong: what follows it says in its answer, and only the first time."""

    def handle(self, request: Request, tx: LocalTransaction) -> list[str]:
        self.follows: list[Event] = []
        super().handle(request, tx)
        return [event.type for event in self.follows]

    def inbox(self, tx: LocalTransaction) -> Any:
        memory: Any = super().inbox(tx)
        memory.publish = self.follows.append
        return memory


class PublishesAfterCommit(Choreography):
    """Publishes what it is answered."""

    def hand_over(self, event: Event, reaction: Reaction) -> None:
        call = self.world.call
        try:
            told = call(reaction.operation, saga=event.saga, key=event.id, event=event.type, **event.data)
        except Rejected:
            told = [reaction.refused]
        for topic in told:
            self.world.publish(topic, saga=event.saga, **event.data)


class HasNoInbox(ChoreographyParticipant):
    """Wrong: it does not know an event that it has handled."""

    def inbox(self, tx: LocalTransaction) -> Any:
        memory = super().inbox(tx)
        memory.handled = {}
        return memory


def test_one_fault_breaks_nothing() -> None:
    report = searched(THE_CHOREOGRAPHY)
    assert report.verdict == "consistent", report.findings
    assert {scenario.name for scenario in THE_CHOREOGRAPHY.scenarios} >= {"two-on-one-item", "no-carrier"}


def test_an_event_that_is_published_after_the_commit_can_be_lost() -> None:
    found = invariants(searched(twin(HasNoOutbox, PublishesAfterCommit), "crash-after-effect"))
    assert found >= {"I2"}


@pytest.mark.parametrize(
    "kind", ["duplicate", "message-twice", "lost-message-ack", "message-again-at-end", "crash-before-message-ack"]
)
def test_without_an_inbox_a_second_delivery_takes_effect_again(kind: str) -> None:
    system = twin(HasNoInbox)
    assert any(
        violation.invariant == "I1"
        for scenario in reversed(system.scenarios)  # in the first ones what comes twice goes round for ever
        for setup in [Setup(adapter=system, scenario=scenario)]
        for case in Enumerator(setup, 1, only={kind}).cases()
        for violation in check(case.run.history(setup, case.plan)).violations
    )


def test_what_goes_round_and_leaves_an_event_each_time_is_seldom_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never where it was: to tell where it is at each of three thousand timers took most of the time."""
    told: list[Place | None] = []
    monkeypatch.setattr(resting, "position", lambda sim, **how: told.append(position(sim, **how)) or told[-1])
    setup = Setup(adapter=twin(HasNoInbox), scenario=THE_CHOREOGRAPHY.scenario("succeeds"))
    cases = Enumerator(setup, 1, only={"crash-before-message-ack"}).cases()
    case = next(case for case in cases if case.run.rows[-1][9] == ("livelock",))
    assert len(case.run.rows) > 6_000
    assert len(told) < 400


SAGA = Saga("trip", [Step("hotel", "hotel.book", undo="hotel.cancel"), Step("car", "car.book", undo="car.cancel")])
REACTIONS = (
    Reaction("asked", "hotel.book", "booked", refused="over"),
    Reaction("booked", "car.book", "over", refused="no-car"),
    Reaction("no-car", "hotel.cancel", "over"),
)


def flow(*reactions: Reaction) -> Flow:
    return Flow(SAGA, "asked", reactions, {"over": Outcome.COMPLETED})


def test_a_flow_knows_who_reacts_to_what() -> None:
    trip = flow(*REACTIONS)
    assert trip.services == ("hotel", "car")
    assert trip.reaction("booked", "car") == REACTIONS[1]
    assert trip.reaction("booked", "hotel") is None
    cause = Event(type="booked", saga="s", data={"n": 1})
    assert REACTIONS[1].told(cause, refused=True) == Event(type="no-car", saga="s", data={"n": 1})


@pytest.mark.parametrize(
    ("reactions", "said"),
    [
        (REACTIONS[:2], "nobody reacts to 'no-car'"),
        ((*REACTIONS, Reaction("over", "plane.book", "over")), "'plane.book' is of no step"),
        ((replace(REACTIONS[0], refused=""), *REACTIONS[1:]), "'hotel.book' can be refused"),
        ((*REACTIONS, Reaction("no-car", "hotel.cancel", "over")), "'hotel' reacts twice to 'no-car'"),
    ],
)
def test_a_flow_with_a_hole_is_refused(reactions: tuple[Reaction, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        flow(*reactions)
