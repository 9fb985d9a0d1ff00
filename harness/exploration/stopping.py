"""Why a campaign ends before its last plan: each reason by its name, with its sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

from ..simulator.patches import Watch
from .drawn import Drawn

MAX_SPINS: Final = 3
"""A campaign ends after so many runs that the watchdog had to end: each takes seconds."""


class Ends(Enum):
    """What a reason brings to its end."""

    CAMPAIGN = "nothing more is run"
    SEARCH = "what was found is made small all the same"
    PLANS = "what is left of the plans is not run; what was found is made small all the same"
    PAIRS = "what is left of the plans with more than one fault is not run; all else is"
    RANDOM_PLANS = "that is how they end: the campaign is whole"


class Why(Enum):
    """Each reason: what it ends, and its sentence."""

    INTERRUPTED = Ends.CAMPAIGN, "the campaign was interrupted"
    SPINS = Ends.CAMPAIGN, "{spins} runs of code that touches no port had to be ended; the rest was not run"
    LIVELOCKS = Ends.CAMPAIGN, "{examples} examples of the state machine ran for ever; the rest was not run"
    NOT_DETERMINISTIC = Ends.CAMPAIGN, "the adapter is not deterministic: {detail}"
    BLOCKED = Ends.CAMPAIGN, "blocked: {detail}"
    TOO_LATE = Ends.SEARCH, "its {seconds:g} s were over before every plan with at most {faults} faults was run"
    SINGLES_CUT = Ends.SEARCH, "{detail} before every plan with at most one fault was run; give it more"
    OUT_OF_TIME = Ends.PLANS, "its {seconds:g} s were over"
    PAIRS_AS_ASKED = Ends.PAIRS, "about {pairs:,} plans with two faults were asked for"
    SHARDS_CUT_SHORT = Ends.SEARCH, "{detail}"
    TIME_OVER = Ends.RANDOM_PLANS, "its {seconds:g} s were over"
    AS_ASKED = Ends.RANDOM_PLANS, "{plans:,} random plans were run, as asked"
    SHARE_AS_ASKED = Ends.RANDOM_PLANS, "its share of {plans:,} random plans was run, as asked"
    NOTHING_NEW = Ends.RANDOM_PLANS, "a plateau: the last {plans:,} random plans showed no new class of histories"
    HARDLY_NEW = (
        Ends.RANDOM_PLANS,
        "a plateau: the next random plan shows something new with a chance below {chance:.0%}",
    )
    SHARDS_ENDED = Ends.RANDOM_PLANS, "{detail}"

    def stop(self, **values: Any) -> Stop:
        """This reason, with the values that its sentence takes."""
        ends, sentence = self.value
        return Stop(why=self, ends=ends, sentence=sentence.format(**values), detail=str(values.get("detail", "")))


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A reason for which something ended; ``detail`` is what was seen, where the reason tells it."""

    why: Why
    ends: Ends
    sentence: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a shard ended: ``why``, and after how many random plans of the campaign, where that was ``asked`` for."""

    asked: int | None
    why: str


Over = Callable[[], Stop | None]
"""Asked before each plan: why to run no more, None to go on."""


def never() -> bool:
    return False


def over_by(stopped: Callable[[], bool], watch: Watch) -> Over:
    """To end early where it is asked for, or where too much time goes by in runs that spin."""

    def over() -> Stop | None:
        if watch.ended >= MAX_SPINS:
            return Why.SPINS.stop(spins=watch.ended)
        return Why.INTERRUPTED.stop() if stopped() else None

    return over


class Limits(Protocol):
    """When a search ends before its last plan, beside what ends every campaign."""

    @property
    def asked(self) -> int:
        """How many random plans it is to run."""

    @property
    def spread(self) -> bool:
        """True if it may end anywhere among the plans with more than one fault: then they are run such that those of
        each site and kind are covered evenly."""

    @property
    def pairs(self) -> int | None:
        """About how many plans with two faults it is to run, those of each site and kind evenly; None for all."""

    def before_plan(self, *, drawn: bool) -> Stop | None:
        """Why not to run the next plan, a random one where it is ``drawn``."""

    def before_deeper(self) -> Stop | None:
        """Why not to begin the next part of plans with more than one fault."""

    def before_part(self, drawn: Drawn, place: int) -> Stop | None:
        """Why not to begin the next part of random plans, which begins after ``place`` of them, searched here or
        not."""

    def after_parts(self, stop: Stop | None) -> Stop | None:
        """Why the random plans ended, where ``stop`` is what ended their last part."""

    def ending(self, stop: Stop | None) -> Ending | None:
        """How a shard came to its end; None for one that did not, and for what is no shard."""


@dataclass(frozen=True)
class AsPlanned:
    """To the last plan, but of those with two faults no more than ``pairs``; there are ``asked`` random ones."""

    asked: int
    pairs: int | None = None

    @property
    def spread(self) -> bool:
        return self.pairs is not None

    def before_plan(self, *, drawn: bool) -> Stop | None:
        return None

    def before_deeper(self) -> Stop | None:
        return None

    def before_part(self, drawn: Drawn, place: int) -> Stop | None:
        return None

    def after_parts(self, stop: Stop | None) -> Stop | None:
        return stop

    def ending(self, stop: Stop | None) -> Ending | None:
        return None
