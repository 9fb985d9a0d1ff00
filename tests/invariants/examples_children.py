"""Histories of sagas of which a step is a saga of its own."""

from __future__ import annotations

from sagafuzz import Saga, Step

from .tables import bad, good

SHIPMENT = Saga(
    "shipment",
    [
        Step("parcel", "warehouse.pack", undo="warehouse.unpack"),
        Step("carrier", "carrier.book", undo="carrier.cancel"),
    ],
)
ORDER = Saga(
    "order",
    [
        Step("payment", "payment.charge", undo="payment.refund"),
        Step("ship", child=SHIPMENT),
        Step("invoice", "billing.issue", undo="billing.withdraw"),
    ],
)
SHIPPED_FIRST = Saga(
    "order",
    [Step("ship", child=SHIPMENT), Step("payment", "payment.charge", undo="payment.refund")],
)

PAID_AND_SHIPPED = """
    submit
    call payment.charge key=p
    saga-1.ship: call warehouse.pack key=w
    saga-1.ship: call carrier.book key=c
    saga-1.ship: terminal completed
"""
UNSHIPPED = """
    saga-1.ship: call carrier.cancel key=c
    saga-1.ship: call warehouse.unpack key=w
    saga-1.ship: terminal compensated
"""

for id, says in {
    "I2": "the shipment is undone with its order",
    "I4": "the shipment is undone after what comes after it, and before what comes before it",
    "I5": "everything that was begun is undone, the shipment as well",
    "I11": "all that is due is undone, the shipment as well",
    "I15": "a shipment that was completed is undone with its order",
}.items():
    good(
        id,
        says,
        f"""
        {PAID_AND_SHIPPED}
        call billing.issue key=b
        call billing.withdraw key=b
        {UNSHIPPED}
        call payment.refund key=p
        terminal compensated
        tell compensated
        """,
        ORDER,
    )
good(
    "I15",
    "a shipment that could not be undone is in a person's hands, who undoes it",
    f"""
    {PAID_AND_SHIPPED}
    refused billing.issue key=b
    saga-1.ship: dead-letter
    saga-1.ship: alert
    saga-1.ship: terminal stuck
    {UNSHIPPED}
    call payment.refund key=p
    tell compensated
    """,
    ORDER,
)
good(
    "I16",
    "who asked for the shipment was told that it is completed, and later that it was undone with its order",
    f"""
    {PAID_AND_SHIPPED}
    saga-1.ship: tell completed
    refused billing.issue key=b
    {UNSHIPPED}
    saga-1.ship: tell compensated
    call payment.refund key=p
    tell compensated
    """,
    ORDER,
)
good(
    "I2",
    "what was done for the shipment by mistake, and is no step of it, was taken back",
    """
    submit
    call payment.charge key=p
    saga-1.ship: call warehouse.pack key=w
    saga-1.ship: call carrier.book key=c
    saga-1.ship: call billing.issue key=s
    saga-1.ship: call billing.withdraw key=s
    saga-1.ship: terminal completed
    call billing.issue key=b
    tell completed
    """,
    ORDER,
)
good(
    "I5",
    "the shipment was refused and undid itself: for its order it is a step that was refused",
    """
    submit
    call payment.charge key=p
    saga-1.ship: call warehouse.pack key=w
    saga-1.ship: refused carrier.book key=c
    saga-1.ship: call warehouse.unpack key=w
    saga-1.ship: terminal compensated
    call payment.refund key=p
    tell compensated
    """,
    ORDER,
)
good(
    "I5",
    "the shipment undid itself, which nobody said of it: each of its undos was answered",
    """
    submit
    call payment.charge key=p
    saga-1.ship: call warehouse.pack key=w
    saga-1.ship: refused carrier.book key=c
    saga-1.ship: call warehouse.unpack key=w
    call payment.refund key=p
    terminal compensated
    tell compensated
    """,
    ORDER,
)
good(
    "I5",
    "who was told that the shipment undid itself may undo the payment: another process hears of the same later",
    """
    submit
    call payment.charge key=p
    saga-1.ship: call warehouse.pack key=w
    saga-1.ship: refused carrier.book key=c
    saga-1.ship: send warehouse.unpack key=w -> m1
    saga-1.ship: apply m1
    saga-1.ship: call warehouse.unpack key=w no-effect
    call payment.refund key=p
    saga-1.ship: ack m1
    terminal compensated
    tell compensated
    """,
    ORDER,
)
good(
    "I5",
    "of a shipment of which nothing was asked there is nothing to undo",
    """
    submit
    write create
    call payment.charge key=p
    saga-1.ship: write create
    call payment.refund key=p
    saga-1.ship: terminal compensated
    tell compensated
    """,
    ORDER,
)
good(
    "I12",
    "a shipment is announced by its own record",
    """
    submit
    write create
    write intent payment
    call payment.charge key=p
    write outcome payment
    saga-1.ship: write create
    saga-1.ship: write intent parcel
    saga-1.ship: call warehouse.pack key=w
    saga-1.ship: write outcome parcel
    saga-1.ship: write intent carrier
    saga-1.ship: call carrier.book key=c
    saga-1.ship: terminal completed
    write intent invoice
    call billing.issue key=b
    tell completed
    """,
    ORDER,
)
good(
    "I11",
    "a shipment that cannot be undone is in a person's hands, and so is its order",
    f"""
    {PAID_AND_SHIPPED}
    refused billing.issue key=b
    saga-1.ship: send carrier.cancel key=c -> m1
    error m1
    ack m1
    saga-1.ship: dead-letter carrier
    saga-1.ship: alert carrier
    saga-1.ship: call warehouse.unpack key=w
    saga-1.ship: terminal stuck
    dead-letter ship
    alert ship
    call payment.refund key=p
    terminal stuck
    tell stuck
    """,
    ORDER,
)

bad(
    "I2",
    "child without its parent",
    "the order ends when its payment is refused, and the shipment stays",
    """
    submit
    saga-1.ship: call warehouse.pack key=w
    saga-1.ship: call carrier.book key=c
    saga-1.ship: terminal completed
    refused payment.charge key=p
    tell stuck
    """,
    names="saga-1 came to rest with its child saga-1.ship completed, and payment is not in effect",
    at="ship F",
    definition=SHIPPED_FIRST,
)
bad(
    "I2",
    "parent without its child",
    "the shipment was undone by itself, and the order is completed",
    f"""
    {PAID_AND_SHIPPED}
    {UNSHIPPED}
    call billing.issue key=b
    tell completed
    """,
    names="saga-1 came to rest with its child saga-1.ship undone, and payment and invoice are in effect",
    at="ship C",
    definition=ORDER,
)
bad(
    "I2",
    "step of another saga",
    "the shipment is taken up as an order, and invoiced by itself",
    """
    submit
    call payment.charge key=p
    saga-1.ship: call warehouse.pack key=w
    saga-1.ship: call carrier.book key=c
    saga-1.ship: send billing.issue key=s -> m1
    saga-1.ship: apply m1  <--
    saga-1.ship: ack m1
    saga-1.ship: terminal completed
    call billing.issue key=b
    tell completed
    """,
    names="saga-1.ship is a saga 'shipment', and came to rest with invoice in effect, which is no step of it",
    saga="saga-1.ship",
    at="invoice F",
    definition=ORDER,
)
bad(
    "I4",
    "wrong order",
    "the payment is given back before the shipment is undone",
    f"""
    {PAID_AND_SHIPPED}
    refused billing.issue key=b
    send payment.refund key=p -> m1
    apply m1  <--
    ack m1
    {UNSHIPPED}
    tell compensated
    """,
    names="payment.refund took effect before shipment (undo), although ship comes after payment",
    at="payment C",
    definition=ORDER,
)
bad(
    "I4",
    "wrong order",
    "the shipment is called compensated before the answer to its last undo has come, and the payment is given back",
    f"""
    {PAID_AND_SHIPPED}
    refused billing.issue key=b
    saga-1.ship: call carrier.cancel key=c
    saga-1.ship: send warehouse.unpack key=w -> m1
    saga-1.ship: apply m1
    saga-1.ship: terminal compensated
    send payment.refund key=p -> m2
    apply m2  <--
    ack m2
    saga-1.ship: ack m1
    tell compensated
    """,
    names="payment.refund was sent before its sender could know that shipment (undo) had taken effect",
    at="payment C",
    definition=ORDER,
)
bad(
    "I4",
    "undo before a later step settled",
    "the payment is given back while the shipment is under way",
    """
    submit
    call payment.charge key=p
    saga-1.ship: call warehouse.pack key=w
    send payment.refund key=p -> m1  <--
    apply m1
    ack m1
    saga-1.ship: refused carrier.book key=c
    saga-1.ship: call warehouse.unpack key=w
    saga-1.ship: terminal compensated
    tell compensated
    """,
    names="payment.refund was sent while shipment had no answer yet",
    at="payment C",
    definition=ORDER,
)
bad(
    "I5",
    "leaked effect",
    "the rollback knows the steps that ask participants, and not the shipment",
    f"""
    {PAID_AND_SHIPPED}
    refused billing.issue key=b
    call payment.refund key=p
    tell compensated  <--
    """,
    names="shipment for saga-1 took effect and was never undone",
    at="ship F",
    definition=ORDER,
)
bad(
    "I6",
    "unknown taken for success",
    "the invoice goes out although the shipment had no end",
    """
    submit
    call payment.charge key=p
    saga-1.ship: send warehouse.pack key=w -> m1
    timeout m1
    saga-1.ship: dead-letter
    saga-1.ship: alert
    saga-1.ship: terminal stuck
    send billing.issue key=b -> m2  <--
    apply m2
    ack m2
    dead-letter
    alert
    """,
    names="billing.issue for saga-1 was sent although nobody knew whether shipment had taken effect",
    at="invoice F",
    definition=ORDER,
)
bad(
    "I11",
    "marked compensated",
    "the shipment is in a person's hands, and the order calls itself compensated",
    f"""
    {PAID_AND_SHIPPED}
    refused billing.issue key=b
    saga-1.ship: send carrier.cancel key=c -> m1
    error m1
    ack m1
    saga-1.ship: dead-letter carrier
    saga-1.ship: alert carrier
    saga-1.ship: dead-letter parcel
    saga-1.ship: alert parcel
    saga-1.ship: terminal stuck
    call payment.refund key=p
    tell compensated
    """,
    names="shipment (undo) for saga-1 was put aside as failed, yet the saga calls itself compensated",
    at="ship C",
    definition=ORDER,
)
bad(
    "I12",
    "create not durable",
    "the shipment is begun before the order's record is durable",
    """
    submit
    log create
    saga-1.ship: send warehouse.pack key=w -> m1  <--
    durable create
    saga-1.ship: apply m1
    saga-1.ship: ack m1
    saga-1.ship: call carrier.book key=c
    call payment.charge key=p
    tell completed
    """,
    names="shipment for saga-1 was sent before the record 'create' was durable",
    at="ship F",
    definition=SHIPPED_FIRST,
)
bad(
    "I15",
    "effect after the end",
    "the shipment begins when its order is over",
    """
    submit
    call payment.charge key=p
    call payment.refund key=p
    tell compensated
    saga-1.ship: call warehouse.pack key=w
    saga-1.ship: call carrier.book key=c
    saga-1.ship: terminal completed  <--
    """,
    names="shipment for saga-1 took effect after the saga was called compensated",
    at="ship F",
    definition=ORDER,
)
bad(
    "I15",
    "two ends",
    "the shipment was undone with its order, and its own process calls it completed again",
    f"""
    {PAID_AND_SHIPPED}
    refused billing.issue key=b
    {UNSHIPPED}
    call payment.refund key=p
    tell compensated
    saga-1.ship: terminal completed  <--
    """,
    names="saga-1.ship was called compensated, and later completed",
    saga="saga-1.ship",
    definition=ORDER,
)
bad(
    "I15",
    "effect after the end",
    "the shipment is undone once more when it was called compensated",
    f"""
    {PAID_AND_SHIPPED}
    refused billing.issue key=b
    saga-1.ship: call carrier.cancel key=c
    saga-1.ship: terminal compensated
    saga-1.ship: send warehouse.unpack key=w -> m1
    saga-1.ship: apply m1  <--
    saga-1.ship: ack m1
    call payment.refund key=p
    tell compensated
    """,
    names="warehouse.unpack for saga-1.ship took effect after the saga was called compensated",
    saga="saga-1.ship",
    at="parcel C",
    definition=ORDER,
)
bad(
    "I23",
    "hollow success",
    "the order is called completed before its shipment is",
    """
    submit
    call payment.charge key=p
    saga-1.ship: call warehouse.pack key=w
    call billing.issue key=b
    tell completed  <--
    saga-1.ship: call carrier.book key=c
    saga-1.ship: terminal completed
    """,
    names="saga-1 was called completed, but shipment had not taken effect",
    at="ship F",
    definition=ORDER,
)

bad(
    "I1",
    "duplicate effect",
    "the shipment is packed twice, and its undo answered: that it stands is no undo that was given up",
    """
    submit
    call payment.charge key=p
    saga-1.ship: call warehouse.pack
    saga-1.ship: send warehouse.pack -> m1
    saga-1.ship: apply m1 <--
    saga-1.ship: ack m1
    saga-1.ship: call carrier.book key=c
    refused billing.issue key=b
    saga-1.ship: call carrier.cancel key=c
    saga-1.ship: call warehouse.unpack
    call payment.refund key=p
    tell compensated
    """,
    names="warehouse.pack",
    saga="saga-1.ship",
    at="parcel F",
    definition=ORDER,
)
