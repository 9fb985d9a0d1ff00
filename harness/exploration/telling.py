"""The counts that a campaign takes of a history, told once: by the process that has its rows."""

from __future__ import annotations

from ..faults import Plan
from ..simulator import Run, Setup
from .blocked import holds_in
from .cases import Told
from .coverage import Orders
from .drawn import trace_class
from .judge import outcome_of
from .vacuity import completes, meant_to_succeed, sends


class Telling:
    """Tells the histories of one part, runs of ``setup``; of random plans, where they are ``drawn``, other things are
    asked. ``shown`` says that an earlier part showed a saga that asks and completes."""

    def __init__(self, setup: Setup, *, drawn: bool = False, shown: bool = False) -> None:
        self._setup = setup
        self._drawn = drawn
        self._orders = Orders(setup) if len(setup.known) > 1 and not drawn else None
        self._known: dict[bytes, Told] = {}
        self._to_see = not (drawn or shown)  # whether a history is still to show that the scenario asks and completes

    def tell(self, plan: Plan, run: Run, digest: bytes) -> Told:
        """The counts of the history with that digest."""
        found = self._known.get(digest)
        if found is None:
            found = self._known[digest] = self._read(plan, run)
        return found

    def _read(self, plan: Plan, run: Run) -> Told:
        setup, rows = self._setup, run.rows
        told = Told(outcome=outcome_of(run, setup), events=len(rows))
        if self._drawn:
            told = told._replace(trace=trace_class(rows))
        if self._to_see:
            told = told._replace(
                sends=sends(run),
                completes=completes(run, setup),
                meant=bool(plan.faults) or meant_to_succeed(run, setup),
            )
            self._to_see = not (told.sends and told.completes)
        if self._orders is not None:
            orders, handled = self._orders.read(rows)
            told = told._replace(orders=tuple(orders), handled=tuple(handled))
        if setup.adapter.participants:  # only a user's own show locks
            told = told._replace(holds=holds_in(run.history(setup, plan)))
        return told
