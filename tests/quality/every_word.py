"""A system for each word by which sagas and their surroundings are told: one that is wrong about it, and one that is
right; and what a reader is to be shown of the wrong one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sagafuzz import Adapter
from sagafuzz.adapters.zoo import ZOO
from sagafuzz.loading import load

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True, kw_only=True)
class Word:
    """``spec`` names the wrong system, ``twin`` the right one ("" for the zoo's); ``shows`` is a part of what a diagram
    of its finding says, ``faults`` how many that takes. Not ``live``: only the simulator can bring it out."""

    spec: str
    shows: str
    twin: str = ""
    faults: int = 1
    live: bool = True
    envelope: tuple[str, ...] = ()

    @property
    def wrong(self) -> Adapter:
        """The system that is wrong."""
        return replace(load(self.spec), envelope=self.envelope)

    @property
    def right(self) -> Adapter:
        """The one that is right."""
        found = load(self.twin) if self.twin else ZOO[self.spec.removeprefix("zoo:")].twin
        return replace(found, envelope=self.envelope)


def _example(name: str) -> str:
    return str(EXAMPLES / name)


WORDS: Final = {
    "many": Word(spec="zoo:earlier-lines-stay", shows="reserve[line-1]", faults=0),
    "needs any": Word(spec="zoo:cancelled-line-shipped", shows="line-", faults=0),
    "amount": Word(spec="zoo:rounds-each-part", shows="applied again -16", faults=0),
    "consumes": Word(spec="zoo:void-forgotten", shows="authorise", faults=0),
    "optional": Word(spec="zoo:optional-leg-ends-trip", shows="rent", faults=0),
    "one of": Word(spec="zoo:alternative-booked-twice", shows="flight", faults=0),
    "child": Word(spec="zoo:child-left-standing", shows="saga-1.ship pack", faults=0),
    "sagas, of": Word(
        spec=_example("several_sagas/desk_adapter.py:Mixed"),
        twin=_example("several_sagas/desk_adapter.py:Shop"),
        shows="saga-2 charge",
    ),
    "actors": Word(spec="zoo:refund-each-click", shows="operator"),
    "resubmits": Word(spec="zoo:order-each-click", shows="asks again"),
    "receive": Word(spec="zoo:approval-after-timeout", shows="receives order.approved"),
    "emits": Word(spec="zoo:reply-before-save", shows="publishes"),
    "timers": Word(spec="zoo:timer-after-the-end", shows="due in", faults=0),
    "topics": Word(spec="zoo:dead-letter-replay", shows="an operator replays order.created from the dead-letter queue"),
    "participants": Word(
        spec=_example("own_participant/payments_adapter.py:Booking"),
        twin=_example("own_participant/payments_adapter.py:BookingRight"),
        shows="charge",
    ),
    "balances, work put off": Word(
        spec=_example("own_rules/bank_adapter.py:CapturesFromMemory"),
        twin=_example("own_rules/bank_adapter.py:Captures"),
        shows="restarts",
    ),
    "invariants": Word(
        spec=_example("own_rules/stock_adapter.py:PaysFirst"),
        twin=_example("own_rules/stock_adapter.py:HoldsFirst"),
        shows="charge",
        faults=0,
    ),
    "wrong_answers": Word(spec="zoo:believes-success", shows="hollow-success"),
    "envelope": Word(spec="seed", twin="reference", shows="charge", envelope=("attempt",)),
}
