"""Every invariant's histories, by id: GOOD, BAD, and IDLE, which do not exercise it.

The examples fill the tables, the tests go through them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sagafuzz import Saga

from .language import CHECKOUT


@dataclass(frozen=True, kw_only=True)
class Example:
    """A history and what it shows, in one sentence."""

    id: str
    says: str
    text: str
    definition: Saga = field(default=CHECKOUT, repr=False)

    def __str__(self) -> str:
        return f"{self.id}: {self.says}"


@dataclass(frozen=True, kw_only=True)
class Bad(Example):
    """A history that breaks the invariant once. ``names`` must stand in the violation's sentence; the
    marked event of the text is its position. Where it follows from another invariant's violation,
    ``follows`` is the id of that one."""

    anomaly: str
    names: str
    saga: str = "saga-1"
    step: str = ""
    direction: str = ""
    follows: str = ""


GOOD: dict[str, list[Example]] = {}
BAD: dict[str, list[Bad]] = {}
IDLE: dict[str, list[Example]] = {}


def good(id: str, says: str, text: str, definition: Saga = CHECKOUT) -> None:
    GOOD.setdefault(id, []).append(Example(id=id, says=says, text=text, definition=definition))


def idle(id: str, says: str, text: str, definition: Saga = CHECKOUT) -> None:
    IDLE.setdefault(id, []).append(Example(id=id, says=says, text=text, definition=definition))


def bad(
    id: str,
    anomaly: str,
    says: str,
    text: str,
    *,
    names: str,
    saga: str = "saga-1",
    at: str = "",
    follows: str = "",
    definition: Saga = CHECKOUT,
) -> None:
    """``at`` is where the violation lies, as "payment F"; empty where it is of no step."""
    step, _, direction = at.partition(" ")
    example = Bad(
        id=id,
        says=says,
        text=text,
        definition=definition,
        anomaly=anomaly,
        names=names,
        saga=saga,
        step=step,
        direction=direction,
        follows=follows,
    )
    BAD.setdefault(id, []).append(example)


def every(*tables: dict[str, list[Example]] | dict[str, list[Bad]]) -> list[Example]:
    return [example for table in tables for examples in table.values() for example in examples]
