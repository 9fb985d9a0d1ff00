"""The kinds of faults that strike messages, a part of the table of kinds: see `fault_table`."""

from __future__ import annotations

from typing import Final

from .effects import AFTER, AT_HANDLED, AT_PUBLISH, AT_RECEIPT, BEFORE
from .fault_kinds import FaultKind
from .message_effects import (
    CrashAtMessage,
    DelayMessage,
    DoubleMessage,
    HoldMessage,
    HurryMessage,
    LoseMessage,
    LoseMessageAck,
    ParkMessage,
)
from .saga import MESSAGE

MESSAGE_KINDS: Final = (
    FaultKind(
        name="crash-before-publish",
        phase=AT_PUBLISH,
        effects=(CrashAtMessage(when=BEFORE),),
        directions=(MESSAGE,),
        needs="messages",
        meaning="the process dies; the message was not published",
        moment="before publishing {call}",
    ),
    FaultKind(
        name="crash-after-publish",
        phase=AT_PUBLISH,
        effects=(CrashAtMessage(when=AFTER),),
        directions=(MESSAGE,),
        needs="messages",
        meaning="the process dies right after it published the message, which will be delivered",
        moment="right after publishing {call}",
    ),
    FaultKind(
        name="message-lost",
        phase=AT_PUBLISH,
        effects=(LoseMessage(),),
        directions=(MESSAGE,),
        needs="lossy",
        meaning="the message was taken and is lost: it is never delivered",
    ),
    FaultKind(
        name="message-early",
        phase=AT_PUBLISH,
        effects=(HurryMessage(after_ms=0),),
        directions=(MESSAGE,),
        needs="messages",
        meaning="the message comes at once: before the answer to its request, and before whoever published it goes on",
    ),
    FaultKind(
        name="message-before-save",
        phase=AT_PUBLISH,
        effects=(HurryMessage(after_ms=1.1, unsaved=True),),
        directions=(MESSAGE,),
        needs="messages",
        meaning="the message comes when its request is answered and the caller has not made the answer durable",
    ),
    FaultKind(
        name="message-late",
        phase=AT_PUBLISH,
        effects=(DelayMessage(by_ms=10_000),),
        directions=(MESSAGE,),
        needs="messages",
        meaning="the message comes ten seconds after it was due",
    ),
    FaultKind(
        name="message-overtaken",
        phase=AT_PUBLISH,
        effects=(HoldMessage(next_first=True),),
        directions=(MESSAGE,),
        needs="messages",
        meaning="the message comes after the next one of its saga was handled, or when all else is at rest",
    ),
    FaultKind(
        name="message-after-end",
        phase=AT_PUBLISH,
        effects=(HoldMessage(),),
        directions=(MESSAGE,),
        needs="messages",
        meaning="the message comes when all else is at rest, after the end of its saga",
    ),
    FaultKind(
        name="message-twice",
        phase=AT_PUBLISH,
        effects=(DoubleMessage(),),
        directions=(MESSAGE,),
        needs="messages",
        meaning="the message is delivered twice, both copies at once",
    ),
    FaultKind(
        name="message-again-at-end",
        phase=AT_PUBLISH,
        effects=(DoubleMessage(held=True),),
        directions=(MESSAGE,),
        needs="messages",
        meaning="a second copy of the message comes when all else is at rest, after the end of its saga",
    ),
    FaultKind(
        name="crash-at-receipt",
        phase=AT_RECEIPT,
        effects=(CrashAtMessage(when=BEFORE),),
        directions=(MESSAGE,),
        needs="messages",
        meaning="the process dies as the message comes; it is delivered to the next one",
        moment="as {call} comes",
    ),
    FaultKind(
        name="message-parked",
        phase=AT_RECEIPT,
        effects=(ParkMessage(),),
        directions=(MESSAGE,),
        needs="dead-letters",
        meaning="each delivery fails, until the message is in the dead-letter queue",
    ),
    FaultKind(
        name="crash-before-message-ack",
        phase=AT_HANDLED,
        effects=(CrashAtMessage(when=BEFORE),),
        directions=(MESSAGE,),
        needs="messages",
        meaning="the process dies when it has handled the message and not acknowledged it; it comes again",
        moment="before it acknowledges {call}",
    ),
    FaultKind(
        name="lost-message-ack",
        phase=AT_HANDLED,
        effects=(LoseMessageAck(),),
        directions=(MESSAGE,),
        needs="messages",
        meaning="the message was handled and its acknowledgement is lost: it is delivered again",
    ),
    FaultKind(
        name="crash-after-message-ack",
        phase=AT_HANDLED,
        effects=(CrashAtMessage(when=AFTER),),
        directions=(MESSAGE,),
        needs="messages",
        meaning="the process dies right after it acknowledged the message, which does not come again",
        moment="right after it acknowledged {call}",
    ),
)
"""In the order in which they are searched."""
