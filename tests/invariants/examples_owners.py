"""Histories for I14, I22 and I24: who works on a saga, and by which definition."""

from __future__ import annotations

from .examples_effects import COMPLETED
from .tables import bad, good, idle

# -- I14: single effective owner -------------------------------------------------------------

PAUSED = """
    boot
    submit
    write create epoch=1
    call order.create key=o
    pause 10000
    boot pause
    write takeover epoch={epoch}
    call order.create key=o no-effect
    call inventory.reserve key=i
    call payment.charge key=p
    write terminal epoch={epoch}
    terminal completed
    as 1
"""
TWO_EXECUTIONS = """
    submit
    write create epoch=1
    write takeover epoch=2
    call order.create key=o
    call inventory.reserve key=i
    call payment.charge key=p
    write terminal epoch=2
    terminal completed
"""
good("I14", "the owner that slept can write nothing more", PAUSED.format(epoch=2) + "\nlog progress order epoch=1")
good(
    "I14",
    "the owner that slept takes the saga over again",
    PAUSED.format(epoch=2) + "\nwrite takeover epoch=3\nwrite progress order epoch=3",
)
good(
    "I14",
    "a takeover that the store lost",
    """
    boot
    submit
    write create epoch=1
    boot second
    write takeover epoch=2
    lost-write takeover
    crash
    as 1
    call order.create key=o
    write progress order epoch=1
    boot second
    write takeover epoch=2
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
    """,
)
bad(
    "I14",
    "stale write accepted",
    "the owner that slept writes over what the next one wrote",
    PAUSED.format(epoch=2) + "\nwrite progress order epoch=1  <--",
    names="under epoch 1, and the store took it, although orchestrator#2 had written under epoch 2 by then",
    at="order ",
)
good(
    "I14",
    "in one process a second execution takes the saga over, and the first writes nothing more",
    f"{TWO_EXECUTIONS}\nlog progress order epoch=1",
)
bad(
    "I14",
    "stale write accepted",
    "two executions of a saga in one process, and the first writes over what the second wrote",
    f"{TWO_EXECUTIONS}\nwrite progress order epoch=1  <--",
    names="under epoch 1, and the store took it, although it had written under epoch 2 by then",
    at="order ",
)
bad(
    "I14",
    "two owners in one epoch",
    "the next owner does not raise the epoch, so the store cannot tell them apart",
    PAUSED.format(epoch=1) + "\nwrite progress order epoch=1  <--",
    names="the store took it, although orchestrator#2 had written under the same epoch by then",
    at="order ",
)
idle(
    "I14", "no epoch is shown", PAUSED.replace(" epoch={epoch}", "").replace(" epoch=1", "") + "\nwrite progress order"
)
idle(
    "I14", "one owner does it all", COMPLETED.replace("submit", "submit\nwrite create epoch=1\nwrite takeover epoch=1")
)

# -- I22: no poisoning -----------------------------------------------------------------------

INTERRUPTED = """
    submit
    saga-2: submit
    call order.create key=o
    saga-2: call order.create key=o-2
    crash  {}
    boot
"""
bad(
    "I22",
    "kept back",
    "recovery ends at the first saga whose participant does not answer",
    f"""
    {INTERRUPTED.format("<--")}
    send order.cancel key=o -> m3
    apply m3
    lost m3 answer
    timeout m3
    -: raise CallTimeout where=recover port=yes
    """,
    names="nobody came to saga-2, because saga-1 could not be handled",
    saga="saga-2",
)
bad(
    "I22",
    "kept back",
    "one saga's undo is asked for again and again, to which nobody is called, and recovery waits for it",
    f"""
    {INTERRUPTED.format("<--")}
    send order.cancel key=o -> m3
    error m3 'cannot undo'
    ack m3
    send order.cancel key=o -> m4
    error m4 'cannot undo'
    ack m4
    heal 'nobody was called'
    call order.cancel key=o
    tell compensated
    saga-2: call order.cancel key=o-2
    saga-2: tell compensated
    """,
    names="nobody came to saga-2, because saga-1 could not be handled",
    saga="saga-2",
)
bad(
    "I22",
    "kept back",
    "the service stands still behind a saga that raised",
    """
    submit
    send order.create key=o -> m1
    saga-2: submit  <--
    lost m1 request
    timeout m1
    raise CallTimeout port=yes
    """,
    names="nobody came to saga-2, because saga-1 could not be handled",
    saga="saga-2",
)
good(
    "I22",
    "one saga raises, and the other is served",
    """
    submit
    saga-2: submit
    send order.create key=o -> m1
    lost m1 request
    timeout m1
    raise CallTimeout port=yes
    saga-2: call order.create key=o-2
    saga-2: call inventory.reserve key=i-2
    saga-2: call payment.charge key=p-2
    saga-2: tell completed
    """,
)
idle("I22", "there is only one saga", COMPLETED)
idle(
    "I22",
    "both sagas come to their ends",
    """
    submit
    saga-2: submit
    refused order.create key=o
    tell compensated
    saga-2: refused order.create key=o-2
    saga-2: tell compensated
    """,
)

# -- I24: version ----------------------------------------------------------------------------

RESUMED = """
    submit
    adopt definition=v1
    call order.create key=o
    crash
    boot upgrade
    adopt {}
"""
REST = """
    call inventory.reserve key=i
    call payment.charge key=p
    tell completed
"""
good(
    "I24",
    "the next version resumes the saga by the definition that it was started with",
    RESUMED.format("definition=v1") + REST,
)
good(
    "I24",
    "the next version refuses the saga, and calls a person",
    RESUMED.format("definition=v2") + "\ndead-letter\nalert\ntell stuck",
)
bad(
    "I24",
    "another definition",
    "the next version resumes the saga by its own definition",
    RESUMED.format("definition=v2")
    + """
    send inventory.reserve key=i -> m2  <--
    apply m2
    ack m2
    call payment.charge key=p
    tell completed
    """,
    names="saga-1 was started by definition 'v1', and inventory.reserve was sent for it, by definition 'v2'",
    at="inventory F",
)
VERSIONS = (
    "declare definitions=v1:order.create+inventory.reserve+payment.charge,"
    "v2:order.create+inventory.reserve+payment.take"
)
bad(
    "I24",
    "another definition",
    "the operation of the next version is used, whatever the records say",
    VERSIONS
    + RESUMED.format("definition=v1")
    + """
    call inventory.reserve key=i
    send payment.take query key=p -> m3  <--
    apply m3
    ack m3
    call payment.charge key=p
    tell completed
    """,
    names="payment.take was sent for it, which 'v1' does not have",
)
idle("I24", "the adapter shows no versions", RESUMED.format("").replace(" definition=v1", "") + REST)
idle("I24", "nobody takes the saga over", COMPLETED.replace("submit", "submit\nadopt definition=v1"))
