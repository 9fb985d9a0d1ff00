"""The files of a record, line by line: which form each has, what cannot be read, and what all of them show."""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from ..definitions import united
from ..errors import UsageError, nearest
from ..saga import COMPENSATION, FORWARD, Saga, split
from .facets import AMOUNTS, ANSWERS, EFFECTS, ENDS, EVERY_EFFECT, KEYS, LOG, REQUESTS

STDIN: Final = "-"
TOLD: Final = 10
"""So many lines that cannot be read are told one by one."""


class Unreadable(Exception):
    """A line that is not of its form: what is wrong there, and what to write."""


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """The sagas that a record may tell of: the first one is that of orders that name none. ``hidden`` are the facets of
    which a record shows a part only, and why."""

    sagas: tuple[Saga, ...]
    hidden: tuple[tuple[str, str], ...] = ()

    def of(self, name: str) -> Saga:
        """The definition of that name. Raises Unreadable where there is none."""
        for saga in self.sagas:
            if name in ("", saga.name):
                return saga
        names = [saga.name for saga in self.sagas]
        raise Unreadable(f"there is no saga {name!r}{nearest(name, names)}; --saga has {', '.join(names)}")

    def payload(self, step: str, amount: float | None, seen: Seen) -> tuple[tuple[str, int | float], ...]:
        """The payload of a request for the step, as far as the record tells it: the amount, by the step's own name."""
        summed = self.known.by_name[split(step)[0]].amount
        if amount is None:
            if summed is not None:
                seen.amountless[split(step)[0]] += 1
            return ()
        seen.facets[AMOUNTS] += 1
        return ((summed or AMOUNT, amount),)

    @property
    def known(self) -> Saga:
        """All of them as one."""
        return united(self.sagas)

    def step(self, name: str) -> str:
        """A step's name, with its part in brackets. Raises Unreadable where no definition has it."""
        known = self.known.by_name
        if split(name)[0] not in known:
            raise Unreadable(f"there is no step {name!r}{nearest(name, known)}; the saga has {', '.join(known)}")
        return name

    def call(self, operation: str) -> tuple[str, str]:
        """The step and the direction of an operation. Raises Unreadable where it is of no step."""
        known = self.known.by_operation
        if operation not in known:
            raise Unreadable(f"no step has the operation {operation!r}{nearest(operation, known)}")
        step, direction = known[operation]
        return step.name, direction


AMOUNT: Final = "amount"
"""How a request's amount is called where its step has no name for it."""

DIRECTIONS: Final[Mapping[str, str]] = {
    "forward": FORWARD,
    "f": FORWARD,
    "": FORWARD,
    "compensation": COMPENSATION,
    "c": COMPENSATION,
}
"""How records say which way a request goes."""


def direction_of(text: str) -> str:
    """The direction that a record names. Raises Unreadable for another word."""
    found = DIRECTIONS.get(text.strip().lower())
    if found is None:
        raise Unreadable(f"there is no direction {text!r}; write forward or compensation")
    return found


@dataclass
class Seen:
    """The facets that the entries of a record show, counted as they are read: by the facet, and the steps whose effects
    are told each time, or not."""

    facets: Counter[str] = field(default_factory=Counter)
    told: set[str] = field(default_factory=set)
    untold: Counter[str] = field(default_factory=Counter)
    amountless: Counter[str] = field(default_factory=Counter)  # requests for steps whose effects add up

    def effect(self, step: str, *, told: bool) -> None:
        """A request for the step was handled, and it is ``told`` whether it took effect."""
        name = split(step)[0]
        if told:
            self.told.add(name)
            self.facets[EFFECTS] += 1
        else:
            self.untold[name] += 1

    def shown(self, definitions: Definitions) -> frozenset[str]:
        """The facets that the record shows."""
        found = {name for name in (REQUESTS, ANSWERS, KEYS, EFFECTS, ENDS, AMOUNTS, LOG) if self.facets[name]}
        if not any(True for _ in self._without_effect(definitions)):
            found.add(EVERY_EFFECT)
        if self.amountless:
            found -= {EFFECTS, EVERY_EFFECT}
        return frozenset(found - {facet for facet, _ in definitions.hidden})

    def gaps(self, definitions: Definitions) -> Iterator[str]:
        """Why the record shows less than it seems to, a sentence each."""
        if self.facets[EFFECTS]:
            yield from self._without_effect(definitions)
        for step, count in self.amountless.items():
            yield (
                f"{count:,} of the requests for {step}, whose effects add up, do not say how much: nothing is said of "
                f"effects"
            )
        yield from (f"{why}, which the record does not show" for _, why in definitions.hidden)

    def _without_effect(self, definitions: Definitions) -> Iterator[str]:
        for step in definitions.known.steps:
            if step.child is None and self.untold[step.name]:
                count = self.untold[step.name]
                yield f"{count:,} of the requests for {step.name} that were handled do not say whether they took effect"
            elif step.child is None and step.name not in self.told:
                yield f"nothing in the record is an effect of {step.name}"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The record to be read: its ``files`` ("-" is standard input), their ``form`` where it is not to be seen from
    them, and, for CSV, the ``columns`` of the file by what they are."""

    files: tuple[str, ...]
    form: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def opened(file: str) -> Iterator[TextIO]:
    """The file as text, unpacked where its name ends with .gz. Raises UsageError where it cannot be read."""
    if file == STDIN:
        yield sys.stdin
        return
    open_text = gzip.open if file.endswith(".gz") else open
    try:
        with open_text(file, "rt", encoding="utf-8") as text:
            yield text
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"check: cannot read {file!r}: {error}; name a file of a record") from None


def json_line(line: str) -> dict[str, Any]:
    """The object of a line. Raises Unreadable."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise Unreadable(f"it is not JSON ({error.msg}); each line holds one object") from None
    if not isinstance(found, dict):
        raise Unreadable(f"it is {type(found).__name__}, not an object")
    return found


OURS: Final = "ndjson"
SPANS: Final = "otlp"
ROWS: Final = "csv"
FORMS: Final = (OURS, SPANS, ROWS)


def form_of(file: str, first: str) -> str:
    """The form of a file, by its first line. Raises UsageError where it is of none."""
    if first.lstrip().startswith("{"):
        return OURS if '"sagafuzz_history"' in first else SPANS
    if "," in first or ";" in first or "\t" in first:
        return ROWS
    raise UsageError(
        f"check: {file!r} is no record: its first line is {first.strip()[:60]!r}; name a history of sagafuzz (NDJSON), "
        f"spans (OTLP as JSON) or CSV, or say --form"
    )


@dataclass
class Troubles:
    """The lines that could not be read: how many, and the first of them in words."""

    count: int = 0
    told: list[str] = field(default_factory=list)

    def add(self, file: str, number: int, what: str) -> None:
        self.count += 1
        if len(self.told) < TOLD:
            self.told.append(f"{file} line {number}: {what}")

    def reasons(self) -> Iterator[str]:
        """Why nothing is consistent that rests on the record; none where every line was read."""
        yield from self.told
        if (left := self.count - len(self.told)) > 0:
            yield f"{left:,} more lines could not be read"


def numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Each line that is not empty, with its number from 1."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, line
