"""Histories for I20 and I21: what an adapter promises in numbers."""

from __future__ import annotations

from .examples_effects import COMPLETED, UNDONE
from .tables import bad, good, idle

# -- I20: bounded retries --------------------------------------------------------------------

RETRIED = """
    submit
    send order.create key=o -> m1
    lost m1 request
    timeout m1
    @1000 send order.create key=o -> m2  {second}
    lost m2 request
    timeout m2
    crash
    boot
    send order.create key=o -> m3  {third}
    apply m3
    ack m3
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
"""
PLAIN = RETRIED.format(second="", third="")
good("I20", "three attempts over two incarnations, as declared", f"declare max_attempts=3{PLAIN}")
good("I20", "another operation is bounded", f"declare max_attempts=payment.charge:1{PLAIN}")
good("I20", "the wait is kept within an incarnation", f"declare min_backoff_ms=500{PLAIN}")
bad(
    "I20",
    "too many attempts",
    "the count starts anew after a crash",
    "declare max_attempts=order.create:2" + RETRIED.format(second="", third="<--"),
    names="order.create for saga-1 was asked 3 times; 2 is the limit",
    at="order F",
)
bad(
    "I20",
    "no backoff",
    "the next attempt comes at once",
    "declare min_backoff_ms=1000" + RETRIED.format(second="<--", third=""),
    names="order.create for saga-1 was asked again after 997 ms; 1000 ms is the least",
    at="order F",
)
idle("I20", "nothing is declared", PLAIN)
idle("I20", "everything is asked once", f"declare max_attempts=3{UNDONE}")

# -- I21: deadline ---------------------------------------------------------------------------

DECLARED = "declare deadline_ms=5000 call_timeout_ms=1000"
SLOW = """
    boot
    submit
    call order.create key=o
    call inventory.reserve key=i
    {late}
"""
LATE = "@7000 call payment.charge key=p\ntell completed  <--"
good("I21", "the saga is over in time", DECLARED + COMPLETED)
good(
    "I21",
    "a person is called in time",
    DECLARED + SLOW.format(late="@5500 dead-letter\nalert\n@9000 tell stuck"),
)
good(
    "I21",
    "for two seconds no orchestrator ran",
    DECLARED + SLOW.format(late="@2000 crash\n@4000 boot\n@7000 call payment.charge key=p\ntell completed"),
)
good(
    "I21",
    "the orchestrator slept",
    DECLARED + SLOW.format(late="@2000 pause 10000\n@12000 call payment.charge key=p\ntell completed"),
)
good(
    "I21",
    "it was lost before anything was done for it",
    DECLARED + "\nsubmit\nlog create\ncrash\n@9000 boot",
)
bad(
    "I21",
    "past its deadline",
    "the saga ends well, and too late",
    DECLARED + SLOW.format(late=LATE),
    names="saga-1 was to be over, or in a person's hands, within 5000 ms; it was so too late",
)
bad(
    "I21",
    "past its deadline",
    "the saga never ends",
    DECLARED
    + SLOW.format(late="@7000 raise CallTimeout port=yes").replace(
        "call inventory.reserve key=i", "send inventory.reserve key=i -> m2\nlost m2 request\ntimeout m2"
    ),
    names="it was so never",
)
bad(
    "I21",
    "stale timer",
    "the timer fires when the saga is over, and calls a person",
    DECLARED + COMPLETED + "\n@5001 alert  <--",
    names="after its deadline, and after its end, there was alert for saga-1",
)
bad(
    "I21",
    "stale timer",
    "the timer fires when the saga is completed, and an undo is sent; it has no effect",
    DECLARED + COMPLETED + "\n@5001 send order.cancel key=o -> m9  <--\napply m9 no-effect\nack m9",
    names="there was order.cancel for saga-1",
    at="order C",
)
idle("I21", "no deadline is declared", COMPLETED)
