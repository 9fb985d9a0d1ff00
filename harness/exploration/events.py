"""What happens in a campaign, one value each, in the order in which it happens.

The stages of a campaign yield them. Statistics, the report, the store and the display of progress listen; none of
these asks a stage for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple, TypeAlias

from ..simulator import Setup
from ..verdict import Finding, RandomResult, Signature, Verdict
from .cases import Case
from .part_search import PartSearch
from .parts import Record
from .stopping import Ending, Stop


class Stage(Enum):
    """The stages, in their order."""

    EVERY_PLAN = "every plan"
    RANDOM_PLANS = "random plans"
    SHRINKING = "shrinking"
    REPEATING = "repeating findings"
    STATE_MACHINE = "state machine"


class StageBegan(NamedTuple):
    """``words`` are for people; ``expected`` is how many there are to do, 0 where that is not known."""

    stage: Stage
    words: str
    expected: int = 0


class StageEnded(NamedTuple):
    """``stop`` is why it ended before there was nothing left to do, None where that was not so."""

    stage: Stage
    stop: Stop | None = None


class ScenarioBegan(NamedTuple):
    """The plans from here on are of ``setup``."""

    setup: Setup


class CaseJudged(NamedTuple):
    """A plan was run and judged. ``new`` says that its history was not seen before, ``drawn`` that it is a random
    plan."""

    setup: Setup
    case: Case
    verdict: Verdict
    new: bool
    drawn: bool = False


class PlansSpared(NamedTuple):
    """How many plans of the scenario each reduction spared, beside those told before."""

    counts: Mapping[str, int]


class SinglesCounted(NamedTuple):
    """How many feasible plans with one fault the scenario has, and how many with two extend those that were run."""

    plans: int
    pairs: int = 0


class PairsRun(NamedTuple):
    """So many plans with two faults were run to the end, with all that extend them."""

    plans: int


class Advised(NamedTuple):
    """What `sagafuzz doctor` would say of the scenario, a sentence each."""

    sentences: tuple[str, ...]


class RunEnded(NamedTuple):
    """A run of real processes was made and judged: the name of its record, and its text."""

    name: str
    text: str


class PartFinished(NamedTuple):
    """A part was searched to its end; ``kept`` says that it was known."""

    name: str
    record: Record
    kept: bool


class RootsKnown(NamedTuple):
    """Part 0 of the scenario of that number is there, and ``search`` goes on from it."""

    scenario: int
    search: PartSearch


class PartLeft(NamedTuple):
    """A part is not searched here; ``why`` is "" where that is not worth a word."""

    name: str
    why: str


class FindingShrunk(NamedTuple):
    """A violation that was seen is told as a finding: small where ``whole``, as it was first seen otherwise.
    ``name`` is that of its record, ``kept`` says that it was known."""

    signature: Signature
    finding: Finding
    name: str = ""
    kept: bool = False
    whole: bool = True


class NeverAgain(NamedTuple):
    """A violation that was seen did not come again when its schedule was repeated: it is no finding, and the verdict is
    open. ``why`` says so."""

    signature: Signature
    why: str


class ProgramShrunk(NamedTuple):
    """The state machine found a violation."""

    finding: Finding


class ExamplesRun(NamedTuple):
    """What is known of the examples of the state machine by now."""

    result: RandomResult


class ExamplesFinished(NamedTuple):
    """All examples were run: what came of them."""

    result: RandomResult
    findings: tuple[Finding, ...]


class ShareEnded(NamedTuple):
    """The random plans of a shard came to their end."""

    ending: Ending


Event: TypeAlias = (
    StageBegan
    | StageEnded
    | ScenarioBegan
    | CaseJudged
    | PlansSpared
    | SinglesCounted
    | PairsRun
    | Advised
    | RunEnded
    | PartFinished
    | RootsKnown
    | PartLeft
    | FindingShrunk
    | NeverAgain
    | ProgramShrunk
    | ExamplesRun
    | ExamplesFinished
    | ShareEnded
)

Listener: TypeAlias = Callable[[Event], None]
