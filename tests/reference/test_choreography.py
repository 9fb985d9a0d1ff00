"""Choreography in the simulator: right as it is, and caught without its outbox or without its inbox."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sagafuzz import Adapter, LocalTransaction, Outcome, Report, Saga, Step, UsageError, adapter
from sagafuzz.adapters.choreography import FLOW, Choreography, ChoreographyParticipant, questions
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import as_adapter
from sagafuzz.reference_saga.choreography import Event, Flow, Reaction

THE_CHOREOGRAPHY = as_adapter(Choreography)


def searched(system: Adapter, *kinds: str) -> Report:
    with quiet():
        return Campaign(system, Settings(max_faults=1, examples=0, kinds=kinds)).run()


def invariants(report: Report) -> set[str]:
    return {finding.violation.invariant for finding in report.findings}


def twin(service: type[ChoreographyParticipant]) -> Adapter:
    """The choreography with other code around its participants."""
    return as_adapter(
        adapter(
            saga=FLOW.saga,
            scenarios=THE_CHOREOGRAPHY.scenarios,
            around=dict.fromkeys(FLOW.services, service),
            operations=questions(FLOW.services),
        )(type(service.__name__, (Choreography,), {}))
    )


class PublishesAfterCommit(ChoreographyParticipant):
    """Wrong: what is to be published is remembered by the process only."""

    def __init__(self) -> None:
        self.unsent: list[dict[str, Any]] = []

    def inbox(self, tx: LocalTransaction) -> Any:
        memory = super().inbox(tx)
        memory.outbox = self.unsent
        return memory


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
    found = invariants(searched(twin(PublishesAfterCommit), "participant-restart"))
    assert found >= {"I2", "I5"}


def test_without_an_inbox_a_second_delivery_takes_effect_again() -> None:
    assert "I1" in invariants(searched(twin(HasNoInbox), "duplicate"))


def test_a_relay_that_dies_before_its_mark_delivers_twice() -> None:
    assert "I1" in invariants(searched(twin(HasNoInbox), "crash-after-effect"))
    assert searched(THE_CHOREOGRAPHY, "crash-after-effect").verdict == "consistent"


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
    assert sorted(["over", "no-car", "asked", "booked"], key=trip.place) == ["asked", "booked", "over", "no-car"]


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
