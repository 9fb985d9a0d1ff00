"""Histories for I40 and I41: messages that are published, received, acknowledged."""

from __future__ import annotations

from .tables import bad, good, idle

ASKED = """
    submit
    call order.create key=o
    call inventory.reserve key=i
"""
REST = "call payment.charge key=p\ntell completed"
UNTOLD = f"{ASKED}call payment.charge key=p\ntell completed"

# -- I40: acknowledged is kept ---------------------------------------------------------------

APPROVED = (
    ASKED
    + """
    tell pending
    publish order.approved -> n
    receive n
"""
)
good("I40", "the handler goes on with the saga", f"{APPROVED}{REST}\nhandled n")
good("I40", "it keeps the message for later, and the saga goes on", f"{APPROVED}write approved\nhandled n\n{REST}")
good("I40", "a second delivery is dropped when the saga is over", f"{APPROVED}{REST}\nhandled n\nreceive n\nhandled n")
good(
    "I40",
    "its first delivery was acknowledged too early, and the second was not",
    f"{APPROVED}handled n\nreceive n\n{REST}\nhandled n",
)
bad(
    "I40",
    "acknowledged and lost",
    "the message is dropped, since the saga does not wait for it yet",
    f"{APPROVED}handled n  <--",
    names="the message 'order.approved' for saga-1 was acknowledged, nothing of it was kept, and saga-1 is left open",
)
bad(
    "I40",
    "acknowledged and lost",
    "the process acknowledges, and dies before it has done what it was told to do",
    f"{APPROVED}handled n  <--\nsend payment.charge key=p -> m\nlost m request\ncrash\nboot",
    names="nothing of it was kept, its process died, and saga-1 is left open",
)
idle("I40", "nobody is sent a message", UNTOLD)

# -- I41: handled in the end -----------------------------------------------------------------

CHARGED = (
    ASKED
    + """
    tell pending
    publish order.approved -> n  {published}
    {then}
"""
)
good(
    "I41",
    "it fails once and is handled then",
    CHARGED.format(published="", then=f"receive n\nnack n\nreceive n\n{REST}\nhandled n"),
)
good(
    "I41", "it is lost, and the saga comes to its end without it", CHARGED.format(published="", then=f"drop n\n{REST}")
)
good(
    "I41",
    "it is put aside, and a person is called",
    CHARGED.format(published="", then="receive n\nnack n\npark n\nalert\ndead-letter"),
)
bad(
    "I41",
    "message never handled",
    "it is put aside, and nobody is called",
    CHARGED.format(published="", then="receive n\nnack n\npark n  <--"),
    names="the message 'order.approved' for saga-1 went to the dead-letter queue, nobody was called",
)
bad(
    "I41",
    "message never handled",
    "whatever is tried, its handler raises",
    CHARGED.format(published="", then="receive n\nnack n\nreceive n\nnack n  <--"),
    names="the message 'order.approved' for saga-1 could not be handled 2 times",
)
bad(
    "I41",
    "message never handled",
    "it is lost, and nobody asks for it",
    CHARGED.format(published="<--", then="drop n"),
    names="the message 'order.approved' for saga-1 was lost",
)
IN_VAIN = "receive n\nnack n\n"
bad(
    "I41",
    "comes for ever",
    "its saga was refused, and its handler waits for the saga to come so far",
    CHARGED.format(published="", then=f"{REST}\n{29 * IN_VAIN}receive n\nnack n  <--"),
    names="the message 'order.approved' for saga-1 comes again for ever: it could not be handled 30 times",
)
good(
    "I41",
    "its saga is over, and after some attempts it is handled",
    CHARGED.format(published="", then=f"{REST}\n{29 * IN_VAIN}receive n\nhandled n"),
)
idle("I41", "nobody is sent a message", UNTOLD)

# -- I1: who is told twice -------------------------------------------------------------------

bad(
    "I1",
    "duplicate effect",
    "the handler of a message that comes twice has no key",
    f"""{ASKED}
    tell pending
    publish order.approved -> n
    receive n
    send payment.charge -> m1
    apply m1
    ack m1
    receive n
    send payment.charge -> m2
    apply m2  <--
    ack m2
    tell completed
    """,
    names="took effect 2 times; at most 1 is allowed: each while handling the message 'order.approved', received 2",
    at="payment F",
)
