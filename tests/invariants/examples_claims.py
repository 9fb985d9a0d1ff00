"""Histories for I15, I16 and I23 (what is said of a saga) and for C1, C2 and C3 (how the code behaves)."""

from __future__ import annotations

from sagafuzz import Saga, Step

from .examples_effects import COMPLETED, REFUSED_AT_ONCE, UNDONE
from .tables import bad, good, idle

# -- I15: monotone terminal ------------------------------------------------------------------

good("I15", "one end, and nothing after it", COMPLETED)
good(
    "I15",
    "the end is durable, then told",
    """
    submit
    refused order.create key=o
    terminal compensated
    crash
    boot
    tell compensated
    """,
)
good(
    "I15",
    "a person leads a stuck saga to its end",
    """
    submit
    call order.create key=o
    refused inventory.reserve key=i
    send order.cancel key=o -> m3
    error m3
    ack m3
    dead-letter order
    alert order
    tell stuck
    heal
    call order.cancel key=o
    tell compensated
    """,
)
good(
    "I15",
    "a person leads a stuck saga on to its completion",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    send payment.charge key=p -> m3
    error m3
    ack m3
    dead-letter payment
    alert payment
    tell stuck
    heal
    call payment.charge key=p
    tell completed
    """,
)
bad(
    "I15",
    "effect after the end",
    "a step is begun when the saga was called compensated: no step was left out",
    """
    submit
    call order.create key=o
    refused inventory.reserve key=i
    call order.cancel key=o
    tell compensated
    send payment.charge key=p -> m9
    apply m9  <--
    ack m9
    """,
    names="payment.charge for saga-1 took effect after the saga was called compensated",
    at="payment F",
)
bad(
    "I15",
    "two ends",
    "a saga is completed, and then it is not",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    call payment.charge key=p
    terminal completed
    tell stuck  <--
    """,
    names="saga-1 was called completed, and later stuck",
)
bad(
    "I15",
    "two ends",
    "a saga is stuck, and then it is completed",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    call payment.charge key=p
    terminal stuck
    tell completed  <--
    """,
    names="saga-1 was called stuck, and later completed",
)
bad(
    "I15",
    "two ends",
    "a saga is completed, and then called compensated",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    call payment.charge key=p
    terminal completed
    tell compensated  <--
    """,
    names="saga-1 was called completed, and later compensated",
    follows="I5",
)
bad(
    "I15",
    "effect after the end",
    "a late request takes effect when the saga was called compensated",
    """
    submit
    send order.create -> m1
    timeout m1
    call order.cancel no-effect
    tell compensated
    apply m1  <--
    """,
    names="order.create for saga-1 took effect after the saga was called compensated",
    at="order F",
    follows="I8",
)
bad(
    "I15",
    "effect after the end",
    "the client is told first, and undone is later",
    """
    submit
    call order.create
    refused inventory.reserve
    tell compensated
    send order.cancel -> m3
    apply m3  <--
    ack m3
    """,
    names="order.cancel for saga-1 took effect after the saga was called compensated",
    at="order C",
)
idle(
    "I15",
    "no end is claimed",
    """
    submit
    tell pending
    """,
)

# -- I16: client truth -----------------------------------------------------------------------

good("I16", "told completed, and every step is in effect", COMPLETED)
good("I16", "told compensated, and no step is in effect", UNDONE)
bad(
    "I16",
    "told completed",
    "everything was undone, and the client is told that it was done",
    """
    submit
    call order.create
    call inventory.reserve
    call payment.charge
    call payment.refund
    call inventory.release
    call order.cancel
    tell completed  <--
    """,
    names="the client of saga-1 was told 'completed', but order, inventory and payment are not in effect",
    at="payment F",
    follows="I23",
)
bad(
    "I16",
    "told compensated",
    "what is left to a person is told as undone",
    """
    submit
    call order.create
    refused inventory.reserve
    dead-letter order
    alert order
    tell compensated  <--
    """,
    names="the client of saga-1 was told 'compensated', but order is in effect",
    at="order F",
)
PIVOT_LAST = Saga("prepaid", [Step("order", "order.create", undo="order.cancel"), Step("pay", "pay.take", pivot=True)])
bad(
    "I16",
    "told compensated",
    "the pivot's answer is lost, and the client is told that all was undone",
    """
    submit
    call order.create key=o
    send pay.take key=p -> m2
    apply m2
    lost m2 answer
    timeout m2
    call order.cancel key=o
    tell compensated  <--
    """,
    names="told 'compensated', but pay is in effect",
    at="pay F",
    definition=PIVOT_LAST,
    follows="I10",
)
idle(
    "I16",
    "told pending, which is always true",
    """
    submit
    tell pending
    """,
)
idle(
    "I16",
    "the end is durable, and the client was not told",
    """
    submit
    refused order.create
    terminal compensated
    """,
)

# -- I23: no success without effect ----------------------------------------------------------

CHECKED = Saga("checked", [Step("check", "fraud.check"), Step("order", "order.create", undo="order.cancel")])
good("I23", "every step was in effect when the saga was called completed", COMPLETED)
good(
    "I23",
    "a check that changes nothing is done when it said yes",
    """
    submit
    call fraud.check no-effect
    call order.create
    tell completed
    """,
    CHECKED,
)
bad(
    "I23",
    "hollow success",
    "a refusal is recorded as success",
    """
    submit
    refused order.create
    terminal completed  <--
    """,
    names="saga-1 was called completed, but order.create had been refused",
    at="order F",
    definition=Saga("single", [Step("order", "order.create", undo="order.cancel")]),
)
bad(
    "I23",
    "hollow success",
    "the error of the last step is swallowed",
    """
    submit
    call order.create
    call inventory.reserve
    send payment.charge -> m3
    error m3
    ack m3
    tell completed  <--
    """,
    names="saga-1 was called completed, but payment.charge had not taken effect",
    at="payment F",
)
bad(
    "I23",
    "hollow success",
    "a step takes effect too late to make it true",
    """
    submit
    call order.create
    call inventory.reserve
    send payment.charge -> m3
    terminal completed  <--
    apply m3
    ack m3
    tell completed
    """,
    names="payment.charge",
    at="payment F",
)
bad(
    "I23",
    "hollow success",
    "a check is done too late",
    """
    submit
    send fraud.check -> m1
    call order.create
    tell completed  <--
    apply m1 no-effect
    ack m1
    """,
    names="fraud.check",
    at="check F",
    definition=CHECKED,
)
bad(
    "I23",
    "hollow success",
    "the last step is never asked for",
    """
    submit
    call order.create
    call inventory.reserve
    tell completed  <--
    """,
    names="payment.charge",
    at="payment F",
)
idle("I23", "nobody speaks of success", UNDONE)

# -- C1, C2, C3: conduct ---------------------------------------------------------------------

good("C1", "no exception leaves the code", COMPLETED)
good(
    "C1",
    "an exception of a port leaves it, because a fault was done to that port",
    """
    submit
    send order.create -> m1
    fault error-before-effect m1
    error m1
    ack m1
    raise Unavailable port=yes
    """,
)
good(
    "C1",
    "the history shows the fault where no plan does",
    """
    submit
    send order.create -> m1
    lost m1 request
    timeout m1
    raise CallTimeout port=yes
    """,
)
bad(
    "C1",
    "KeyError escapes",
    "a bug leaves the code",
    """
    submit
    raise KeyError order  <--
    """,
    names="run: shop.py:1 raised KeyError: order",
)
bad(
    "C1",
    "KeyError escapes",
    "a bug leaves the code, and a fault is no excuse for it",
    """
    submit
    send order.create -> m1
    fault lost-request m1
    lost m1 request
    timeout m1
    raise KeyError order  <--
    """,
    names="raised KeyError",
)
bad(
    "C1",
    "Rejected escapes",
    "a refusal is not turned into an answer",
    """
    submit
    refused order.create
    raise Rejected 'order.create: refused' port=yes  <--
    """,
    names="raised Rejected: order.create: refused; return False where the saga was refused",
)
bad(
    "C1",
    "Rejected escapes",
    "an undo is refused, and what to do then is not to say that the saga was",
    """
    submit
    call order.create key=o
    refused inventory.reserve key=i
    send order.cancel key=o -> m1
    reject m1
    ack m1
    raise Rejected 'order.cancel: it is more than there is' port=yes  <--
    """,
    names="order.cancel: it is more than there is; an undo that is refused is not done: mend it, or put it aside",
)
bad(
    "C1",
    "RuntimeError escapes",
    "a bug leaves boot, and is of no saga",
    """
    submit
    -: raise RuntimeError 'no shop'  <--
    """,
    names="raised RuntimeError: no shop",
    saga="",
)
good("C2", "run answers what a client understands", REFUSED_AT_ONCE)
bad(
    "C2",
    "nonsense",
    "run answers nothing",
    """
    submit
    refused order.create
    nonsense None  <--
    """,
    names="run answered None for saga-1",
)
good("C3", "every run ends", UNDONE)
good(
    "C3",
    "a crash takes the answer with it",
    """
    submit
    crash
    boot
    """,
)
bad(
    "C3",
    "livelock",
    "the code goes round without an end",
    """
    submit
    end livelock
    """,
    names="goes round without an end",
    saga="",
)
bad(
    "C3",
    "spins",
    "the code computes for ever",
    """
    submit
    end spins
    """,
    names="computes for ever",
    saga="",
)
bad(
    "C3",
    "never answers",
    "the client waits for ever",
    """
    submit
    refused order.create
    """,
    names="run for saga-1 never returned",
)


# -- who acts beside the orchestrator --------------------------------------------------------

bad(
    "I15",
    "effect after the end",
    "a clerk captures the payment of an order that was cancelled: the clerk is named, and no orchestrator blamed",
    """
    declare actors=clerk
    submit
    call order.create key=o
    refused inventory.reserve key=i
    call order.cancel key=o
    tell compensated
    as clerk
    send payment.charge key=later -> m9
    apply m9  <--
    ack m9
    """,
    names="payment.charge for saga-1 (by the clerk) took effect after the saga was called compensated",
    at="payment F",
)
good(
    "I15",
    "a clerk refunds an order that was completed: a return is no other end of the saga",
    COMPLETED.replace("submit", "declare actors=clerk\n    submit", 1)
    + """
    as clerk
    call payment.refund key=return-1
    """,
)
good(
    "I16",
    "what a clerk takes back later makes nothing untrue of what the client was told",
    COMPLETED.replace("submit", "declare actors=clerk\n    submit", 1)
    + """
    as clerk
    call payment.refund key=return-1
    """,
)
bad(
    "I16",
    "told completed",
    "a clerk releases the goods of an order that is under way, and its client is told that it went through",
    """
    declare actors=clerk
    submit
    call order.create key=o
    call inventory.reserve key=i
    as clerk
    call inventory.release key=return-1
    as 1
    call payment.charge key=p
    tell completed  <--
    """,
    names="but inventory is not in effect; the clerk did inventory.release",
    at="inventory F",
    follows="I2",
)
bad(
    "I23",
    "hollow success",
    "what was rolled back is called completed",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    refused payment.charge key=p
    call inventory.release key=i
    call payment.charge key=p2
    tell completed  <--
    """,
    names="saga-1 was called completed, but inventory.reserve had been undone",
    at="inventory F",
)
good(
    "I23",
    "what was rolled back is done again before the end",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    refused payment.charge key=p
    call inventory.release key=i
    call inventory.reserve key=i2
    call payment.charge key=p2
    tell completed
    """,
)
bad(
    "I23",
    "hollow success",
    "a request is answered with success that changed nothing",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    call payment.charge key=p no-effect
    tell completed  <--
    """,
    names="payment.charge had changed nothing, although it was answered with success",
    at="payment F",
)
bad(
    "I15",
    "two ends",
    "a saga that was compensated is called completed: that is no hollow success, but a second end",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    call payment.charge key=p
    call payment.refund key=p
    call inventory.release key=i
    call order.cancel key=o
    terminal compensated
    terminal completed  <--
    """,
    names="saga-1 was called compensated, and later completed",
    at=" ",
)
