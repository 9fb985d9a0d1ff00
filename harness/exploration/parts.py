"""The parts of a campaign: what can be run apart from the rest, and gives the same wherever it is run.

A scenario's part 0 is the plan without faults and those with one; each further part is what extends one of these. A
part that was run to its end is written down as text, of which its cases and their verdicts are made again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from ..errors import UsageError
from ..fault_kinds import Impossible
from ..faults import Fault, Plan, Site
from ..plain import from_plain, to_plain
from ..simulator import Run
from ..verdict import Verdict
from .cases import NOTHING_TOLD, Case, Told
from .stopping import Stop


@dataclass
class Record:
    """The cases of one part with their verdicts, in their order.

    ``pruned`` counts the plans that reductions spared in it, ``spins`` the runs that the watchdog had to end;
    ``mistakes`` are sentences on reductions that turned out to lose something.
    ``extended`` (of part 0) has for each part that extends it the number of the case that this part extends, and how
    many plans with one fault more do. ``whole`` says that none is missing, else ``stop`` says why; only a whole record
    is written down, with the sites of the plans that have fewer faults than ``told_sites``."""

    cases: list[tuple[Case, Verdict]] = field(default_factory=list)
    pruned: dict[str, int] = field(default_factory=dict)
    extended: tuple[tuple[int, int], ...] = ()
    spins: int = 0
    mistakes: tuple[str, ...] = ()
    whole: bool = False
    stop: Stop | None = None
    told_sites: int = 2


class _Table:
    """Values by number, each once."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, key: Any, plain: Callable[[], Any] | None = None) -> int:
        """That of ``key``, which is written as ``plain()`` says."""
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.entries)
            self.entries.append(key if plain is None else plain())
        return found


FIRED, CONSEQUENTIAL, KNOWN, CAPPED = 1, 2, 4, 8
"""What a case says of itself, as bits."""


def to_text(record: Record) -> str:
    """JSON on one line: tables of faults, verdicts and what else recurs, and cases that name their entries. Of a
    history there is what is told of it, and no row."""
    faults, verdicts, told, modes, struck = (_Table() for _ in range(5))
    visited = _Visited()
    cases, digests = [], []
    for number, (case, verdict) in enumerate(record.cases):
        run, plan = case.run, case.plan
        flags = FIRED * case.fired | CONSEQUENTIAL * case.consequential | KNOWN * case.known | CAPPED * run.capped
        cases.append(
            [
                flags,
                modes.number((case.mode, *_earlier(case))),
                verdicts.number(id(verdict), partial(to_plain, verdict)),
                -1 if case.known else told.number(id(case.told), partial(_plain, case.told)),
                struck.number((tuple(index for _, index in run.fired), run.idle)),
                *[faults.number(fault, partial(to_plain, fault)) for fault in plan.faults],
            ]
        )
        digests.append(case.digest.hex())
        if plan.yields or len(plan.faults) < record.told_sites:
            visited.add(number, case)
    content = {
        "pruned": record.pruned,
        "extended": record.extended,
        "spins": record.spins,
        "mistakes": record.mistakes,
        "faults": faults.entries,
        "verdicts": verdicts.entries,
        "told": told.entries,
        "modes": modes.entries,
        "struck": struck.entries,
        "digests": " ".join(digests),
        "visited": visited.content,
        "cases": cases,
    }
    return json.dumps(content, separators=(",", ":"), default=repr)


def _earlier(case: Case) -> Iterator[str]:
    """The modes of the faults before the last one, where they are counted."""
    return (case.mode_before(number) for number in range(len(case.plan) - 1)) if not case.idle else iter(())


def _plain(told: Told) -> list[Any]:
    return [*told[:-1], told.trace.hex()]


class _Visited:
    """The sites of some cases: those at which their sagas fall behind, and those that they reached."""

    def __init__(self) -> None:
        self._sites = _Table()
        self._barred = _Table()
        self._cases: list[Any] = []

    def add(self, number: int, case: Case) -> None:
        run, site = case.run, self._sites.number
        barred = [[index, self._barred.number(kinds, partial(dict, kinds))] for index, kinds in run.impossible.items()]
        yields = [site(tuple(found)) for found in case.plan.yields]
        visited = [site(tuple(found)) for found in run.sites]
        self._cases.append([number, yields, visited, [run.recovery, run.compensation], barred])

    @property
    def content(self) -> list[Any]:
        return [self._sites.entries, self._barred.entries, self._cases]


def from_text(text: str) -> Record:
    """The record again. Its runs hold what a campaign counts: no rows, and of plans that nothing extends no sites.
    Raises UsageError for anything else than what ``to_text`` wrote."""
    try:
        data = json.loads(text)
        return Record(
            cases=list(_cases(data)),
            pruned={str(name): int(count) for name, count in data["pruned"].items()},
            extended=tuple((int(case), int(plans)) for case, plans in data["extended"]),
            spins=int(data["spins"]),
            mistakes=tuple(map(str, data.get("mistakes", ()))),
            whole=True,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UsageError(f"the store holds a part that is none: {type(error).__name__} {error}; run again") from None


_UNSEEN: Final = Run(
    rows=(), sites=(), recovery=-1, compensation=-1, fired=(), capped=False, impossible={}, site_rows=()
)
"""What is left of a run."""


def _cases(data: dict[str, Any]) -> Iterator[tuple[Case, Verdict]]:
    faults: list[Fault] = [from_plain(Fault, fault) for fault in data["faults"]]
    verdicts: list[Verdict] = [from_plain(Verdict, verdict) for verdict in data["verdicts"]]
    told = [Told._make((*_tuples(entry[:-1]), bytes.fromhex(entry[-1]))) for entry in data["told"]]
    struck = [(tuple((0, index) for index in fired), tuple(idle)) for fired, idle in data["struck"]]
    modes = [(mode, tuple(earlier)) for mode, *earlier in data["modes"]]
    visited = dict(_visited(*data["visited"]))
    entries = zip(data["cases"], data["digests"].split(), strict=True)
    for number, ((flags, mode, verdict, history, hit, *plan), digest) in enumerate(entries):
        yields, run = visited.get(number, ((), _UNSEEN))
        fired, idle = struck[hit]
        last, earlier = modes[mode]
        case = Case(
            plan=Plan(faults=tuple([faults[number] for number in plan]), yields=yields),
            run=run._replace(fired=fired, idle=idle, capped=bool(flags & CAPPED)),
            digest=bytes.fromhex(digest),
            fired=bool(flags & FIRED),
            consequential=bool(flags & CONSEQUENTIAL),
            mode=last,
            known=bool(flags & KNOWN),
            told=told[history] if history >= 0 else NOTHING_TOLD,
            earlier=earlier,
        )
        yield case, verdicts[verdict]


def _visited(plain_sites: Any, plain_barred: Any, cases: Any) -> Iterator[tuple[int, tuple[tuple[Site, ...], Run]]]:
    """By the number of the case: where its sagas fall behind, and a run with the sites that it reached."""
    sites = [Site(*site) for site in plain_sites]
    barred = [Impossible(kinds) for kinds in plain_barred]
    for number, yields, visited, (recovery, compensation), impossible in cases:
        run = _UNSEEN._replace(
            sites=tuple(sites[site] for site in visited),
            recovery=recovery,
            compensation=compensation,
            impossible={index: barred[kinds] for index, kinds in impossible},
        )
        yield number, (tuple(sites[site] for site in yields), run)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
