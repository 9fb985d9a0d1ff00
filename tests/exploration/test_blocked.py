"""The figures of I26 that a report shows."""

from __future__ import annotations

from sagafuzz.exploration.blocked import Blocked, holds_in

from ..invariants.language import history
from ..invariants.test_blocking import LOCKED


def test_the_figures_are_of_every_lock_of_every_history() -> None:
    blocked = Blocked()
    assert blocked.note() == ""
    blocked.add(holds_in(history(LOCKED)))
    blocked.add(holds_in(history(LOCKED.replace("@60 crash\n    @160 boot\n", ""))))
    assert (blocked.histories, blocked.waits, blocked.in_doubt_us) == (2, 4, [100_000])
    assert blocked.note() == (
        "a metric: 2 locks, each over 2.0 requests, for 150 ms (median), 150 ms at most; "
        "1 in doubt, for 100 ms (median), 100 ms at most"
    )


def test_a_lock_that_nobody_loses_sight_of_is_in_no_doubt() -> None:
    blocked = Blocked()
    blocked.add(holds_in(history(LOCKED.replace("@60 crash\n    @160 boot\n", "").replace("@180", "@20000"))))
    assert blocked.note().endswith("20 s at most; 0 in doubt, by no crash")
