"""Histories for I7, I8, I9 and I19: what participants make of an undo, and what it says."""

from __future__ import annotations

from .examples_effects import COMPLETED, UNDONE
from .tables import bad, good, idle

# -- I7: null compensation -------------------------------------------------------------------

good(
    "I7",
    "an undo that comes first succeeds, changes nothing, and bars the step",
    """
    submit
    send order.create key=o -> m1
    timeout m1
    call order.cancel key=o no-effect
    reject m1
    tell compensated
    """,
)
good(
    "I7",
    "without a key there is nothing to remember it by, and nothing comes later",
    """
    submit
    send order.create -> m1
    lost m1 request
    timeout m1
    call order.cancel no-effect
    tell compensated
    """,
)
good(
    "I7",
    "a fault strikes the undo, not the participant",
    """
    submit
    send order.create key=o -> m1
    lost m1 request
    timeout m1
    send order.cancel key=o -> m2
    error m2 'connection refused'
    ack m2
    call order.cancel key=o no-effect
    tell compensated
    """,
)
good(
    "I7",
    "the participant asks to come again, and then there is an answer",
    """
    submit
    send order.create key=o -> m1
    lost m1 request
    timeout m1
    send order.cancel key=o -> m2
    error m2 'RuntimeError: in progress'
    ack m2
    call order.cancel key=o no-effect
    tell compensated
    """,
)
bad(
    "I7",
    "null undo fails",
    "the participant fails where there is nothing to undo",
    """
    submit
    send order.create key=o -> m1
    lost m1 request
    timeout m1
    send order.cancel key=o -> m2
    error m2 'KeyError: saga-1'  <--
    ack m2
    dead-letter order
    alert order
    tell stuck
    """,
    names="order.cancel for saga-1, whose order.create had not taken effect, failed: KeyError: saga-1",
    at="order C",
)
bad(
    "I7",
    "effect of a null undo",
    "the participant gives back what it had not taken",
    """
    submit
    send order.create key=o -> m1
    lost m1 request
    timeout m1
    send order.cancel key=o -> m2
    apply m2  <--
    ack m2
    tell compensated
    """,
    names="order.cancel for saga-1 changed state although order.create had not taken effect",
    at="order C",
)
bad(
    "I7",
    "no tombstone",
    "the participant forgets the undo, and the step comes late",
    """
    submit
    send order.create key=o -> m1
    timeout m1
    call order.cancel key=o no-effect
    tell compensated
    apply m1  <--
    """,
    names="order.create for saga-1 took effect although order.cancel had been carried out before",
    at="order F",
)
bad(
    "I7",
    "no tombstone",
    "the participant refuses the undo, for it finds nothing, and forgets it",
    """
    submit
    send order.create key=o -> m1
    timeout m1
    refused order.cancel key=o
    tell compensated
    apply m1  <--
    """,
    names="order.create",
    at="order F",
)
idle("I7", "every undo finds its step", UNDONE)
idle("I7", "the step was never begun; that is another matter", "submit\ncall order.cancel no-effect\ntell compensated")

# -- I8: no hanging --------------------------------------------------------------------------

good("I8", "an undone step stays undone", UNDONE)
good(
    "I8",
    "a step that comes after its undo is refused",
    """
    submit
    send order.create -> m1
    timeout m1
    call order.cancel no-effect
    reject m1
    tell compensated
    """,
)
good(
    "I8",
    "a step that had taken effect before is answered again as it was",
    """
    submit
    send order.create key=o -> m1
    apply m1
    ack m1
    refused inventory.reserve key=i
    call order.cancel key=o
    apply m1 no-effect
    tell compensated
    """,
)
good(
    "I8",
    "who knows that the step was undone asks for it anew",
    """
    submit
    send order.create key=o1 -> m1
    lost m1 request
    timeout m1
    call order.cancel key=o1 no-effect
    call order.create key=o2
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
    """,
)
good(
    "I8",
    "a process that slept is told of success again, and goes no further",
    """
    submit
    call order.create key=o
    pause 10000
    boot second
    call order.cancel key=o
    tell compensated
    as 1
    call order.create key=o no-effect
    """,
)
bad(
    "I8",
    "late success",
    "a process that slept is told of success although the step was undone, and completes the saga",
    """
    submit
    send order.create key=o -> m1
    apply m1
    lost m1 answer
    timeout m1
    boot second
    call order.cancel key=o
    as 1
    send order.create key=o -> m3
    apply m3 no-effect  <--
    ack m3
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
    """,
    names="order.create for saga-1 was answered with success, and without effect, after order.cancel",
    at="order F",
)
bad(
    "I8",
    "hanging effect",
    "a process that slept asks for what another one has undone",
    """
    submit
    send order.create key=o1 -> m1
    lost m1 request
    timeout m1
    boot second
    call order.cancel no-effect
    tell compensated
    as 1
    send order.create -> m3
    apply m3  <--
    ack m3
    """,
    names="order.create for saga-1 took effect after order.cancel had been carried out",
    at="order F",
)
bad(
    "I8",
    "hanging effect",
    "a request without a key is slow, and takes effect after its undo",
    """
    submit
    send order.create -> m1
    timeout m1
    call order.cancel no-effect
    apply m1  <--
    tell stuck
    """,
    names="order.create for saga-1 took effect after order.cancel had been carried out",
    at="order F",
)
bad(
    "I8",
    "late success",
    "a tombstone bars the step, and the participant says 'ok' all the same",
    """
    submit
    send order.create key=o -> m1
    call order.cancel key=o no-effect
    apply m1 no-effect  <--
    ack m1
    tell compensated
    """,
    names="order.create for saga-1 was answered with success, and without effect, after order.cancel",
    at="order F",
)
idle("I8", "nothing is undone", COMPLETED)

# -- I9: compensation algebra ----------------------------------------------------------------

TWICE = """
    submit
    call order.create key=o
    refused inventory.reserve key=i
    send order.cancel key=c -> m3
    apply m3
    lost m3 answer
    timeout m3
    send order.cancel key=c -> m4
    apply m4 {}
    ack m4
    tell compensated
"""
good("I9", "an undo that is asked again is answered again", TWICE.format("no-effect"))
bad(
    "I9",
    "undo takes effect again",
    "an undo that is asked again under its key is done again",
    TWICE.replace("apply m4 {}", "apply m4  <--"),
    names="order.cancel for saga-1 changed state again under the key 'c'",
    at="order C",
)
good("I9", "the key was kept for as long as was declared", "declare key_retention_ms=1\n" + TWICE.format("no-effect"))
idle("I9", "every undo is asked once", UNDONE)
idle("I9", "nothing is undone", COMPLETED)

# -- I19: data -------------------------------------------------------------------------------

CHARGED = """
    submit
    call order.create key=o
    call inventory.reserve key=i quantity=2 receipt=id:inv-1
    call payment.charge key=p amount=100 receipt=id:ch-1,amount:95
    call payment.refund key=r {refund}
    call inventory.release key=i {release}
    call order.cancel key=o
    tell compensated
"""
good(
    "I19", "what is undone is what was taken", CHARGED.format(refund="id=ch-1 amount=95", release="quantity=2 id=inv-1")
)
good(
    "I19",
    "what changes from attempt to attempt is no data",
    """
    submit
    send order.create attempt=1 -> m1
    lost m1 request
    timeout m1
    call order.create attempt=2
    refused inventory.reserve
    call order.cancel attempt=1
    tell compensated
    """,
)
good(
    "I19",
    "an id of its own that nobody else has",
    """
    submit
    call order.create key=o receipt=id:or-1
    refused inventory.reserve
    call order.cancel id=undo-of-or-1
    tell compensated
    """,
)
bad(
    "I19",
    "undo of other data",
    "what was asked is refunded, not what was captured",
    CHARGED.format(refund="amount=100  <--", release="")
    .replace("call payment.refund", "send payment.refund")
    .replace("<--", "-> m9  <--\n    apply m9\n    ack m9"),
    names="payment.refund for saga-1 says amount 100, and payment.charge took 95",
    at="payment C",
)
bad(
    "I19",
    "undo of other data",
    "another quantity is given back",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i quantity=2
    refused payment.charge key=p
    send inventory.release key=i quantity=1 -> m4  <--
    apply m4
    ack m4
    call order.cancel key=o
    tell compensated
    """,
    names="inventory.release for saga-1 says quantity 1, and inventory.reserve took 2",
    at="inventory C",
)
bad(
    "I19",
    "undo of other data",
    "another quantity is given back, at the right price",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i price=100 quantity=2 receipt=quantity:2
    refused payment.charge key=p
    send inventory.release key=i price=100 quantity=1 -> m4  <--
    apply m4
    ack m4
    call order.cancel key=o
    tell compensated
    """,
    names="inventory.release for saga-1 says quantity 1, and inventory.reserve took 2",
    at="inventory C",
)
bad(
    "I19",
    "undo of other data",
    "the undo names what another saga took",
    """
    submit
    saga-2: submit
    saga-2: call order.create key=o-2 receipt=id:or-2
    call order.create key=o receipt=id:or-1
    refused inventory.reserve key=i
    send order.cancel key=o id=or-2 -> m4  <--
    apply m4
    ack m4
    tell compensated
    saga-2: call inventory.reserve key=i-2
    saga-2: call payment.charge key=p-2
    saga-2: tell completed
    """,
    names="order.cancel for saga-1 says id 'or-2', and order.create took id 'or-1'",
    at="order C",
)
idle("I19", "the undos say nothing", UNDONE)
idle("I19", "nothing is undone", COMPLETED)
