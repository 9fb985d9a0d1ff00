"""How a service handles one delivery of an event, whatever carries it and wherever the service keeps its data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ...ports import Rejected
from .flow import Event, Reaction


class Inbox(Protocol):
    """One local transaction of a service: what it writes is durable together with the effect, or not at all."""

    def recall(self, event: Event) -> str | None:
        """Why the business refused when the event came first, "" where it did not refuse; None for a new event."""

    def remember(self, event: Event, refusal: str) -> None:
        """Keep for later deliveries that the event was handled."""

    def publish(self, event: Event) -> None:
        """Put an event into the outbox."""


def react(inbox: Inbox, reaction: Reaction, event: Event, act: Callable[[], Any]) -> str:
    """Handle one delivery inside the local transaction ``inbox``: the same event has its effect, ``act()``, once,
    and is answered as it was the first time. Why the business refused, or "".

    The event that follows is published by a relay, from the outbox, once or more often; so none is lost
    where the service dies between its commit and the publishing, and none comes of what was rolled back.
    """
    known = inbox.recall(event)
    if known is not None:
        return known
    try:
        act()
        refusal = ""
    except Rejected as refused:
        if not reaction.refused:  # what is never refused nobody can be told of: it is to come again
            raise
        refusal = str(refused) or "refused"
    inbox.remember(event, refusal)
    inbox.publish(reaction.told(event, refused=bool(refusal)))
    return refusal
