"""Histories for I4, I5 and I11: the compensations."""

from __future__ import annotations

from .examples_effects import COMPLETED, REFUSED_AT_ONCE, UNDONE
from .tables import bad, good, idle

# -- I4: reverse order -----------------------------------------------------------------------

good("I4", "the later step is undone first, and its answer awaited", UNDONE)
good(
    "I4",
    "an undo whose answer is lost is asked again before the next one",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    refused payment.charge key=p
    send inventory.release key=i -> m4
    apply m4
    lost m4 answer
    timeout m4
    call inventory.release key=i no-effect
    call order.cancel key=o
    tell compensated
    """,
)
good(
    "I4",
    "one saga undoes two steps, another one none",
    f"{UNDONE}\nsaga-2: submit\nsaga-2: call order.create\nsaga-2: refused inventory.reserve"
    "\nsaga-2: call order.cancel\nsaga-2: tell compensated",
)
good(
    "I4",
    "a message tells that the later step was refused, before the answer does",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    send payment.charge key=p -> m3
    reject m3
    publish payment.declined cause=m3 -> n
    receive n
    send inventory.release key=i -> m4
    ack m3
    apply m4
    ack m4
    call order.cancel key=o
    handled n
    tell compensated
    """,
)
AGAIN = """
    submit
    call order.create key=o1
    send inventory.reserve key=i1 -> m2
    lost m2 request
    timeout m2
    call inventory.release key=i1 no-effect
    call order.cancel key=o1
    call order.create key=o2
    call inventory.reserve key=i2
"""
"""A saga undoes what it had begun, and begins anew."""

good(
    "I4",
    "a saga that goes forward again undoes in reverse each time",
    f"{AGAIN}\nrefused payment.charge key=p\ncall inventory.release key=i2\ncall order.cancel key=o2\ntell compensated",
)
bad(
    "I4",
    "wrong order",
    "the second rollback of a saga is the wrong way round, though the first was not",
    f"""{AGAIN}
    refused payment.charge key=p
    send order.cancel key=o2 -> m9
    apply m9  <--
    ack m9
    call inventory.release key=i2
    tell compensated
    """,
    names="order.cancel took effect before inventory.release, although inventory comes after order",
    at="order C",
)
bad(
    "I4",
    "wrong order",
    "the undos follow one another the way the steps did",
    """
    submit
    call order.create
    call inventory.reserve
    refused payment.charge
    send order.cancel -> m4
    apply m4  <--
    ack m4
    call inventory.release
    tell compensated
    """,
    names="order.cancel took effect before inventory.release, although inventory comes after order",
    at="order C",
)
bad(
    "I4",
    "wrong order",
    "both undos are sent at once; that one happens to be first does not help",
    """
    submit
    call order.create
    call inventory.reserve
    refused payment.charge
    send inventory.release -> m4
    send order.cancel -> m5
    apply m4
    apply m5  <--
    ack m4
    ack m5
    tell compensated
    """,
    names="order.cancel was sent before its sender could know that inventory.release had taken effect",
    at="order C",
)
bad(
    "I4",
    "wrong order",
    "what the first incarnation knew and never wrote down, the second does not know",
    """
    submit
    call order.create
    call inventory.reserve
    refused payment.charge
    call inventory.release
    log undone inventory
    crash
    boot
    send order.cancel -> m5
    apply m5  <--
    ack m5
    tell compensated
    """,
    names="order.cancel was sent before its sender could know that inventory.release had taken effect",
    at="order C",
)
bad(
    "I4",
    "undo before a later step settled",
    "the first step is undone while the second is in flight",
    """
    submit
    call order.create
    send inventory.reserve -> m2
    send order.cancel -> m3  <--
    reject m2
    ack m2
    apply m3
    ack m3
    tell compensated
    """,
    names="order.cancel was sent while inventory.reserve had no answer yet",
    at="order C",
)
idle(
    "I4",
    "one step is undone, so there is no order",
    """
    submit
    call order.create
    refused inventory.reserve
    call order.cancel
    tell compensated
    """,
)
idle("I4", "nothing is undone", COMPLETED)

# -- I5: compensation set exact --------------------------------------------------------------

good("I5", "what was begun is undone, what was refused is not", UNDONE)
good(
    "I5",
    "the step whose outcome is unknown is undone too",
    """
    submit
    call order.create key=o
    send inventory.reserve key=i -> m2
    lost m2 request
    timeout m2
    call inventory.release key=i no-effect
    call order.cancel key=o
    tell compensated
    """,
)
good(
    "I5",
    "a durable intent is begun enough: the crash came before the request",
    """
    submit
    write create
    write intent order
    crash
    boot
    write compensating
    call order.cancel key=o no-effect
    terminal compensated
    """,
)
bad(
    "I5",
    "leaked effect",
    "the step that failed had taken effect, and only the others are undone",
    """
    submit
    call order.create
    call inventory.reserve
    send payment.charge -> m3
    apply m3
    ack m3 error
    call inventory.release
    call order.cancel
    tell compensated  <--
    """,
    names="payment.charge for saga-1 took effect and was never undone, yet the saga was called compensated",
    at="payment F",
)
bad(
    "I5",
    "leaked effect",
    "the rollback leaves out what had taken effect, and says nothing in the end",
    """
    submit
    call order.create
    send inventory.reserve -> m2
    fault error-after-effect m2
    apply m2
    ack m2 error
    call order.cancel
    raise Unavailable port=yes
    """,
    names="inventory.reserve for saga-1 took effect and was never undone, yet the rollback ended",
    at="inventory F",
)
bad(
    "I5",
    "false terminal",
    "the step whose outcome is unknown is left out",
    """
    submit
    call order.create
    call inventory.reserve
    send payment.charge -> m3
    lost m3 request
    timeout m3
    call inventory.release
    call order.cancel
    tell compensated  <--
    """,
    names="payment.charge for saga-1 may have taken effect, nobody found out",
    at="payment F",
)
bad(
    "I5",
    "false terminal",
    "an unkeyed refusal does not speak for the attempt before it",
    """
    submit
    send order.create -> m1
    lost m1 request
    timeout m1
    refused order.create
    tell compensated  <--
    """,
    names="order.create for saga-1 may have taken effect",
    at="order F",
    follows="I6",
)
good(
    "I5",
    "whose intents are not shown undoes every step, be it begun or not, and nothing changes",
    """
    submit
    call order.create
    refused inventory.reserve
    call payment.refund no-effect
    call order.cancel
    tell compensated
    """,
)
good(
    "I5",
    "who takes over from a process that stands still undoes what that one has not sent",
    """
    submit
    call order.create key=o
    pause 10000
    boot second
    call inventory.release key=i no-effect
    call order.cancel key=o
    tell compensated
    as 1
    refused inventory.reserve key=i
    """,
)
good(
    "I5",
    "an undo that was first asked for too early takes back what a process that slept has done meanwhile",
    """
    submit
    call order.create key=o
    pause 10000
    boot second
    send inventory.release -> m2
    lost m2 request
    timeout m2
    as 1
    call inventory.reserve
    as 2
    call inventory.release
    call order.cancel key=o
    tell compensated
    """,
)
good(
    "I5", "a saga that undoes goes forward again, and completes", f"{AGAIN}\ncall payment.charge key=p\ntell completed"
)
good(
    "I5",
    "one step is undone and done anew, and the others stay",
    """
    submit
    call order.create key=o
    send inventory.reserve key=i1 -> m2
    lost m2 request
    timeout m2
    call inventory.release key=i1 no-effect
    call inventory.reserve key=i2
    call payment.charge key=p
    tell completed
    """,
)
bad(
    "I5",
    "undo of a step never begun",
    "an undo of a step that was not begun changes something",
    """
    submit
    call order.create
    refused inventory.reserve
    send payment.refund -> m3  <--
    apply m3 owner=unknown
    ack m3
    call order.cancel
    tell compensated
    """,
    names="payment.refund was sent for saga-1, whose step payment was not begun",
    at="payment C",
)
bad(
    "I5",
    "undo of a step never begun",
    "the undo is sent before the intent of the step, not after it",
    """
    submit
    send order.cancel -> m1  <--
    apply m1 no-effect
    ack m1
    write intent order
    refused order.create
    tell compensated
    """,
    names="order.cancel",
    at="order C",
)
bad(
    "I5",
    "undo of a step never begun",
    "whose intents are durable is not unsure after a crash",
    """
    submit
    write intent order
    call order.create key=o
    crash
    boot
    send payment.refund key=p -> m2  <--
    apply m2 no-effect
    ack m2
    call order.cancel key=o
    tell compensated
    """,
    names="payment.refund was sent for saga-1, whose step payment was not begun",
    at="payment C",
)
idle("I5", "nothing is to be undone", COMPLETED)

# -- I11: compensation policy ----------------------------------------------------------------

good(
    "I11",
    "an undo that fails is tried until it works",
    """
    submit
    call order.create key=o
    refused inventory.reserve key=i
    send order.cancel key=o -> m3
    error m3
    ack m3
    call order.cancel key=o
    tell compensated
    """,
)
good(
    "I11",
    "an undo that cannot be done is put aside with an alert, and the other one is done",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    refused payment.charge key=p
    send inventory.release key=i -> m4
    error m4
    ack m4
    dead-letter inventory
    alert inventory
    call order.cancel key=o
    terminal stuck
    tell stuck
    """,
)
good(
    "I11",
    "an undo is refused, and the saga goes forward again",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    send payment.charge key=p -> m3
    timeout m3
    refused inventory.release key=i
    call payment.charge key=p
    apply m3 no-effect
    tell completed
    """,
)
bad(
    "I11",
    "marked compensated",
    "an undo is put aside, and the saga calls itself compensated",
    """
    submit
    call order.create
    refused inventory.reserve
    send order.cancel -> m3
    error m3
    ack m3
    dead-letter order
    alert order
    tell compensated
    """,
    names="order.cancel for saga-1 was put aside as failed, yet the saga calls itself compensated",
    at="order C",
)
bad(
    "I11",
    "nobody called",
    "an undo is put aside, and nobody is called",
    """
    submit
    call order.create
    refused inventory.reserve
    send order.cancel -> m3
    error m3
    ack m3
    dead-letter order
    tell stuck
    """,
    names="order.cancel for saga-1 was put aside as failed and nobody was called",
    at="order C",
)
bad(
    "I11",
    "marked compensated",
    "a saga is stuck, nothing changes, and it calls itself compensated",
    """
    submit
    call order.create
    refused inventory.reserve
    send order.cancel -> m3
    error m3
    ack m3
    dead-letter order
    alert order
    tell stuck
    tell compensated
    """,
    names="order.cancel for saga-1 was put aside as failed, yet the saga calls itself compensated",
    at="order C",
)
bad(
    "I11",
    "nobody called",
    "the whole saga is put aside, and nobody is called",
    """
    submit
    call order.create
    refused inventory.reserve
    send order.cancel -> m3
    error m3
    ack m3
    dead-letter
    tell stuck
    """,
    names="order.cancel for saga-1 was put aside as failed and nobody was called",
    at="order C",
)
bad(
    "I11",
    "undo given up",
    "the recovery gives up as well",
    """
    submit
    call order.create
    refused inventory.reserve
    send order.cancel -> m3
    crash
    boot
    send order.cancel -> m4
    error m3
    error m4
    ack m4
    """,
    names="order.cancel for saga-1 failed, and was neither retried until it worked nor",
    at="order C",
)
bad(
    "I11",
    "undo given up",
    "an undo fails, and that is that",
    """
    submit
    call order.create
    refused inventory.reserve
    send order.cancel -> m3
    error m3
    ack m3
    tell compensated
    """,
    names="order.cancel for saga-1 failed, and was neither retried until it worked nor",
    at="order C",
)
bad(
    "I11",
    "undo given up",
    "neither the step nor its undo was answered, and the saga calls itself compensated",
    """
    submit
    send order.create key=o -> m1
    lost m1 request
    timeout m1
    send order.cancel key=o -> m2
    lost m2 request
    timeout m2
    tell compensated
    """,
    names="order.cancel for saga-1 got no answer, and was neither retried until it worked nor",
    at="order C",
)
bad(
    "I11",
    "undo given up",
    "a crash that comes after the end excuses nothing",
    """
    submit
    call order.create
    refused inventory.reserve
    send order.cancel -> m3
    error m3
    ack m3
    tell compensated
    crash
    boot
    """,
    names="order.cancel",
    at="order C",
)
bad(
    "I11",
    "undo kept back",
    "one undo without an answer keeps back the others",
    """
    submit
    call order.create
    call inventory.reserve
    refused payment.charge
    send inventory.release -> m4
    apply m4
    lost m4 answer
    timeout m4
    raise CallTimeout port=yes
    """,
    names="order.cancel for saga-1 was never sent, because inventory.release got no answer",
    at="order C",
)
idle("I11", "nothing is undone", REFUSED_AT_ONCE)
bad(
    "I11",
    "undo kept back",
    "a rollback passes over a step, and fails at the one before it",
    """
    submit
    call order.create
    call inventory.reserve
    refused payment.charge
    send order.cancel -> m4
    error m4
    ack m4
    dead-letter order
    alert order
    tell stuck
    """,
    names="inventory.release for saga-1 was never sent: the rollback passed over it",
    at="inventory C",
)
