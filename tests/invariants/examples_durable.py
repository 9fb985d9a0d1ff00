"""Histories for I42: what an engine promises of crashes."""

from __future__ import annotations

from .examples_effects import COMPLETED
from .tables import bad, good, idle

PROMISED = "declare durable_execution=saga-1:=completed"
CRASH = """fault crash-after-ack m1
    crash
    boot
    """
CANCELLED = """
    submit
    send order.create key=o -> m1
    apply m1
    ack m1
    fault crash-after-ack m1
    crash
    boot
    call order.cancel key=o
    tell compensated  {0}
"""
REFUSED = """
    submit
    send order.create key=o -> m1
    apply m1
    ack m1
    fault crash-after-ack m1
    crash
    boot
    refused inventory.reserve key=i
    call order.cancel key=o
    tell compensated
"""

good(
    "I42",
    "a crash, and the saga goes on to the end that it has without one",
    PROMISED
    + CANCELLED.replace(
        "call order.cancel key=o\n    tell compensated",
        "call inventory.reserve key=i\n    call payment.charge key=p\n    tell completed",
    ).format(""),
)
good("I42", "a saga that was refused something: a crash may change who comes first", PROMISED + REFUSED)
bad(
    "I42",
    "a crash cancels",
    "a good order is rolled back because of a crash",
    PROMISED + CANCELLED.format("<--"),
    names="saga-1 is completed without a fault, and was compensated although nothing but a crash happened",
)
bad(
    "I42",
    "a crash changes the end",
    "what is rolled back without a fault is put aside after a crash",
    PROMISED.replace("completed", "compensated") + CANCELLED.replace("compensated", "stuck").format("<--"),
    names="saga-1 is compensated without a fault, and was stuck although nothing but a crash happened",
)
idle("I42", "no engine promises it", CANCELLED.format(""))
idle("I42", "there was no fault", f"{PROMISED}{COMPLETED}")
idle("I42", "the fault is no crash", PROMISED + CANCELLED.replace(CRASH, "fault lost-ack m1\n    ").format(""))
