"""A campaign cut into shards, which know nothing of one another: each searches every n-th part of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import UsageError
from .part_search import DRAWN_TOGETHER


@dataclass(frozen=True)
class Shard:
    """Shard ``number``, from 1, of ``of``."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def leave(self, part: str) -> str:
        """Why it does not search that part, "" where it does. Part 0 of a scenario is for each:
        the others extend it."""
        *drawn, _, number = part.split("/")
        if not drawn and number == "0":
            return ""
        owner = owner_of(part, self.of)
        return "" if owner == self.number else f"this is shard {self} only"


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
