"""How far a campaign is, for people who wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from ..verdict import Signature
from .events import CaseJudged, Event, FindingShrunk, StageBegan

EVERY: Final = 50
"""After so many plans it is told how many there were."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a campaign is: ``done`` of ``expected`` (0: not known) in ``stage``; ``violations`` counts those that were
    seen, alike ones once, and is None where none are looked for. Of them the findings of the report are made: those
    that follow from others are joined with them."""

    stage: str
    done: int
    expected: int
    violations: int | None = None


_T = TypeVar("_T")


def counted(listen: Callable[[Progress], None], stage: str, things: Iterable[_T], expected: int) -> Iterator[_T]:
    """Each of the ``things``, and word to ``listen`` of how many came before it."""
    for done, thing in enumerate(things):
        listen(Progress(stage=stage, done=done, expected=expected))
        yield thing


class Teller:
    """Listens to a campaign, and tells ``listen`` now and then how far it is."""

    def __init__(self, listen: Callable[[Progress], None], every: int = EVERY) -> None:
        self._listen = listen
        self._every = every
        self._words, self._expected, self._done = "", 0, 0
        self._seen: set[Signature] = set()

    def __call__(self, event: Event) -> None:
        match event:
            case CaseJudged():
                self._seen.update(violation.signature for violation in event.verdict.violations)
                self._done += 1
                if self._done % self._every == 0:
                    self._tell()
            case FindingShrunk():
                self._done += 1
                self._tell()
            case StageBegan():
                self._words, self._expected, self._done = event.words, event.expected, 0
                self._tell()

    def _tell(self) -> None:
        self._listen(Progress(stage=self._words, done=self._done, expected=self._expected, violations=len(self._seen)))
