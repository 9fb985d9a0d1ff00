"""Histories for I6 and I10: outcomes that nobody knows."""

from __future__ import annotations

from sagafuzz import Saga, Step

from .examples_effects import COMPLETED, UNDONE
from .tables import bad, good, idle

# -- I6: ambiguity is sticky -----------------------------------------------------------------

good(
    "I6",
    "the same key is asked again until the answer is definite",
    """
    submit
    send order.create key=o -> m1
    apply m1
    lost m1 answer
    timeout m1
    call order.create key=o no-effect
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
    """,
)
good(
    "I6",
    "an unknown step is undone, and nothing is built on it",
    """
    submit
    call order.create key=o
    send inventory.reserve key=i -> m2
    error m2
    ack m2
    call inventory.release key=i no-effect
    call order.cancel key=o
    tell compensated
    """,
)
good(
    "I6",
    "a query settles what was unknown",
    """
    submit
    send order.create key=o -> m1
    apply m1
    lost m1 answer
    timeout m1
    call order.status query
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
    """,
)
good(
    "I6",
    "the outcome was durable before the crash",
    """
    submit
    call order.create key=o
    send inventory.reserve key=i -> m2
    lost m2 request
    timeout m2
    call inventory.reserve key=i
    write progress inventory
    crash
    boot
    call payment.charge key=p
    tell completed
    """,
)
SECOND_KNEW = """
    submit
    send order.create key=o -> m1
    boot second
    call order.create key=o
    as 1
    timeout m1
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
"""
good(
    "I6", "another process had the answer, and the system hides what it keeps", f"declare hidden_writes=1{SECOND_KNEW}"
)
bad(
    "I6",
    "unknown taken for success",
    "another process had the answer, and wrote nothing",
    SECOND_KNEW.replace("call inventory.reserve key=i", "send inventory.reserve key=i -> m2 <--\napply m2\nack m2"),
    names="inventory.reserve for saga-1 was sent although nobody knew whether order.create had taken effect",
    at="inventory F",
)
good(
    "I6",
    "the next incarnation asks again what the last one had not heard",
    """
    submit
    send order.create key=o -> m1
    apply m1
    crash
    boot
    call order.create key=o no-effect
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
    """,
)
bad(
    "I6",
    "unknown taken for success",
    "a timeout is passed over, and asked about only at the end",
    """
    submit
    send order.create key=o -> m1
    lost m1 request
    timeout m1
    send inventory.reserve key=i -> m2  <--
    apply m2
    ack m2
    call payment.charge key=p
    call order.create key=o
    tell completed
    """,
    names="inventory.reserve for saga-1 was sent although nobody knew whether order.create had taken effect",
    at="inventory F",
)
bad(
    "I6",
    "unknown taken for success",
    "the next incarnation goes on after a request whose answer it never had",
    """
    submit
    send order.create key=o -> m1
    crash
    boot
    apply m1
    send inventory.reserve key=i -> m2  <--
    apply m2
    ack m2
    call payment.charge key=p
    tell completed
    """,
    names="inventory.reserve",
    at="inventory F",
)
bad(
    "I6",
    "unknown taken for success",
    "the answer came to one that died before it wrote it down",
    """
    submit
    send order.create key=o -> m1
    apply m1
    timeout m1
    send order.create key=o -> m2
    apply m2 no-effect
    ack m2
    crash
    boot
    send inventory.reserve key=i -> m3  <--
    apply m3
    ack m3
    call payment.charge key=p
    tell completed
    """,
    names="inventory.reserve",
    at="inventory F",
)
bad(
    "I6",
    "refusal of another attempt",
    "a timeout, then an attempt without the key that is refused, and nothing is undone",
    """
    submit
    call order.create key=o
    send inventory.reserve key=i -> m2
    apply m2
    lost m2 answer
    timeout m2
    refused inventory.reserve
    call order.cancel key=o
    tell compensated  <--
    """,
    names="inventory.reserve for saga-1 may have taken effect; a later attempt that does not share its key was refused",
    at="inventory F",
)
idle("I6", "every outcome is known", COMPLETED)

# -- I10: pivot ------------------------------------------------------------------------------

ORDERED = Saga(
    "ordered",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("payment", "payment.charge", undo="payment.refund", pivot=True),
        Step("shipping", "shipping.send", retriable=True),
    ],
)
good(
    "I10",
    "after the pivot the saga goes on to the end",
    """
    submit
    call order.create key=o
    call payment.charge key=p
    send shipping.send key=s -> m3
    error m3
    ack m3
    call shipping.send key=s
    tell completed
    """,
    ORDERED,
)
good(
    "I10",
    "a pivot that was refused, after its outcome had been unknown, opens the way back",
    """
    submit
    call order.create key=o
    send payment.charge key=p -> m2
    lost m2 request
    timeout m2
    refused payment.charge key=p
    call order.cancel key=o
    tell compensated
    """,
    ORDERED,
)
TOLD = """
    submit
    call order.create key=o
    send payment.charge key=p -> m2
    {what} m2
    publish payment.done cause=m2 -> n
    timeout m2
    receive n
    publish cancel.wanted -> c
    handled n
    crash
    boot
    receive c
    send order.cancel key=o -> m3
    apply m3
    ack m3
    handled c
    tell compensated
"""
good(
    "I10",
    "whoever undoes was sent a message by one who had been told by a message that the pivot was refused",
    TOLD.format(what="reject"),
    ORDERED,
)
good(
    "I10",
    "a person is called to what cannot be carried through",
    """
    submit
    call order.create key=o
    call payment.charge key=p
    send shipping.send key=s -> m3
    error m3
    ack m3
    dead-letter shipping
    alert shipping
    tell stuck
    """,
    ORDERED,
)
good(
    "I10",
    "a person decides what to do after the pivot",
    """
    submit
    call order.create key=o
    call payment.charge key=p
    dead-letter
    alert
    call payment.refund key=p
    call order.cancel key=o
    tell compensated
    """,
    ORDERED,
)
bad(
    "I10",
    "undo after the pivot",
    "everything is undone in good order, the pivot too",
    """
    submit
    call order.create key=o
    call payment.charge key=p
    send shipping.send key=s -> m3
    lost m3 request
    timeout m3
    send payment.refund key=p -> m4  <--
    apply m4
    ack m4
    call order.cancel key=o
    tell compensated
    """,
    names="payment.refund for saga-1 was sent although payment.charge, the pivot, had taken effect",
    at="payment C",
    definition=ORDERED,
)
bad(
    "I10",
    "undo while the pivot is unknown",
    "the pivot's request is lost, and nobody asks again",
    """
    submit
    call order.create key=o
    send payment.charge key=p -> m2
    lost m2 request
    timeout m2
    send payment.refund key=p -> m3  <--
    apply m3 no-effect
    ack m3
    call order.cancel key=o
    tell compensated
    """,
    names="payment.refund for saga-1 was sent although payment.charge, the pivot, may have taken effect",
    at="payment C",
    definition=ORDERED,
)
bad(
    "I10",
    "undo while the pivot is unknown",
    "only an attempt without the key was refused",
    """
    submit
    call order.create key=o
    send payment.charge key=p -> m2
    lost m2 request
    timeout m2
    refused payment.charge
    send order.cancel key=o -> m4  <--
    apply m4
    ack m4
    tell stuck
    """,
    names="order.cancel for saga-1 was sent although payment.charge, the pivot, may have taken effect",
    at="order C",
    definition=ORDERED,
)
bad(
    "I10",
    "not carried through",
    "a step after the pivot is given up",
    """
    submit
    call order.create key=o
    call payment.charge key=p
    send shipping.send key=s -> m3
    lost m3 request
    timeout m3
    tell stuck
    """,
    names="payment.charge, the pivot of saga-1, took effect, and shipping.send never did",
    at="shipping F",
    definition=ORDERED,
)
idle("I10", "the saga has no pivot", UNDONE)
idle(
    "I10",
    "the pivot is never asked for",
    """
    submit
    refused order.create key=o
    tell compensated
    """,
    ORDERED,
)
UNDONE_AND_ON = """
    submit
    write create
    write intent order
    call order.create key=o
    write outcome order
    write intent inventory
    send inventory.reserve key=i -> m
    lost m request
    timeout m
    write compensating
    call inventory.release key=i no-effect
    write undone inventory
    write intent inventory
    call inventory.reserve key=i2
    write outcome inventory
    write intent payment
    call payment.charge key=p
    tell completed
"""
for id in ("I6", "I12"):
    good(id, "what was unknown is undone, and done anew before the saga goes on", UNDONE_AND_ON)
LEFT_UNDONE = UNDONE_AND_ON.replace("call inventory.reserve key=i2", "").replace("write outcome inventory", "")
bad(
    "I23",
    "hollow success",
    "what was unknown is undone, and the saga goes on without it: then nothing is unknown, and no record is owed",
    LEFT_UNDONE.replace("tell completed", "tell completed  <--"),
    names="saga-1 was called completed, but inventory.reserve had not taken effect",
    at="inventory F",
)
