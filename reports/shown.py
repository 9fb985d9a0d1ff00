"""Which lines of a long schedule are shown: the rule that leaves out what is uneventful, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from ..verdict import Violation
from .clean import plural
from .line import Line

_CALLS: Final = frozenset({"call", "arrival"})
_FIRST: Final = frozenset({"write", "again"})
_ORDINARY: Final = _CALLS | _FIRST
_PASSING: Final = frozenset({"submit", "timeout", "client", "person"})


def shown(lines: Sequence[Line], evidence: Collection[int], violation: Violation | None, limit: int) -> list[Line]:
    """``lines`` where they are at most ``limit``; else with uneventful stretches replaced by a line that counts.

    Never left out are a line with a mark, one that tells of a row of ``evidence``, and what befell a process: its
    death, its start, its pause; these may be more than ``limit``. The others give way in turn, until the rest fits:
    durable writes and deliveries of what came twice before, calls of other sagas than that of the violation, calls of
    other steps, and at last all.
    """
    rows = frozenset(evidence)
    vital = [_is_vital(line, rows) for line in lines]
    candidates = (
        [True for _ in lines],
        [keep or line.kind not in _FIRST for keep, line in zip(vital, lines, strict=True)],
        [keep or _of_saga(line, violation) for keep, line in zip(vital, lines, strict=True)],
        [keep or _of_step(line, violation) or line.kind in _PASSING for keep, line in zip(vital, lines, strict=True)],
        [keep or _of_step(line, violation) for keep, line in zip(vital, lines, strict=True)],
    )
    for kept in candidates:
        short = _shortened(lines, kept)
        if len(short) <= limit:
            return short
    return _shortened(lines, vital)


def _is_vital(line: Line, evidence: frozenset[int]) -> bool:
    return bool(line.marks) or line.kind not in _ORDINARY | _PASSING or not evidence.isdisjoint(line.rows)


def _of_saga(line: Line, violation: Violation | None) -> bool:
    """None of the first to give way, and not a call of another saga."""
    ours = violation is None or violation.saga in ("", line.saga)
    return line.kind not in _FIRST and (line.kind not in _CALLS or ours)


def _of_step(line: Line, violation: Violation | None) -> bool:
    if violation is None or not violation.step or line.kind not in _CALLS:
        return False
    return line.step == violation.step and violation.saga in ("", line.saga)


def _shortened(lines: Sequence[Line], keep: Sequence[bool]) -> list[Line]:
    """``lines`` with each run of two or more that are not kept replaced by a line that counts its events."""
    result: list[Line] = []
    run: list[Line] = []
    for line, kept in zip(lines, keep, strict=True):
        if not kept:
            run.append(line)
            continue
        result.extend(_summary(run))
        result.append(line)
        run = []
    result.extend(_summary(run))
    return result


def _summary(run: list[Line]) -> list[Line]:
    if len(run) < 2:
        return run
    rows = tuple(sorted(row for line in run for row in line.rows))
    text = f"… {plural(len(rows), 'event')} left out …"
    return [Line(t_us=run[0].t_us, kind="elided", text=text, rows=rows)]
