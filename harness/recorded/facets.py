"""The facets that a record can show of a saga, and how each is written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple


class Facet(NamedTuple):
    """One thing that a record shows or does not: in words, and what shows it in spans and in CSV ("" for nothing)."""

    words: str
    span: str
    column: str


REQUESTS: Final = "requests"
ANSWERS: Final = "answers"
KEYS: Final = "keys"
EFFECTS: Final = "effects"
EVERY_EFFECT: Final = "every effect"
ENDS: Final = "ends"
AMOUNTS: Final = "amounts"
LOG: Final = "log"
WHOLE: Final = "whole"

FACETS: Final[Mapping[str, Facet]] = {
    REQUESTS: Facet("which requests were sent", "spans of kind CLIENT with saga.step", ""),
    ANSWERS: Facet("how each request was answered", "saga.result on the spans of requests", ""),
    KEYS: Facet("under which key", "saga.key", "key"),
    EFFECTS: Facet("what took effect", "saga.effect", "a ledger's rows"),
    EVERY_EFFECT: Facet(
        "what took effect of every step",
        "saga.effect on each span that handled a request, and spans of every step",
        "a ledger's rows of every step",
    ),
    ENDS: Facet("how each saga ended", "saga.outcome", "rows of a log whose event is completed or compensated"),
    AMOUNTS: Facet("how much", "saga.amount", "amount"),
    LOG: Facet("the durable writes of the orchestrator", "", "rows of a log, beside spans of requests"),
    WHOLE: Facet("all that a run does, its processes, locks, messages and people as well", "", ""),
}
"""By name. What only a whole run shows is in the histories that sagafuzz writes itself."""

ALL: Final = frozenset(FACETS)

_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "I1": (EFFECTS,),
    "I2": (EVERY_EFFECT, ENDS),
    "I3": (EVERY_EFFECT, ENDS),
    "I4": (REQUESTS, ANSWERS, EFFECTS),
    "I5": (REQUESTS, ANSWERS, EVERY_EFFECT, ENDS),
    "I6": (REQUESTS, ANSWERS),
    "I7": (REQUESTS, ANSWERS, EFFECTS),
    "I8": (REQUESTS, ANSWERS, EFFECTS),
    "I9": (KEYS, EFFECTS),
    "I10": (REQUESTS, ANSWERS, EVERY_EFFECT, ENDS),
    "I11": (REQUESTS, ANSWERS, EFFECTS, ENDS),
    "I12": (LOG, REQUESTS),
    "I15": (EFFECTS, ENDS),
    "I16": (EVERY_EFFECT, ENDS),
    "I17": (AMOUNTS, EFFECTS),
    "I19": (AMOUNTS, REQUESTS, EFFECTS),
    "I20": (REQUESTS,),
    "I21": (ENDS,),
    "I23": (EVERY_EFFECT, ENDS),
}
"""By invariant: what a record has to show for it; one that is not named needs a whole run."""


def needs(invariant: str) -> tuple[str, ...]:
    """The facets without which nothing is said of an invariant."""
    return _NEEDS.get(invariant, (WHOLE,))


def judged_by(invariants: Collection[str], shown: Collection[str]) -> list[str]:
    """Those of ``invariants`` that can be judged where a record shows so much."""
    return [id for id in invariants if all(facet in shown for facet in needs(id))]


def missing(invariants: Collection[str], shown: Collection[str]) -> Iterator[str]:
    """A line for each facet that the record does not show, with the invariants that it leaves unexercised."""
    lacking: dict[str, list[str]] = {}
    for id in invariants:
        for name in needs(id):
            if name not in shown:
                lacking.setdefault(name, []).append(id)
    for lacked, ids in lacking.items():
        facet = FACETS[lacked]
        ways = [way for way in (facet.span, f"{facet.column} (CSV)" if facet.column else "") if way]
        how = f"; it takes {', or '.join(ways)}" if ways else "; only a history that sagafuzz wrote shows it"
        yield f"{', '.join(ids)}: the record does not show {facet.words}{how}"
