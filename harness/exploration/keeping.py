"""What a campaign has found out, as records of a store: kept as it comes, and found again by a later campaign."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from ..plain import from_plain, to_plain
from ..verdict import Finding, RandomResult, Signature
from .events import Event, ExamplesFinished, FindingShrunk, PartFinished, RunEnded, ShareEnded
from .findings import finding_id
from .parts import Record, from_text, to_text
from .statistics import Sighting

EXAMPLES: Final = "examples"
"""The name of the record that holds what the state machine found."""

ENDED: Final = "ended"
"""The name of the record that a shard keeps last, where its budget ended it."""


def finding_record(signature: Signature, sighting: Sighting) -> str:
    """The name of the record of a finding; of a longer search its plan may be a smaller one."""
    plan = f"{sighting.setup.scenario.name} {sighting.plan}".encode()
    id = finding_id(sighting.setup.adapter.name, signature)
    return f"finding/{id}/{hashlib.blake2b(plan, digest_size=8).hexdigest()}"


@dataclass(frozen=True)
class Archive:
    """What was kept before. ``get`` gives the text of a record by its name, None where there is none; ``expect`` is
    told in which order the parts will be asked for."""

    get: Callable[[str], str | None] = lambda name: None
    expect: Callable[[Iterable[str]], None] = lambda parts: None

    def part(self, name: str) -> Record | None:
        text = self.get(name)
        return None if text is None else from_text(text)

    def finding(self, name: str, hits: int) -> Finding | None:
        """The finding of that record, which is now seen so many times."""
        text = self.get(name)
        if text is None:
            return None
        known: Finding = from_plain(Finding, json.loads(text))
        return replace(known, hits=hits)

    def examples(self) -> ExamplesFinished | None:
        text = self.get(EXAMPLES)
        if text is None:
            return None
        result, findings = json.loads(text)
        return ExamplesFinished(
            from_plain(RandomResult, result), tuple(from_plain(Finding, finding) for finding in findings)
        )


NOTHING_KEPT: Final = Archive()


@dataclass(frozen=True)
class Keeper:
    """Listens to a campaign, and gives ``keep`` the name and the text of each record as soon as it stands."""

    keep: Callable[[str, str], None]

    def __call__(self, event: Event) -> None:
        match event:
            case PartFinished(kept=False):
                self.keep(event.name, to_text(event.record))
            case RunEnded():
                self.keep(event.name, event.text)
            case FindingShrunk(kept=False, whole=True):
                self.keep(event.name, json.dumps(to_plain(event.finding)))
            case ExamplesFinished():
                self.keep(EXAMPLES, json.dumps([to_plain(event.result), to_plain(event.findings)]))
            case ShareEnded():
                self.keep(ENDED, json.dumps(to_plain(event.ending)))
