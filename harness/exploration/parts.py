"""The parts of a campaign: what can be run apart from the rest, and gives the same wherever it is run.

A scenario's part 0 is the plan without faults and those with one; each further part is what extends one of these. A
part that was run to its end is written down as text, of which its cases and their verdicts are made again.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError
from ..fault_kinds import Impossible
from ..faults import Fault, Plan, Site
from ..history import Row
from ..plain import from_plain, to_plain
from ..simulator import Run
from ..verdict import Verdict
from .cases import Case
from .stopping import Stop


@dataclass
class Record:
    """The cases of one part with their verdicts, in their order.

    ``pruned`` counts the plans that reductions spared in it, ``parts`` (of part 0) the parts that extend it,
    ``spins`` the runs that the watchdog had to end. ``whole`` says that none is missing, else ``stop`` says why; only a
    whole record is written down."""

    cases: list[tuple[Case, Verdict]] = field(default_factory=list)
    pruned: dict[str, int] = field(default_factory=dict)
    parts: int = 0
    spins: int = 0
    whole: bool = False
    stop: Stop | None = None


class _Table:
    """Values by number, each once."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, key: Any, value: Any = None) -> int:
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.entries)
            self.entries.append(key if value is None else value)
        return found


def to_text(record: Record) -> str:
    """JSON on one line: tables of sites, faults, verdicts and histories, and cases that name their entries."""
    sites, faults, verdicts, rows, histories, barred = (_Table() for _ in range(6))
    cases = []
    for case, verdict in record.cases:
        run = case.run
        plain = json.dumps(to_plain(verdict))
        cases.append(
            [
                [faults.number(fault, to_plain(fault)) for fault in case.plan.faults],
                [sites.number(tuple(site)) for site in case.plan.yields],
                case.digest.hex(),
                [case.fired, case.consequential, case.known, run.capped],
                case.mode,
                verdicts.number(plain),
                -1 if case.known else histories.number(case.digest, _numbers(rows, run)),
                [sites.number(tuple(site)) for site in run.sites],
                [run.recovery, run.compensation],
                [[list(fired) for fired in run.fired], list(run.idle)],
                [[index, barred.number(kinds, dict(kinds))] for index, kinds in run.impossible.items()],
            ]
        )
    content = {
        "pruned": record.pruned,
        "parts": record.parts,
        "spins": record.spins,
        "sites": sites.entries,
        "faults": faults.entries,
        "verdicts": verdicts.entries,
        "rows": rows.entries,
        "barred": barred.entries,
        "histories": histories.entries,
        "cases": cases,
    }
    return json.dumps(content, separators=(",", ":"), default=repr)


def _numbers(rows: _Table, run: Run) -> list[int]:
    """The rows of a run, by number; told apart as their digest does, which knows 1 from 1.0 and True."""
    return [rows.number(marshal.dumps(row, 2), row) for row in run.rows]


def from_text(text: str) -> Record:
    """The record again. Its runs hold what a campaign counts: neither the rows of known states nor the rows before
    each site. Raises UsageError for anything else than what ``to_text`` wrote."""
    try:
        data = json.loads(text)
        return Record(
            cases=list(_cases(data)),
            pruned={str(name): int(count) for name, count in data["pruned"].items()},
            parts=int(data["parts"]),
            spins=int(data["spins"]),
            whole=True,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UsageError(f"the store holds a part that is none: {type(error).__name__} {error}; run again") from None


def _cases(data: dict[str, Any]) -> Iterator[tuple[Case, Verdict]]:
    sites = [Site(*site) for site in data["sites"]]
    faults: list[Fault] = [from_plain(Fault, fault) for fault in data["faults"]]
    verdicts: list[Verdict] = [from_plain(Verdict, json.loads(verdict)) for verdict in data["verdicts"]]
    events: list[Row] = _tuples(data["rows"])
    histories = [tuple(events[number] for number in numbers) for numbers in data["histories"]]
    barred = [Impossible(kinds) for kinds in data["barred"]]
    for plan, yields, digest, flags, mode, verdict, history, visited, marks, struck, impossible in data["cases"]:
        run = Run(
            rows=histories[history] if history >= 0 else (),
            sites=tuple(sites[number] for number in visited),
            recovery=marks[0],
            compensation=marks[1],
            fired=_tuples(struck[0]),
            idle=tuple(struck[1]),
            capped=flags[3],
            impossible={index: barred[number] for index, number in impossible},
            site_rows=(),
        )
        case = Case(
            plan=Plan(
                faults=tuple(faults[number] for number in plan), yields=tuple(sites[number] for number in yields)
            ),
            run=run,
            digest=bytes.fromhex(digest),
            fired=flags[0],
            consequential=flags[1],
            mode=mode,
            known=flags[2],
        )
        yield case, verdicts[verdict]


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
