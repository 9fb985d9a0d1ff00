"""Histories for I12 and I13: what is durable."""

from __future__ import annotations

from .examples_effects import COMPLETED, PIVOT_FIRST
from .tables import bad, good, idle

# -- I12: write ahead ------------------------------------------------------------------------

good(
    "I12",
    "each record is durable before the act that it announces",
    """
    submit
    write create
    tell pending
    write intent order
    call order.create key=o
    write outcome order
    write intent inventory
    refused inventory.reserve key=i
    write compensating
    call order.cancel key=o
    write terminal
    terminal compensated
    tell compensated
    """,
)
good(
    "I12",
    "kinds of records that the adapter does not name are not asked for",
    """
    submit
    write intent order
    call order.create key=o
    write intent inventory
    call inventory.reserve key=i
    write intent payment
    refused payment.charge key=p
    call inventory.release key=i
    call order.cancel key=o
    tell compensated
    """,
)
good(
    "I12",
    "a step that was left out has no outcome to wait for",
    """
    submit
    call order.create key=o
    write outcome order
    refused payment.charge key=p
    call order.cancel key=o
    tell compensated
    """,
)
good(
    "I12",
    "a record that another process writes again, and loses, still stands as it was first written",
    """
    boot
    submit
    write create
    write intent order
    boot second
    write intent order
    lost-write intent order
    crash
    as 1
    call order.create key=o
    write intent inventory
    call inventory.reserve key=i
    write intent payment
    call payment.charge key=p
    tell completed
    """,
)
bad(
    "I12",
    "intent not durable",
    "the only write of a record is lost",
    """
    boot
    submit
    write create
    write intent order
    lost-write intent order
    send order.create key=o -> m1  <--
    apply m1
    ack m1
    write intent inventory
    call inventory.reserve key=i
    write intent payment
    call payment.charge key=p
    tell completed
    """,
    names="order.create for saga-1 was sent before the record 'intent order' was durable",
    at="order F",
)
bad(
    "I12",
    "create not durable",
    "the first request is sent before the saga is durable; told once",
    """
    submit
    send order.create key=o -> m1  <--
    apply m1
    ack m1
    call inventory.reserve key=i
    write create
    call payment.charge key=p
    tell completed
    """,
    names="order.create for saga-1 was sent before the record 'create' was durable",
    at="order F",
)
bad(
    "I12",
    "create not durable",
    "the record is asked for and the request does not wait for it",
    """
    submit
    log create
    send order.create key=o -> m1  <--
    durable create
    apply m1
    ack m1
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
    """,
    names="order.create",
    at="order F",
)
bad(
    "I12",
    "create not durable",
    "the client is answered before the saga is durable",
    """
    submit
    tell pending  <--
    write create
    call order.create key=o
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
    """,
    names="the client of saga-1 was answered before the record 'create' was durable",
)
bad(
    "I12",
    "create not durable",
    "neither the client nor the first participant waits for the saga to be durable; told once",
    """
    submit
    tell pending
    send order.create key=o -> m1  <--
    apply m1
    ack m1
    write create
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
    """,
    names="order.create for saga-1 was sent before the record 'create' was durable",
    at="order F",
)
bad(
    "I12",
    "intent not durable",
    "a request is sent before its intent is durable",
    """
    submit
    write intent order
    call order.create key=o
    send inventory.reserve key=i -> m2  <--
    apply m2
    ack m2
    write intent inventory
    write intent payment
    call payment.charge key=p
    tell completed
    """,
    names="inventory.reserve for saga-1 was sent before the record 'intent inventory' was durable",
    at="inventory F",
)
bad(
    "I12",
    "outcome not durable",
    "the next request is sent before the outcome that it builds on is durable",
    """
    submit
    call order.create key=o
    write outcome order
    call inventory.reserve key=i
    send payment.charge key=p -> m3  <--
    apply m3
    ack m3
    write outcome inventory
    tell completed
    """,
    names="payment.charge for saga-1 was sent before the record 'outcome inventory' was durable",
    at="payment F",
)
bad(
    "I12",
    "compensating not durable",
    "the first undo is sent before the decision to compensate is durable",
    """
    submit
    call order.create key=o
    refused inventory.reserve key=i
    send order.cancel key=o -> m3  <--
    apply m3
    ack m3
    write compensating
    tell compensated
    """,
    names="order.cancel for saga-1 was sent before the record 'compensating' was durable",
    at="order C",
)
idle("I12", "the adapter shows no log", COMPLETED)
idle("I12", "the saga is durable, and nothing is asked for it", "submit\nwrite create")
idle(
    "I12",
    "the adapter's records are of kinds that say nothing of an order",
    """
    submit
    write progress
    call order.create
    write progress
    call inventory.reserve
    call payment.charge
    tell completed
    """,
)

# -- I13: no zombie --------------------------------------------------------------------------

good(
    "I13",
    "the next incarnation takes the saga up and completes it",
    """
    submit
    write create
    call order.create key=o
    crash
    boot
    call order.create key=o no-effect
    call inventory.reserve key=i
    call payment.charge key=p
    terminal completed
    """,
)
good(
    "I13",
    "the next incarnation puts the saga aside and calls a person",
    """
    submit
    write create
    write intent order
    crash
    boot
    dead-letter
    alert
    """,
)
good("I13", "the next incarnation says that it is over", "submit\nwrite create\ncrash\nboot\ntell compensated")
good(
    "I13",
    "a saga whose record was deleted before the crash was over",
    """
    submit
    write create
    refused order.create key=o
    write delete
    crash
    boot
    """,
)
idle(
    "I13",
    "no process died: the harness started it anew",
    "submit\nwrite create\ncall order.create\ncrash 'final restart'\nboot",
)
bad(
    "I13",
    "zombie",
    "an effect stands, and nobody takes the saga up",
    """
    submit
    call order.create
    crash  <--
    boot
    """,
    names="saga-1 was in flight when the orchestrator died, and nobody took it up again: order in effect",
    at="order F",
)
bad(
    "I13",
    "zombie",
    "the saga is durable and nothing comes of it; the last crash counts",
    """
    submit
    write create
    crash
    boot
    crash  <--
    boot
    """,
    names="its record is durable, and nothing was done for it",
)
bad(
    "I13",
    "zombie",
    "the decision to compensate is durable, and nothing comes of it",
    """
    submit
    write create
    write intent order
    refused order.create
    write outcome order
    write compensating
    crash  <--
    boot
    """,
    names="its record is durable, and nothing was done for it",
)
good(
    "I13",
    "recovery asks what became of the saga, finds that nothing did, and ends it",
    """
    submit
    write create
    crash
    boot
    call order.status query
    write delete
    """,
)
good(
    "I13",
    "a saga whose steps were all done asks for no more than a question",
    """
    submit
    write create
    call order.create
    call inventory.reserve
    call payment.charge
    crash
    boot
    call payment.status query
    call payment.status query
    """,
)
bad(
    "I13",
    "zombie",
    "a sweeper asks about the saga, and goes on with nothing",
    """
    submit
    write create
    call order.create
    crash  <--
    boot
    call order.status query
    call order.status query
    """,
    names="after that it was only asked about: order in effect",
    at="order F",
)
bad(
    "I13",
    "zombie",
    "a saga of which nothing was begun is asked about, and nothing comes of it",
    """
    submit
    write create
    crash  <--
    boot
    call order.status query
    """,
    names="after that it was only asked about: its record is durable, and nothing was done for it",
)
bad(
    "I13",
    "zombie",
    "recovery says that it takes the saga up, and does not",
    """
    submit
    write create
    crash  <--
    boot
    adopt
    """,
    names="nothing came of it when it was taken up again: its record is durable, and nothing was done for it",
)
bad(
    "I13",
    "zombie",
    "what recovery does for one saga does not help another",
    """
    submit
    saga-2: submit
    call order.create
    saga-2: call order.create
    crash  <--
    boot
    saga-2: call order.cancel
    saga-2: tell compensated
    """,
    names="saga-1 was in flight",
    at="order F",
)
bad(
    "I13",
    "zombie",
    "the pivot took effect, and nobody goes on",
    """
    submit
    call payment.charge
    crash  <--
    boot
    """,
    names="payment in effect",
    at="payment F",
    definition=PIVOT_FIRST,
)
idle("I13", "nothing crashes", COMPLETED)
idle("I13", "the crash comes after the end", f"{COMPLETED}\ncrash\nboot")
idle(
    "I13",
    "the order comes after the crash",
    """
    boot
    crash
    submit
    boot
    refused order.create
    tell compensated
    """,
)
