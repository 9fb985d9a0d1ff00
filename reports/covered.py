"""Coverage beyond fault kind × mode, in words and rows: sites, pairs, orders, and what could not be reached."""

from __future__ import annotations

from ..verdict import MODES, OrderCell, PairCell, Report
from .clean import clean, plural
from .facts import Table


def notes(report: Report) -> list[str]:
    """A line for each measure, of those that were taken: how many cells, and what became of their plans."""
    said = []
    covered = report.covered
    if covered.sites:
        sites = len({(cell.scenario, cell.site) for cell in covered.sites})
        cells = {(cell.scenario, cell.site, cell.kind) for cell in covered.sites}
        fired = {(cell.scenario, cell.site, cell.kind) for cell in covered.sites if cell.fired}
        told = {(cell.scenario, cell.site, cell.kind) for cell in covered.sites if cell.consequential}
        said.append(
            f"site × kind: {plural(len(cells), 'cell')} at {plural(sites, 'site')}; "
            f"{len(fired):,} fired, {len(told):,} consequential"
        )
    if covered.kinds:
        said.append(f"ordered pairs of kinds: {_pairs(covered.kinds)}")
    if covered.modes:
        said.append(f"ordered pairs of phases: {_pairs(covered.modes)}")
    if covered.orders:
        seen = sum(1 for cell in covered.orders if cell.seen)
        said.append(
            f"orders of conflicting operations: {seen:,} of {len(covered.orders):,} seen{_both(covered.orders)}"
        )
    if pruned := sum(report.counts.pruned.values()):
        parts = (f"{clean(name, 32)} {count:,}" for name, count in sorted(report.counts.pruned.items()) if count)
        said.append(f"plans spared by reductions: {pruned:,} ({', '.join(parts)})")
    return said


def _pairs(cells: tuple[PairCell, ...]) -> str:
    fired = sum(1 for cell in cells if cell.fired)
    told = sum(1 for cell in cells if cell.consequential)
    return f"{len(cells):,} planned, {fired:,} fired, {told:,} consequential"


def _both(orders: tuple[OrderCell, ...]) -> str:
    """How many pairs were seen in both orders: each pair has two cells."""
    seen = {(cell.scenario, cell.first, cell.second) for cell in orders if cell.seen}
    both = sum(1 for scenario, first, second in seen if (scenario, second, first) in seen) // 2
    return f"; both orders of {both:,} of {plural(len(orders) // 2, 'pair')}"


def mode_table(report: Report) -> Table:
    """First fault × second fault by mode, each as fired/planned; a dash where no plan has such a pair."""
    cells = {(cell.first, cell.second): f"{cell.fired:,}/{cell.planned:,}" for cell in report.covered.modes}
    rows = tuple((clean(first, 16), *(cells.get((first, second), "–") for second in MODES)) for first in MODES if cells)
    headers = ("first, then: fired/planned", *MODES)
    return Table(headers=headers, rows=rows, numbers=frozenset({1, 2, 3}))


def order_table(report: Report) -> Table:
    """Both orders of each conflicting pair, those first that were not seen; the number of histories that show it, or
    why none does."""
    rows = tuple(
        (
            clean(cell.scenario, 32),
            clean(cell.first, 48),
            clean(cell.second, 48),
            f"{cell.seen:,}" if cell.seen else f"none: {clean(cell.why, 120)}",
        )
        for cell in sorted(report.covered.orders, key=lambda cell: cell.seen > 0)
    )
    return Table(headers=("scenario", "first", "then", "histories"), rows=rows)


def unreachable_table(report: Report) -> Table:
    """What each kind could not be tried at, with the reason."""
    rows = tuple(
        (
            clean(entry.kind, 32),
            clean(entry.where or "anywhere", 120),
            clean(entry.reason, 160),
            f"{entry.sites:,}" if entry.sites else "",
        )
        for entry in report.covered.unreachable
    )
    return Table(headers=("fault", "where", "why not", "sites"), rows=rows, numbers=frozenset({3}))
