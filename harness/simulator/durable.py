"""What is on disk: it outlives every process of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .incarnation import Incarnation


class Kept(NamedTuple):
    """What was on disk at some moment: the fields of `Durable` of the same names."""

    texts: dict[str, str]
    before: list[tuple[str, str | None]]
    occurrences: dict[tuple[str, str], int]
    behind: set[str]


class Durable:
    """The bytes on disk: JSON texts by key, and how often each kind of record was written. ``behind`` are the labels of
    the processes that read from a replica which lagged."""

    __slots__ = ("before", "behind", "files", "occurrences", "stale", "texts")

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        self.before: list[tuple[str, str | None]] = []  # what the last write replaced, in order
        self.stale: tuple[Incarnation, dict[str, str], Callable[[], bool]] | None = None
        self.occurrences: dict[tuple[str, str], int] = {}
        self.behind: set[str] = set()

    def snapshot(self) -> Kept:
        """What it holds, but for files and a replica that lags."""
        return Kept(
            texts=self.texts.copy(), before=self.before, occurrences=self.occurrences.copy(), behind=self.behind.copy()
        )

    def restore(self, kept: Kept) -> None:
        """Go on from what another one held."""
        self.texts.update(kept.texts)
        self.before = kept.before
        self.occurrences.update(kept.occurrences)
        self.behind.update(kept.behind)

    @property
    def lags(self) -> bool:
        """True if some process reads what was there before the last write."""
        return self.stale is not None and self.stale[2]()

    def undo_last(self) -> None:
        """Take the last write back: the store had acknowledged it and not kept it."""
        for key, text in reversed(self.before):
            if text is None:
                self.texts.pop(key, None)
            else:
                self.texts[key] = text
        self.before = []

    def lag(self, process: Incarnation, lasts: Callable[[], bool]) -> None:
        """Let ``process`` read, as long as ``lasts()``, what was there before the last write."""
        behind = dict(self.texts)
        for key, text in reversed(self.before):
            if text is None:
                behind.pop(key, None)
            else:
                behind[key] = text
        self.stale = (process, behind, lasts)

    def view(self, process: Incarnation) -> dict[str, str]:
        """The texts as ``process`` reads them now."""
        if self.stale is None or self.stale[0] is not process or not self.stale[2]():
            return self.texts
        if self.stale[1] != self.texts:
            self.behind.add(process.label)
        return self.stale[1]
