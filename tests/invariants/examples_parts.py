"""Histories of steps of several parts, with amounts, and of steps that use up another."""

from __future__ import annotations

from dataclasses import replace

from sagafuzz import OneOf, Optional, Saga, Step

from .tables import bad, good

LINES = Saga(
    "order",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("reserve", "inventory.reserve", undo="inventory.release", many=True),
        Step("ship", "shipping.send", undo="shipping.recall"),
    ],
)
ANY_LINE = Saga("order", [replace(step, needs="any") if step.many else step for step in LINES.steps])

PAYMENT = Saga(
    "payment",
    [
        Step("hold", "bank.hold", undo="bank.void", amount="amount"),
        Step("capture", "bank.capture", undo="bank.refund", amount="amount", consumes="hold"),
        Step("parcel", "shipping.pack", undo="shipping.unpack"),
    ],
)
IN_PARTS = Saga(
    "payment",
    [
        Step("hold", "bank.hold", undo="bank.void", amount="amount"),
        Step("capture", "bank.capture", undo="bank.refund", amount="amount", consumes="hold", many=True),
    ],
)

# -- parts -----------------------------------------------------------------------------------

good(
    "I1",
    "each line once, though one is asked for twice",
    """
    submit
    call order.create key=o
    call inventory.reserve part=line-1 key=a item=bolt
    send inventory.reserve part=line-2 key=b item=nut -> m1
    apply m1
    timeout m1
    call inventory.reserve part=line-2 key=b item=nut no-effect
    call shipping.send key=s
    tell completed
    """,
    LINES,
)
bad(
    "I1",
    "duplicate effect",
    "a line is reserved twice",
    """
    submit
    call order.create key=o
    call inventory.reserve part=line-1 key=a
    call inventory.reserve part=line-2 key=b
    send inventory.reserve part=line-2 key=c -> m1
    apply m1  <--
    ack m1
    call shipping.send key=s
    tell completed
    """,
    names="inventory.reserve[line-2] for saga-1 took effect 2 times",
    at="reserve[line-2] F",
    definition=LINES,
)
bad(
    "I1",
    "key reused",
    "one key for two lines, with the same words",
    """
    submit
    call order.create key=o
    call inventory.reserve part=line-1 key=a
    send inventory.reserve part=line-2 key=a -> m1  <--
    apply m1
    ack m1
    call shipping.send key=s
    tell completed
    """,
    names="carries the key 'a', which was used for inventory.reserve[line-1] before",
    at="reserve[line-2] F",
    definition=LINES,
)
good(
    "I1",
    "another attempt's number in the envelope is no other payload",
    """
    declare envelope=attempt,trace
    submit
    call order.create key=o attempt=1
    send inventory.reserve part=line-1 key=a item=bolt attempt=1 -> m1
    apply m1
    timeout m1
    call inventory.reserve part=line-1 key=a item=bolt attempt=2 no-effect
    call shipping.send key=s
    tell completed
    """,
    LINES,
)
good(
    "I5",
    "a line was refused, the one before it is undone, and the refused one is not",
    """
    submit
    call order.create key=o
    call inventory.reserve part=line-1 key=a
    refused inventory.reserve part=line-2 key=b
    call inventory.release part=line-1 key=a
    call order.cancel key=o
    tell compensated
    """,
    LINES,
)
bad(
    "I5",
    "leaked effect",
    "a line was refused, and the one before it stays",
    """
    submit
    call order.create key=o
    call inventory.reserve part=line-1 key=a
    refused inventory.reserve part=line-2 key=b
    call order.cancel key=o
    tell compensated  <--
    """,
    names="inventory.reserve[line-1] for saga-1 took effect and was never undone",
    at="reserve[line-1] F",
    definition=LINES,
)
good(
    "I2",
    "all lines are undone by one request, which comes after one of them was undone by itself",
    """
    submit
    call order.create key=o
    call inventory.reserve part=line-1 key=a
    call inventory.reserve part=line-2 key=b
    refused shipping.send key=s
    call inventory.release part=line-2 key=b
    call inventory.release key=all
    call order.cancel key=o
    tell compensated
    """,
    LINES,
)
good(
    "I5",
    "the intent of the step covers a line that was never asked for",
    """
    submit
    write intent order
    call order.create key=o
    write intent reserve
    send inventory.reserve part=line-1 key=a -> m1
    lost m1 request
    timeout m1
    call inventory.release part=line-2 key=b no-effect
    call inventory.release part=line-1 key=a no-effect
    call order.cancel key=o
    tell compensated
    """,
    LINES,
)
bad(
    "I4",
    "wrong order",
    "the order is cancelled before its second line is given back",
    """
    submit
    call order.create key=o
    call inventory.reserve part=line-1 key=a
    call inventory.reserve part=line-2 key=b
    refused shipping.send key=s
    call inventory.release part=line-1 key=a
    send order.cancel key=o -> m1
    apply m1  <--
    ack m1
    call inventory.release part=line-2 key=b
    tell compensated
    """,
    names="order.cancel took effect before inventory.release[line-2], although",
    at="order C",
    definition=LINES,
)
bad(
    "I23",
    "hollow success",
    "one line of two is missing",
    """
    submit
    call order.create key=o
    call inventory.reserve part=line-1 key=a
    refused inventory.reserve part=line-2 key=b
    call shipping.send key=s
    tell completed  <--
    """,
    names="inventory.reserve[line-2] had been refused",
    at="reserve[line-2] F",
    definition=LINES,
)
good(
    "I23",
    "one line of two is missing, and one is enough",
    """
    submit
    call order.create key=o
    call inventory.reserve part=line-1 key=a
    refused inventory.reserve part=line-2 key=b
    call shipping.send key=s
    tell completed
    """,
    ANY_LINE,
)
bad(
    "I23",
    "hollow success",
    "no line at all was reserved",
    """
    submit
    call order.create key=o
    call shipping.send key=s
    tell completed  <--
    """,
    names="saga-1 was called completed, but inventory.reserve had never been asked for",
    at="reserve F",
    definition=ANY_LINE,
)

# -- amounts ---------------------------------------------------------------------------------

CAPTURED_NOT_PACKED = """
    submit
    call bank.hold key=h amount=100
    call bank.capture key=c amount=100
    refused shipping.pack key=s
"""

good(
    "I17",
    "three refunds add up to what was captured",
    f"""
    {CAPTURED_NOT_PACKED}
    call bank.refund key=r1 amount=33
    call bank.refund key=r2 amount=33
    call bank.refund key=r3 amount=34
    tell compensated
    """,
    PAYMENT,
)
good(
    "I19",
    "amounts are numbers, however they are spelt, and who names none gives back the rest",
    """
    submit
    call bank.hold key=h amount=10.00
    call bank.capture key=c amount=10.00
    refused shipping.pack key=s
    call bank.refund key=r1 amount=3.3
    call bank.refund key=r2
    tell compensated
    """,
    PAYMENT,
)
bad(
    "I19",
    "parts do not add up",
    "each part is rounded by itself, and a cent stays",
    f"""
    {CAPTURED_NOT_PACKED}
    call bank.refund key=r1 amount=33
    call bank.refund key=r2 amount=33
    send bank.refund key=r3 amount=33 -> m3  <--
    apply m3
    ack m3
    tell compensated
    """,
    names="bank.refund gave back 99 for saga-1 in all, and bank.capture took 100",
    at="capture C",
    definition=PAYMENT,
)
bad(
    "I17",
    "more than there was",
    "more is refunded than was captured",
    f"""
    {CAPTURED_NOT_PACKED}
    call bank.refund key=r1 amount=60
    send bank.refund key=r2 amount=60 -> m1
    apply m1  <--
    ack m1
    tell compensated
    """,
    names="bank.refund has given back 120 for saga-1, and bank.capture took 100",
    at="capture C",
    definition=PAYMENT,
)
bad(
    "I1",
    "duplicate effect",
    "one part is refunded twice under its key",
    f"""
    {CAPTURED_NOT_PACKED}
    call bank.refund key=r1 amount=50
    send bank.refund key=r1 amount=50 -> m1
    apply m1  <--
    ack m1
    tell compensated
    """,
    names="bank.refund for saga-1 took effect 2 times",
    at="capture C",
    follows="I9",
    definition=PAYMENT,
)

# -- what is used up -------------------------------------------------------------------------

good(
    "I2",
    "what was captured is refunded, and the hold is not voided",
    f"""
    {CAPTURED_NOT_PACKED}
    call bank.refund key=c amount=100
    tell compensated
    """,
    PAYMENT,
)
good(
    "I11",
    "the void is refused after the capture, and taken for done",
    f"""
    {CAPTURED_NOT_PACKED}
    call bank.refund key=c amount=100
    refused bank.void key=h amount=100
    tell compensated
    """,
    PAYMENT,
)
good(
    "I5",
    "what has run out needs no void",
    """
    submit
    send bank.hold key=h amount=100 -> m1
    apply m1
    ack m1
    expire m1
    refused bank.capture key=c amount=100
    tell compensated
    """,
    PAYMENT,
)
good(
    "I17",
    "a void of what has run out gives nothing back a second time",
    """
    submit
    send bank.hold key=h amount=100 -> m1
    apply m1
    ack m1
    expire m1
    refused bank.capture key=c amount=100
    call bank.void key=h amount=100
    tell compensated
    """,
    PAYMENT,
)
good(
    "I16",
    "a hold that was captured is done",
    """
    submit
    call bank.hold key=h amount=100
    call bank.capture key=c amount=100
    call shipping.pack key=s
    tell completed
    """,
    PAYMENT,
)
good(
    "I17",
    "a hold is captured in two parts",
    """
    submit
    call bank.hold key=h amount=100
    call bank.capture part=1 key=c1 amount=60
    call bank.capture part=2 key=c2 amount=40
    tell completed
    """,
    IN_PARTS,
)
bad(
    "I5",
    "leaked effect",
    "the capture was refused, and the hold is not voided",
    """
    submit
    call bank.hold key=h amount=100
    refused bank.capture key=c amount=100
    tell compensated  <--
    """,
    names="bank.hold for saga-1 took effect and was never undone",
    at="hold F",
    definition=PAYMENT,
)
bad(
    "I17",
    "more than there was",
    "what was voided is captured",
    """
    submit
    call bank.hold key=h amount=100
    send bank.capture key=c amount=100 -> m1
    timeout m1
    call bank.void key=h amount=100
    apply m1  <--
    tell compensated
    """,
    names="bank.capture took effect for saga-1 when nothing was left of what bank.hold had taken",
    at="capture F",
    follows="I5",
    definition=PAYMENT,
)
bad(
    "I17",
    "more than there was",
    "more is captured than was held",
    """
    submit
    call bank.hold key=h amount=100
    call bank.capture part=1 key=c1 amount=60
    send bank.capture part=2 key=c2 amount=50 -> m1
    apply m1  <--
    ack m1
    tell completed
    """,
    names="bank.capture[2] took 50 for saga-1, and of what bank.hold had taken 40 was left",
    at="capture[2] F",
    definition=IN_PARTS,
)

# -- groups ----------------------------------------------------------------------------------

TRIP = Saga(
    "trip",
    [
        Step("hotel", "hotel.book", undo="hotel.cancel"),
        Optional(
            "extras", [Step("car", "cars.rent", undo="cars.return"), Step("seat", "cars.seat", undo="cars.unseat")]
        ),
        OneOf(
            "journey", [Step("train", "rail.book", undo="rail.cancel"), [Step("air", "air.book", undo="air.cancel")]]
        ),
    ],
)

good(
    "I16",
    "the trip goes without a car, which was refused",
    """
    submit
    call hotel.book key=h
    refused cars.rent key=c
    call rail.book key=t
    tell completed
    """,
    TRIP,
)
good(
    "I2",
    "half of what is optional was taken back before the trip went on, and the train is left for the air",
    """
    submit
    call hotel.book key=h
    call cars.rent key=c
    refused cars.seat key=s
    call cars.return key=c
    send rail.book key=t -> m1
    apply m1
    timeout m1
    call rail.cancel key=t
    call air.book key=a
    tell completed
    """,
    TRIP,
)
bad(
    "I2",
    "two alternatives",
    "both ways stay booked",
    """
    submit
    call hotel.book key=h
    call rail.book key=t
    call air.book key=a
    tell completed
    """,
    names="saga-1 came to rest with train in effect, and its alternative air as well",
    at="air F",
    definition=TRIP,
)
bad(
    "I16",
    "told completed",
    "half of what is optional is in effect",
    """
    submit
    call hotel.book key=h
    call cars.rent key=c
    refused cars.seat key=s
    call rail.book key=t
    tell completed  <--
    """,
    names="the client of saga-1 was told 'completed', but seat is not in effect",
    at="seat F",
    follows="I2",
    definition=TRIP,
)
bad(
    "I23",
    "hollow success",
    "no way to get there",
    """
    submit
    call hotel.book key=h
    refused rail.book key=t
    refused air.book key=a
    tell completed  <--
    """,
    names="saga-1 was called completed, but rail.book had been refused",
    at="train F",
    definition=TRIP,
)
bad(
    "I11",
    "undo kept back",
    "the rollback ends with a part given back, while another undo failed",
    f"""
    {CAPTURED_NOT_PACKED}
    call bank.refund key=r1 amount=40
    send bank.refund key=r2 amount=20 -> m3
    lost m3 request
    timeout m3
    send bank.void key=h -> m4
    error m4
    ack m4
    dead-letter hold
    alert hold
    tell stuck
    """,
    names="bank.refund for saga-1 gave back 40 of 100, and nobody gave back the rest",
    at="capture C",
    definition=PAYMENT,
)

# -- what is left of a hold that was used up in parts ----------------------------------------

TWO_CAPTURED = """
    submit
    send bank.hold key=h amount=100 -> m1
    apply m1
    ack m1
    call bank.capture part=line-1 key=a amount=60
    call bank.capture part=line-2 key=b amount={second}
"""
bad(
    "I3",
    "not used up",
    "the order ends, and nobody voids what was not captured",
    TWO_CAPTURED.format(second=30) + "tell completed",
    names="10 of the 100 that bank.hold took for saga-1 is held for ever",
    at="hold F",
    definition=IN_PARTS,
)
good("I3", "all of the hold was captured", TWO_CAPTURED.format(second=40) + "tell completed", IN_PARTS)
good(
    "I3",
    "the rest of the hold is voided after the last capture",
    TWO_CAPTURED.format(second=30) + "call bank.void key=h\ntell completed",
    IN_PARTS,
)
good(
    "I3",
    "the rest of the hold runs out",
    TWO_CAPTURED.format(second=30) + "expire m1\ntell completed",
    IN_PARTS,
)
SHIPPED = Saga(
    "shipped",
    [
        Step("hold", "bank.hold", undo="bank.void", amount="amount"),
        Step("pack", "shipping.pack", undo="shipping.unpack", many=True, needs="any"),
        Step("capture", "bank.capture", amount="amount", consumes="hold", many=True, needs="any", pivot=True),
        Step("mail", "mail.send", retriable=True),
    ],
)
PARTLY_SHIPPED = """
    submit
    call bank.hold key=h amount=100
    call shipping.pack part=line-1 key=p1
    call shipping.pack part=line-2 key=p2
    call bank.capture part=line-1 key=a amount=60
    refused bank.capture part=line-2 key=b amount=30
"""
good(
    "I10",
    "after the pivot a line is taken out, and the rest of the hold is voided",
    PARTLY_SHIPPED
    + "call shipping.unpack part=line-2 key=p2\ncall bank.void key=h\ncall mail.send key=m\ntell completed",
    SHIPPED,
)
bad(
    "I10",
    "undo after the pivot",
    "after the pivot all lines are taken out",
    PARTLY_SHIPPED
    + """
    send shipping.unpack part=line-1 key=p1 -> m  <--
    apply m
    ack m
    call shipping.unpack part=line-2 key=p2
    tell compensated
    """,
    names="shipping.unpack[line-1] for saga-1 was sent although bank.capture[line-1], the pivot, had taken effect",
    at="pack[line-1] C",
    definition=SHIPPED,
)

good(
    "I2",
    "who stood still gives a line back once more, and dies: the order had been completed without it",
    """
    submit
    call inventory.reserve part=line-1 key=a
    call inventory.reserve part=line-2 key=b
    call order.create key=o
    crash
    boot
    call inventory.release part=line-2 key=b
    call shipping.send key=s
    tell completed
    send inventory.release part=line-2 key=b -> m1
    apply m1 no-effect
    crash
    """,
    ANY_LINE,
)

# -- lines that do not wait for one another --------------------------------------------------

PIPELINES = Saga(
    "pipelines",
    [
        Step("reserve", "inventory.reserve", undo="inventory.release", many=True, needs="any"),
        Step("ship", "shipping.send", undo="shipping.recall", many=True, needs="any", part_by_part=True),
    ],
)
USED_UP = Saga("used-up", [*PIPELINES.steps[:1], replace(PIPELINES.steps[1], part_by_part=False, consumes="reserve")])
BATCH = Saga("batch", [*PIPELINES.steps[:1], replace(PIPELINES.steps[1], part_by_part=False)])
ONE_WAITS = """
    submit
    call inventory.reserve part=bolt key=a
    call inventory.reserve part=nut key=b
    send shipping.send part=bolt key=c -> m1
    refused shipping.send part=nut key=d
    send inventory.release part=nut key=b -> m2{mark}
    apply m2
    ack m2
    apply m1
    ack m1
    tell completed
"""
RELEASED_MEANWHILE = "a line is given back while another one is under way"
good("I3", f"{RELEASED_MEANWHILE}, part by part", ONE_WAITS.format(mark=""), PIPELINES)
good("I3", f"{RELEASED_MEANWHILE}, which uses up its own part", ONE_WAITS.format(mark=""), USED_UP)
bad(
    "I4",
    "undo before a later step settled",
    f"{RELEASED_MEANWHILE}, and each waits for all",
    ONE_WAITS.format(mark="  <--"),
    names="saga-1: inventory.release[nut] was sent while shipping.send[bolt] had no answer yet",
    at="reserve[nut] C",
    definition=BATCH,
)
UNKNOWN_LINE = """
    submit
    send inventory.reserve part=bolt key=a -> m1
    lost m1 request
    call inventory.reserve part=nut key=b
    timeout m1
    call shipping.send part={ships} key=d{mark}
    call inventory.release part=bolt key=a no-effect
    tell completed
"""
good("I6", "a line is shipped while nobody knows of another one", UNKNOWN_LINE.format(ships="nut", mark=""), PIPELINES)
bad(
    "I6",
    "unknown taken for success",
    "a line is shipped of which nobody knows whether it is reserved",
    UNKNOWN_LINE.replace("call shipping.send", "send shipping.send").format(
        ships="bolt", mark=" -> m2  <--\napply m2\nack m2"
    ),
    names="shipping.send[bolt] for saga-1 was sent although nobody knew whether inventory.reserve[bolt] had",
    at="ship[bolt] F",
    definition=PIPELINES,
)
bad(
    "I3",
    "not used up",
    "a line is neither shipped nor given back",
    """
    submit
    call inventory.reserve part=bolt key=a
    call inventory.reserve part=nut key=b
    call shipping.send part=bolt key=c
    refused shipping.send part=nut key=d
    tell completed
    """,
    names="what inventory.reserve[nut] took for saga-1 is held for ever: no shipping.send used it up, and no",
    at="reserve[nut] F",
    definition=USED_UP,
)

good(
    "I15",
    "what is left of a hold is given back after the end",
    """
    submit
    call bank.hold key=h amount=100
    call bank.capture part=1 key=c amount=60
    tell completed
    call bank.void key=h
    """,
    IN_PARTS,
)
bad(
    "I15",
    "effect after the end",
    "a capture is refunded after the end",
    """
    submit
    call bank.hold key=h amount=100
    call bank.capture key=c amount=100
    tell completed
    send bank.refund key=c amount=100 -> m1
    apply m1  <--
    ack m1
    """,
    names="bank.refund for saga-1 took effect after the saga was called completed",
    at="capture C",
    definition=Saga("payment", PAYMENT.steps[:2]),
)

# -- a part of an amount that is given back when the saga is over -----------------------------

SOLD = Saga(
    "sale",
    [
        Step("payment", "payment.charge", undo="payment.refund", amount="amount"),
        Step("parcel", "shipping.send", undo="shipping.recall"),
    ],
)

good(
    "I1",
    "two parts of one amount, each under its own key, both asked for again after an unknown outcome",
    """
    submit
    call payment.charge key=p amount=100
    call shipping.send key=s
    tell completed
    send payment.refund key=line-1 amount=20 -> m1
    apply m1
    timeout m1
    send payment.refund key=line-2 amount=20 -> m2
    apply m2
    timeout m2
    call payment.refund key=line-1 amount=20 no-effect
    call payment.refund key=line-2 amount=20 no-effect
    """,
    SOLD,
)
good(
    "I1",
    "the second part of one amount is sent while the first is waited for, and that is answered later",
    """
    submit
    call payment.charge key=p amount=100
    call shipping.send key=s
    tell completed
    send payment.refund key=line-1 amount=20 -> m1
    apply m1
    call payment.refund key=line-2 amount=20
    ack m1
    """,
    SOLD,
)
good(
    "I1",
    "two processes give back a part each, of one price, and each hears of its own",
    """
    submit
    call payment.charge key=p amount=100
    call shipping.send key=s
    tell completed
    call payment.refund key=line-1 amount=20
    boot second
    call payment.refund key=line-2 amount=20
    """,
    SOLD,
)
bad(
    "I1",
    "duplicate effect",
    "a part is given back once more by who does not know that it was",
    """
    submit
    call payment.charge key=p amount=100
    call shipping.send key=s
    tell completed
    send payment.refund key=first amount=20 -> m1
    apply m1
    timeout m1
    send payment.refund key=second amount=20 -> m2
    apply m2  <--
    ack m2
    """,
    names="payment.refund for saga-1 gave back 20 twice, under 'first' and 'second': the second was sent when nobody "
    "knew what had become of the first",
    at="payment C",
    definition=SOLD,
)
bad(
    "I1",
    "duplicate effect",
    "a part is given back again after a restart, for its answer died with its process",
    """
    submit
    call payment.charge key=p amount=100
    call shipping.send key=s
    tell completed
    call payment.refund key=first amount=20
    crash
    boot
    send payment.refund key=second amount=20 -> m2
    apply m2  <--
    ack m2
    """,
    names="the second was sent when nobody knew what had become of the first",
    at="payment C",
    definition=SOLD,
)
bad(
    "I1",
    "duplicate effect",
    "a part without a key is applied at both of its deliveries",
    """
    submit
    call payment.charge key=p amount=100
    call shipping.send key=s
    tell completed
    send payment.refund amount=20 -> m1
    apply m1
    apply m1  <--
    ack m1
    """,
    names="payment.refund for saga-1 took effect 2 times; at most 1 is allowed",
    at="payment C",
    definition=SOLD,
)
bad(
    "I15",
    "effect after the end",
    "all of it is given back of a saga that was called completed: that is no rollback which forgot a step",
    """
    submit
    call payment.charge key=p amount=100
    call shipping.send key=s
    tell completed
    send payment.refund key=r amount=100 -> m1
    apply m1  <--
    ack m1
    """,
    names="payment.refund for saga-1 took effect after the saga was called completed",
    at="payment C",
    definition=SOLD,
)
bad(
    "I23",
    "hollow success",
    "a part is given back of a saga that was called completed, and lacks something",
    """
    submit
    call payment.charge key=p amount=100
    tell completed  <--
    call payment.refund key=r amount=20
    """,
    names="shipping.send had never been asked for",
    at="parcel F",
    definition=SOLD,
)

# -- a refusal that has a record of its own ----------------------------------------------------

good(
    "I12",
    "that a line was refused is written down under another name than that of an outcome",
    """
    submit
    write create
    call order.create key=o
    write outcome order
    call inventory.reserve part=bolt key=b
    write outcome reserve[bolt]
    send inventory.reserve part=nut key=n -> m1
    reject m1
    ack m1
    write refused reserve[nut]
    call shipping.send key=s
    tell completed
    """,
    ANY_LINE,
)
bad(
    "I12",
    "outcome not durable",
    "nobody wrote down that a line was refused",
    """
    submit
    write create
    call order.create key=o
    write outcome order
    call inventory.reserve part=bolt key=b
    write outcome reserve[bolt]
    send inventory.reserve part=nut key=n -> m1
    reject m1
    ack m1
    send shipping.send key=s -> m2  <--
    apply m2
    ack m2
    tell completed
    """,
    names="shipping.send for saga-1 was sent before the record 'outcome reserve[nut]' was durable",
    at="ship F",
    definition=ANY_LINE,
)

# -- a line that is taken out, and whose release fails for a while ------------------------------

good(
    "I3",
    "a line is taken out of an order that goes on: that its release fails keeps back no rollback",
    """
    submit
    call order.create key=o
    call inventory.reserve part=bolt key=b
    call inventory.reserve part=nut key=n
    call shipping.send key=s
    send inventory.release part=nut key=n -> m1
    error m1
    ack m1
    heal 'nobody was called'
    call inventory.release part=nut key=n
    tell completed
    """,
    ANY_LINE,
)
bad(
    "I11",
    "undo kept back",
    "the release of one line fails, and the other one waits for it",
    """
    submit
    call order.create key=o
    call inventory.reserve part=bolt key=b
    call inventory.reserve part=nut key=n
    send inventory.release part=nut key=n -> m1
    error m1
    ack m1
    heal 'nobody was called'
    call inventory.release part=nut key=n
    call inventory.release part=bolt key=b
    call order.cancel key=o
    tell compensated
    """,
    names="inventory.release[bolt] for saga-1 was never sent, because inventory.release[nut] failed",
    at="reserve[bolt] C",
    definition=ANY_LINE,
)

good(
    "I12",
    "a line is taken out before it is decided that the order is rolled back",
    """
    submit
    write create
    call order.create key=o
    write outcome order
    send inventory.reserve part=bolt key=b -> m1
    timeout m1
    call inventory.release part=bolt key=b no-effect
    write compensating
    call order.cancel key=o
    tell compensated
    """,
    ANY_LINE,
)
bad(
    "I12",
    "compensating not durable",
    "an order is cancelled before that is written down",
    """
    submit
    write create
    call order.create key=o
    write outcome order
    send inventory.reserve part=bolt key=b -> m1
    timeout m1
    call inventory.release part=bolt key=b no-effect
    send order.cancel key=o -> m2  <--
    apply m2
    ack m2
    write compensating
    tell compensated
    """,
    names="order.cancel for saga-1 was sent before the record 'compensating' was durable",
    at="order C",
    definition=ANY_LINE,
)
