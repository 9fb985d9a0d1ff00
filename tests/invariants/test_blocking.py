"""The figures of I26: for how long data was held, and how much of that nobody could decide."""

from __future__ import annotations

from sagafuzz.invariants import INVARIANTS, Hold, blocking, check

from .examples_effects import COMPLETED
from .language import history

LOCKED = """
    boot
    @10 submit
    @20 send order.create -> m1
    @30 apply m1
    @30 hold m1 row
    @40 ack m1
    @50 send inventory.reserve -> m2
    @60 crash
    @160 boot
    @170 send order.cancel -> m3
    @180 apply m3
    @180 release m3 row
"""


def test_a_hold_lasts_until_it_is_given_back() -> None:
    (held,) = blocking(history(LOCKED))
    assert held == Hold(
        service="order",
        entity="row",
        saga="saga-1",
        since_us=30_000,
        until_us=180_000,
        released=True,
        in_doubt_us=100_000,
        waits=2,
    )
    assert held.held_us == 150_000


def test_one_that_is_never_given_back_lasts_to_the_end() -> None:
    (held,) = blocking(history(LOCKED.replace("@180 release m3 row", "@300 end quiescent")))
    assert (held.released, held.until_us, held.in_doubt_us) == (False, 300_000, 100_000)


def test_while_nobody_starts_again_all_is_in_doubt() -> None:
    (held,) = blocking(history(LOCKED[: LOCKED.index("@160")] + "@500 end quiescent"))
    assert (held.in_doubt_us, held.held_us) == (440_000, 470_000)


def test_while_another_orchestrator_lives_nothing_is() -> None:
    (held,) = blocking(history(LOCKED.replace("@50 send", "boot second\nas 1\n@50 send").replace("@160 boot", "")))
    assert held.in_doubt_us == 0


def test_holds_come_in_the_order_in_which_they_were_taken() -> None:
    text = LOCKED.replace("@40 ack m1", "@30 hold m1 other\n@40 ack m1").replace("release m3 row", "release m3 other")
    assert [(held.entity, held.released) for held in blocking(history(text))] == [("row", False), ("other", True)]


def test_without_locks_there_is_nothing_to_measure_and_it_is_never_judged() -> None:
    assert blocking(history(COMPLETED)) == ()
    assert INVARIANTS["I26"].nature == "meta"
    assert "I26" not in check(history(LOCKED)).exercised
