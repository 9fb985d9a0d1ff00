"""Histories for I1, I2, I3, I17 and I18: what the participants applied."""

from __future__ import annotations

from sagafuzz import Saga, Step

from .tables import bad, good, idle

COMPLETED = """
    submit
    call order.create key=o
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
"""
REFUSED_AT_ONCE = """
    submit
    refused order.create key=o
    tell compensated
"""
UNDONE = """
    submit
    call order.create key=o
    call inventory.reserve key=i
    refused payment.charge key=p
    call inventory.release key=i
    call order.cancel key=o
    tell compensated
"""
HALF_WAY = """
    submit
    call order.create
    send inventory.reserve -> m2
    lost m2 request
    timeout m2
    raise CallTimeout port=yes
"""

# -- I1: at most once ------------------------------------------------------------------------

good(
    "I1",
    "a retry under the same key takes effect once",
    """
    submit
    send order.create key=o -> m1
    apply m1
    lost m1 answer
    timeout m1
    send order.create key=o -> m2
    apply m2 no-effect
    ack m2
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
    """,
)
good(
    "I1",
    "a retry after a request that was lost is asked twice and delivered once",
    """
    submit
    send order.create key=o -> m1
    lost m1 request
    timeout m1
    refused order.create key=o
    tell compensated
    """,
)
good(
    "I1",
    "a duplicate that the participant knows again takes no effect",
    """
    submit
    send order.create key=o -> m1
    apply m1
    apply m1 no-effect
    ack m1
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
    """,
)
good(
    "I1",
    "two sagas, two steps and two directions have a key each",
    """
    submit
    saga-2: submit
    call order.create key=saga-1
    saga-2: call order.create key=saga-2
    send inventory.reserve key=saga-1 -> m3
    error m3
    ack m3
    send inventory.reserve key=saga-1 -> m4
    reject m4
    ack m4
    call order.cancel key=saga-1
    saga-2: call inventory.reserve key=saga-2
    saga-2: call payment.charge key=saga-2
    tell compensated
    saga-2: tell completed
    """,
)
bad(
    "I1",
    "duplicate effect",
    "a charge that is sent again under a new key is charged twice",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    send payment.charge key=p-1 -> m3
    apply m3
    lost m3 answer
    timeout m3
    send payment.charge key=p-2 -> m4
    apply m4  <--
    ack m4
    tell completed
    """,
    names="payment.charge for saga-1 took effect 2 times",
    at="payment F",
)
bad(
    "I1",
    "duplicate effect",
    "a charge without a key that is delivered twice is charged twice",
    """
    submit
    call order.create
    call inventory.reserve
    send payment.charge -> m3
    apply m3
    apply m3  <--
    ack m3
    tell completed
    """,
    names="payment.charge for saga-1 took effect 2 times",
    at="payment F",
)
bad(
    "I1",
    "duplicate effect",
    "an undo without a key that is delivered twice gives back twice",
    """
    submit
    call order.create
    refused inventory.reserve
    send order.cancel -> m3
    apply m3
    apply m3  <--
    ack m3
    tell compensated
    """,
    names="order.cancel for saga-1 took effect 2 times; at most 1 is allowed",
    at="order C",
)
bad(
    "I1",
    "duplicate effect",
    "what took effect twice may be undone twice",
    """
    submit
    send order.create -> m1
    apply m1
    apply m1  <--
    ack m1
    refused inventory.reserve
    call order.cancel
    call order.cancel
    tell compensated
    """,
    names="order.create for saga-1 took effect 2 times",
    at="order F",
)
bad(
    "I1",
    "key reused",
    "two sagas share a key",
    """
    submit
    saga-2: submit
    call order.create key=o
    call inventory.reserve key=i
    call payment.charge key=p
    saga-2: send order.create key=o -> n1  <--
    apply n1
    ack n1
    saga-2: call inventory.reserve key=i-2
    saga-2: call payment.charge key=p-2
    tell completed
    saga-2: tell completed
    """,
    names="order.create for saga-2 carries the key 'o', which was used for saga-1",
    saga="saga-2",
    at="order F",
)
bad(
    "I1",
    "key reused",
    "the second attempt carries the key of the first and another amount",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    send payment.charge key=p amount=100 -> m3
    apply m3
    lost m3 answer
    timeout m3
    send payment.charge key=p amount=200 -> m4  <--
    apply m4 no-effect
    ack m4
    tell completed
    """,
    names="payment.charge for saga-1 carries the key 'p', which was used for another payload",
    at="payment F",
)
good(
    "I1",
    "what was undone is done again by who knows that it was",
    """
    submit
    call order.create
    call order.cancel
    call order.create
    call inventory.reserve key=i
    send payment.charge key=p -> m5
    apply m5
    apply m5 no-effect
    ack m5
    tell completed
    """,
)
bad(
    "I1",
    "duplicate effect",
    "an undo is asked for again under another key",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i
    refused payment.charge key=p
    send inventory.release key=r1 -> m4
    apply m4
    lost m4 answer
    timeout m4
    send inventory.release key=r2 -> m5
    apply m5 owner=unknown  <--
    ack m5
    call order.cancel key=c
    tell compensated
    """,
    names="inventory.release for saga-1 took effect 2 times; at most 1 is allowed",
    at="inventory C",
)
INSTALMENTS = Saga(
    "instalments",
    [
        Step("deposit", "payment.charge_deposit", undo="payment.refund_deposit"),
        Step("balance", "payment.charge_balance", undo="payment.refund_balance"),
    ],
)
bad(
    "I1",
    "key reused",
    "two intents of one saga share a key, and a payment gateway knows a key whatever the operation",
    """
    submit
    call payment.charge_deposit key=p amount=30
    send payment.charge_balance key=p amount=70 -> m2  <--
    apply m2
    ack m2
    tell completed
    """,
    names="payment.charge_balance for saga-1 carries the key 'p', which was used for payment.charge_deposit before",
    at="balance F",
    definition=INSTALMENTS,
)
good(
    "I1",
    "keys are each operation's apart, as declared",
    """
    declare key_scope=payment:=operation
    submit
    call payment.charge_deposit key=p amount=30
    send payment.charge_balance key=p amount=70 -> m2
    apply m2
    apply m2 no-effect
    ack m2
    tell completed
    """,
    INSTALMENTS,
)
good(
    "I1",
    "keys are each account's apart, as declared",
    """
    declare key_scope=payment:=account
    submit
    call payment.charge_deposit key=p account=one
    send payment.charge_balance key=p account=other -> m2
    apply m2
    apply m2 no-effect
    ack m2
    tell completed
    """,
    INSTALMENTS,
)
idle("I1", "everything is asked once and delivered once", COMPLETED)
idle(
    "I1",
    "queries may be asked again and again, they are no steps",
    """
    submit
    call order.status query
    call order.status query
    call payment.status query
    refused order.create
    tell compensated
    """,
)

# -- I2: semantic atomicity ------------------------------------------------------------------

good("I2", "a completed saga has every step in effect", COMPLETED)
good("I2", "a compensated saga has no step in effect", UNDONE)
good(
    "I2",
    "what is left is in the hands of a person",
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
    """,
)
good(
    "I2",
    "what is left is in the hands of a person, who was called to the whole saga",
    """
    submit
    call order.create key=o
    refused inventory.reserve key=i
    dead-letter
    alert
    tell stuck
    """,
)
bad(
    "I2",
    "partial",
    "the saga stops half way",
    HALF_WAY,
    names="order in effect and inventory and payment not",
    at="order F",
)
PIVOT_FIRST = Saga(
    "paid", [Step("payment", "payment.charge", pivot=True), Step("shipping", "shipping.send", retriable=True)]
)
STUCK = """
    submit
    call order.create key=o
    refused inventory.reserve key=i
    {people}
    tell stuck
"""
for people, said in (("", "no person was called"), ("alert", "nothing was put aside")):
    bad(
        "I2",
        "nobody called",
        f"it is called stuck, and {said}",
        STUCK.format(people=people),
        names=f"came to rest with order in effect and inventory and payment not; it was called stuck, and {said}",
        at="order F",
    )
bad(
    "I2",
    "partial",
    "the saga stops after its pivot, which nothing undoes",
    """
    submit
    call payment.charge key=p
    send shipping.send key=s -> m2
    lost m2 request
    timeout m2
    raise CallTimeout port=yes
    """,
    names="payment in effect and shipping not",
    at="payment F",
    definition=PIVOT_FIRST,
    follows="I10",
)
BRANCHES = Saga(
    "branches",
    [
        Step("payment", "payment.charge", pivot=True, after=()),
        Step("inventory", "inventory.reserve", undo="inventory.release", after=()),
    ],
)
bad(
    "I2",
    "nobody called",
    "the pivot of one branch took effect, and the other branch was refused",
    """
    submit
    call payment.charge key=p
    refused inventory.reserve key=i
    tell stuck
    """,
    names="payment in effect and inventory not",
    at="payment F",
    definition=BRANCHES,
)
idle("I2", "nothing took effect", REFUSED_AT_ONCE)

good(
    "I1",
    "what expired may be reserved again",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i -> m2
    expire m2
    call inventory.reserve key=i-2
    call payment.charge key=p
    tell completed
    """,
)
bad(
    "I2",
    "partial",
    "a reservation runs out, and the saga is completed without it",
    """
    submit
    call order.create key=o
    call inventory.reserve key=i -> m2
    call payment.charge key=p
    expire m2
    tell completed
    """,
    names="order and payment in effect and inventory not",
    at="payment F",
)

# -- I3: eventual release --------------------------------------------------------------------

good(
    "I3",
    "a lock is given back",
    """
    submit
    send order.create key=o -> m1
    apply m1
    hold m1 row-7
    ack m1
    refused inventory.reserve key=i
    send order.cancel key=o -> m3
    apply m3
    release m3 row-7
    ack m3
    tell compensated
    """,
)
bad(
    "I3",
    "lock left",
    "the undo gives back what was taken, and not the lock",
    """
    submit
    send order.create key=o -> m1
    apply m1
    hold m1 row-7  <--
    ack m1
    refused inventory.reserve key=i
    call order.cancel key=o
    tell compensated
    """,
    names="order holds row-7 locked for saga-1",
    at="order F",
)

good("I3", "a saga that ends holds nothing that it does not own", UNDONE)
good(
    "I3",
    "the client is told 'pending', and later the outcome",
    """
    submit
    tell pending
    call order.create key=o
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
    """,
)
POLLED = "the client is told 'pending' and polls; the participants show that"
good("I3", f"{POLLED} nothing was begun", "submit\ntell pending\nrefused order.create key=o")
good("I3", f"{POLLED} all is done", COMPLETED.replace("submit", "submit\ntell pending").replace("tell completed", ""))
good("I3", f"{POLLED} all is undone", UNDONE.replace("submit", "submit\ntell pending").replace("tell compensated", ""))
good("I3", "the client is told 'pending', and later that the saga is stuck", "submit\ntell pending\ntell stuck")
good("I3", "the client is told 'pending', and a person is called", "submit\ntell pending\ndead-letter\nalert")
bad(
    "I3",
    "still running",
    "a crash, all is at rest, all is done, and the saga is still called running",
    COMPLETED.replace("tell completed", "crash\nboot\nrunning  <--"),
    names="saga-1 is still called running, and nothing is done for it any more",
)
bad(
    "I3",
    "stuck until a restart",
    "all is done, and the saga is called running until the harness starts the process anew",
    COMPLETED.replace("tell completed", "running\ncrash 'final restart'  <--\nboot\ntell completed"),
    names="saga-1 came to rest and was called running, nobody went on with it, and only a restart at the end freed it",
)
bad(
    "I3",
    "orphan",
    "what was taken is never given back",
    HALF_WAY,
    names="what order.create took for saga-1 is never given back",
    at="order F",
    follows="I2",
)
bad(
    "I3",
    "never ends",
    "the client is told 'pending', and nothing comes of it",
    """
    submit
    tell pending
    """,
    names="the client of saga-1 was told 'pending'",
)
bad(
    "I3",
    "never ends",
    "the client is told 'pending', and the saga stops after a check that leaves nothing to undo",
    """
    submit
    tell pending
    call fraud.check
    """,
    names="the client of saga-1 was told 'pending'",
    definition=Saga("checked", [Step("check", "fraud.check"), Step("order", "order.create", undo="order.cancel")]),
)
STRANDED = """
    boot
    submit
    call order.create key=o
    tell pending
    {0}
    crash 'final restart'  {1}
    boot heal
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
"""
bad(
    "I3",
    "stuck until a restart",
    "a saga waits with its process alive, and only a restart gets it going",
    STRANDED.format("", "<--"),
    names="saga-1 came to rest with order in effect and inventory and payment not",
    at="order F",
)
good("I3", "a supervisor restarts what is stuck", STRANDED.format("declare supervised=yes", ""))
good(
    "I3",
    "a process died and none was started since: the harness's restart is the one that every system is given",
    STRANDED.format("boot second\nas 1\ncrash crash-after-send\nas 2", ""),
)
good(
    "I3",
    "the harness restarts a process in which all is done already",
    """
    boot
    submit
    call order.create key=o
    call inventory.reserve key=i
    call payment.charge key=p
    crash 'final restart'
    boot heal
    tell completed
    """,
)
idle("I3", "no saga was asked for", "boot")

# -- I17: conservation -----------------------------------------------------------------------

good(
    "I17",
    "what is taken was free, and comes back",
    """
    submit
    call order.create
    send inventory.reserve -> m2
    apply m2 balance=stock/item-1/9/1/1/10
    ack m2
    refused payment.charge
    send inventory.release -> m4
    apply m4 balance=stock/item-1/10/0/0/10
    ack m4
    call order.cancel
    tell compensated
    """,
)
good(
    "I17",
    "the last piece is taken",
    """
    submit
    call order.create
    send inventory.reserve -> m2
    apply m2 balance=stock/item-1/0/1/1/1
    ack m2
    call payment.charge
    tell completed
    """,
)
good(
    "I17",
    "an account holds what was put there until it is taken",
    """
    submit
    call order.create
    call inventory.reserve
    send payment.charge -> m3
    entry m3 captured 100 100
    apply m3
    ack m3
    send payment.refund -> m4
    entry m4 captured -100 0
    apply m4
    ack m4
    call inventory.release
    call order.cancel
    tell compensated
    """,
)
bad(
    "I17",
    "less than nothing",
    "an account comes to hold less than nothing",
    """
    submit
    call order.create
    call inventory.reserve
    send payment.charge -> m3
    entry m3 captured 100 100
    apply m3
    ack m3
    send payment.refund -> m4
    entry m4 captured -110 -10  <--
    apply m4
    ack m4
    call inventory.release
    call order.cancel
    tell compensated
    """,
    names="payment took 110 from 'captured' of saga-1, which held 100",
    at="payment C",
)
bad(
    "I17",
    "stock not conserved",
    "less than nothing is taken",
    """
    submit
    call order.create
    send inventory.reserve -> m2
    apply m2 balance=stock/item-1/11/-1/-1/10  <--
    ack m2
    call payment.charge
    tell completed
    """,
    names="inventory holds 11 free and -1 taken",
    at="inventory F",
)
bad(
    "I17",
    "stock not conserved",
    "the counter says more than its rows",
    """
    submit
    call order.create
    send inventory.reserve -> m2
    apply m2 balance=stock/item-1/8/2/1/10  <--
    ack m2
    call payment.charge
    tell completed
    """,
    names="after inventory.reserve for saga-1, inventory holds 8 free and 2 taken of item-1, which had 10",
    at="inventory F",
)
bad(
    "I17",
    "money not conserved",
    "money is made",
    """
    submit
    call order.create
    call inventory.reserve
    send payment.charge -> m3
    apply m3 balance=money/customer/1000/100/100/1000  <--
    ack m3
    tell completed
    """,
    names="after payment.charge for saga-1, payment holds 1000 free and 100 taken",
    at="payment F",
)
bad(
    "I17",
    "stock not conserved",
    "more is taken than there is; told once, at the first event that shows it",
    """
    submit
    call order.create
    send inventory.reserve -> m2
    apply m2 balance=stock/item-1/-1/11/11/10  <--
    ack m2
    refused payment.charge
    send inventory.release -> m4
    apply m4 balance=stock/item-1/-1/11/11/10
    ack m4
    call order.cancel
    tell compensated
    """,
    names="inventory.reserve",
    at="inventory F",
)
idle("I17", "the participants show no counters", COMPLETED)

# -- I18: ownership --------------------------------------------------------------------------

good("I18", "a saga gives back what it took", UNDONE)
bad(
    "I18",
    "undo of another's",
    "an undo without an id takes the row of another saga",
    """
    submit
    saga-2: submit
    call order.create
    saga-2: call order.create
    refused inventory.reserve
    send order.cancel -> m4
    apply m4 owner=saga-2  <--
    ack m4
    saga-2: call inventory.reserve
    saga-2: call payment.charge
    tell compensated
    saga-2: tell completed
    """,
    names="order.cancel for saga-1 took effect on what saga-2 holds",
    at="order C",
)
bad(
    "I18",
    "undo of nothing",
    "an undo adds to the counters although nothing was taken",
    """
    submit
    refused order.create
    send order.cancel -> m2
    apply m2 owner=nobody  <--
    ack m2
    tell compensated
    """,
    names="order.cancel for saga-1 took effect although order.create had taken nothing",
    at="order C",
)
idle(
    "I18",
    "the participant does not show whose row it was",
    "submit\ncall order.create\nrefused inventory.reserve\nsend order.cancel -> m3\napply m3 owner=unknown\nack m3\n"
    "tell compensated",
)
idle("I18", "nothing is undone", COMPLETED)
idle(
    "I18",
    "an undo that comes first changes nothing",
    """
    submit
    send order.create key=o -> m1
    lost m1 request
    timeout m1
    call order.cancel key=o no-effect
    tell compensated
    """,
)


# -- who acts beside the orchestrator --------------------------------------------------------

bad(
    "I1",
    "duplicate effect",
    "a clerk puts the goods back in stock, and then the cancellation does so again",
    """
    declare actors=clerk
    submit
    call order.create key=o
    call inventory.reserve key=i
    as clerk
    call inventory.release key=return-1
    as 1
    refused payment.charge key=p
    send inventory.release key=i -> m9
    apply m9  <--
    ack m9
    call order.cancel key=o
    tell compensated
    """,
    names="took effect 2 times; at most 1 is allowed: by the clerk, then by the orchestrator",
    at="inventory C",
)
good(
    "I1",
    "a clerk asks for a step anew that was undone, and means it",
    """
    declare actors=clerk
    submit
    call order.create key=o
    call inventory.reserve key=i
    call inventory.release key=i
    as clerk
    call inventory.reserve key=again
    as 1
    call payment.charge key=p
    tell completed
    """,
)
good(
    "I2",
    "what a clerk does to a saga that was put aside is in people's hands",
    """
    declare actors=clerk
    submit
    call order.create key=o
    call inventory.reserve key=i
    as clerk
    call payment.charge key=p
    as 1
    dead-letter order
    dead-letter inventory
    alert order
    alert inventory
    tell stuck
    """,
)
bad(
    "I1",
    "key reused",
    "of two sagas the one that asks later reuses the key, though it was begun first",
    """
    submit
    saga-2: submit
    saga-2: call order.create key=same
    send order.create key=same -> m9  <--
    apply m9
    ack m9
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
    saga-2: call inventory.reserve key=i2
    saga-2: call payment.charge key=p2
    saga-2: tell completed
    """,
    names="order.create for saga-1 carries the key 'same', which was used for saga-2 before",
    at="order F",
)
