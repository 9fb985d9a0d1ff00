"""Trips with a leg that may be left out, and with one of several ways to get there."""

from __future__ import annotations

from typing import Any, Final

from ...ports import CallTimeout, Rejected, Unavailable
from ...saga import OneOf, Optional, Saga, Step
from ...scenario import Scenario
from .host import MutableOrchestrator
from .parts import Mutant, system

TRIP: Final = Saga(
    "trip",
    [
        Step("hotel", "hotel.book", undo="hotel.cancel"),
        Optional("extras", [Step("car", "cars.rent", undo="cars.return")]),
        OneOf(
            "journey",
            [Step("train", "rail.book", undo="rail.cancel"), Step("flight", "air.book", undo="air.cancel")],
        ),
        Step("payment", "payment.charge", undo="payment.refund"),
    ],
)

GOES: Final = Scenario(name="goes")
NO_CAR: Final = Scenario(name="no-car", rejections=((1, "cars.rent"),))
NO_TRAIN: Final = Scenario(name="no-train", rejections=((1, "rail.book"),))
UNPAID: Final = Scenario(name="unpaid", rejections=((1, "payment.charge"),))


class Trips(MutableOrchestrator):
    """Right; goes without a car where there is none, and by air where there is no train, and takes back what it does
    not know before it goes on without it."""

    def _forward(self, state: Any) -> bool:
        for names in (("hotel",), ("car",), ("train", "flight"), ("payment",)):
            if self._cancelled(state) or not self._book(state, names):
                return False
        return True

    def _book(self, state: Any, names: tuple[str, ...]) -> bool:
        """One of the steps, or none where the trip can do without; False where it cannot go on."""
        if any(name in state.done for name in names):
            return True
        for name in names:
            if name in state.undone or name in state.stuck:
                continue
            if f"without {name}" not in state.done and self._try(state, name):
                return True
            if name in self._saga.grouped and not self._leave_out(state, name):
                return False
        return names == ("car",)

    def _try(self, state: Any, name: str) -> bool:
        if name not in state.begun:
            state.begun.append(name)
            self._save(state, "intent", name)
        try:
            state.done[name] = self._request(state, self._saga.by_name[name])
        except Rejected:
            state.refused = name if name not in self._saga.grouped else ""
            return False
        except (CallTimeout, Unavailable):
            return False
        self._save(state, "outcome", name)
        return True

    def _leave_out(self, state: Any, name: str) -> bool:
        """Undo a step that may have been done; False where a person has to. It is decided for good first: who takes the
        saga up meanwhile must not do the step after all."""
        step = self._saga.by_name[name]
        assert step.undo is not None
        state.done[f"without {name}"] = True
        self._save(state, "leaving out", name)
        if not self._undo(state, step, step.undo):
            return False
        state.undone.append(name)
        self._save(state, "left out", name)
        return True


class NoCarNoTrip(Trips):
    """Ends the trip when there is no car, and leaves what was booked: the car was thought to be the last thing."""

    def _book(self, state: Any, names: tuple[str, ...]) -> bool:
        if super()._book(state, names) and (names != ("car",) or "car" in state.done):
            return True
        if names == ("car",):
            state.begun = []
        return False


class BooksBoth(Trips):
    """Takes the other way when the first gave no answer, and leaves the first as it may be."""

    def _leave_out(self, state: Any, name: str) -> bool:
        if name != "train":
            return super()._leave_out(state, name)
        state.undone.append(name)
        self._save(state, "left out", name)
        return True


class KeepsBoth(Trips):
    """Books both ways at once, to be quick, and goes with the first that answers: the other stays booked."""

    def _book(self, state: Any, names: tuple[str, ...]) -> bool:
        booked = [self._try(state, name) for name in names if name not in (*state.done, *state.undone)]
        return any(booked) or any(name in state.done for name in names) or super()._book(state, names)


class CarForgotten(Trips):
    """Goes on without a car that gave no answer; one that was rented all the same stays."""

    def _leave_out(self, state: Any, name: str) -> bool:
        if name == "car":
            state.undone.append(name)
            self._save(state, "left out", name)
            return True
        return super()._leave_out(state, name)


_GOES: Final = system(Trips, saga=TRIP, scenario=GOES)

MUTANTS: Final = (
    Mutant(
        name="optional-leg-ends-trip",
        adapter=system(NoCarNoTrip, saga=TRIP, scenario=NO_CAR),
        twin=system(Trips, saga=TRIP, scenario=NO_CAR),
        invariants=("I5",),
        faults=0,
        schedule="no fault",
        source="testkube#5922",
    ),
    Mutant(
        name="alternative-booked-twice",
        adapter=system(KeepsBoth, saga=TRIP, scenario=GOES),
        twin=_GOES,
        invariants=("I2",),
        faults=0,
        schedule="no fault",
        source="openclaw#113751",
    ),
    Mutant(
        name="other-way-after-timeout",
        adapter=system(BooksBoth, saga=TRIP, scenario=GOES),
        twin=_GOES,
        invariants=("I6",),
        faults=1,
        schedule="partition at saga-1: train forward, send",
        source="elixir-vibe/llm_proxy#4",
    ),
    Mutant(
        name="optional-leg-forgotten",
        adapter=system(CarForgotten, saga=TRIP, scenario=GOES),
        twin=_GOES,
        invariants=("I6",),
        faults=1,
        schedule="partition at saga-1: car forward, send",
        source="keephq/keep#6553",
    ),
)
