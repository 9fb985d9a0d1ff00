"""A campaign cut into shards, which know nothing of one another: each searches every n-th part of it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol

from ..errors import UsageError
from .part_search import DRAWN_TOGETHER


class Share(Protocol):
    """Which parts of a campaign are searched. ``parts_only`` says that nothing is made of them here: no finding is
    made small, no example of the state machine run."""

    @property
    def parts_only(self) -> bool: ...

    def leave(self, part: str) -> str | None:
        """Why that part is left, "" where that is not worth a word; None for one that is searched."""


@dataclass(frozen=True)
class Whole:
    """All of it."""

    parts_only: bool = False

    def leave(self, part: str) -> str | None:
        return None


ALL: Final = Whole()


@dataclass(frozen=True)
class Shard:
    """Shard ``number``, from 1, of ``of``."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def parts_only(self) -> bool:
        return True

    def leave(self, part: str) -> str | None:
        """Part 0 of a scenario is for each: the others extend it."""
        if is_root(part):
            return None
        return None if owner_of(part, self.of) == self.number else f"this is shard {self} only"


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What the shards with the numbers ``present``, of ``of``, have searched; none of it is searched here."""

    of: int
    present: Collection[int]
    parts_only: bool = False

    def leave(self, part: str) -> str | None:
        number = min(self.present) if is_root(part) else owner_of(part, self.of)
        why = "does not hold them: it was cut short" if number in self.present else "is missing"
        return f"shard {number}/{self.of} {why}"


@dataclass(frozen=True)
class OnlyDrawnSoFar:
    """A share of a campaign without an end, of whose random plans there are those that were drawn by now."""

    share: Share

    @property
    def parts_only(self) -> bool:
        return self.share.parts_only

    def leave(self, part: str) -> str | None:
        return "" if is_drawn(part) else self.share.leave(part)


def is_drawn(part: str) -> bool:
    """True if it is a part of random plans."""
    return part.startswith("drawn/")


def is_root(part: str) -> bool:
    """True if it is part 0 of a scenario, which the others of its enumeration extend."""
    return part.endswith("/0") and not is_drawn(part)


def owner_of(part: str, shards: int) -> int:
    """Which of so many shards searches that part."""
    *drawn, index, number = part.split("/")
    turn = int(number) // DRAWN_TOGETHER if drawn else int(number) - 1
    return (int(index) + turn) % shards + 1


def parse(text: str) -> Shard:
    """From ``2/3``. Raises UsageError."""
    found = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    if found and 1 <= int(found[1]) <= int(found[2]):
        return Shard(int(found[1]), int(found[2]))
    raise UsageError(f"--shard: {text!r} is no share; write I/N with I from 1 to N, such as 2/3")
