"""One copy of a message on its way to a process."""

from __future__ import annotations

from copy import copy
from typing import Any

from ..messages import Message, Topic
from .message import copied


class Letter:
    """One copy of a message on its way. ``number`` is that of its events, ``due_us`` when it comes at the earliest,
    ``open`` as long as it is neither acknowledged nor lost nor in the dead-letter queue; ``ready`` says that it waits
    for the one before it, ``deaf`` that nobody will see its acknowledgement, ``after_next`` that another one is to be
    handled first."""

    __slots__ = (
        *(
            "after_next",
            "cause",
            "deaf",
            "deliveries",
            "due_us",
            "id",
            "key",
            "number",
            "open",
            "payload",
            "ready",
            "redriven",
        ),
        *("saga", "terms", "topic"),
    )

    def __init__(
        self,
        number: int,
        id: str,
        topic: str,
        saga: str,
        key: str,
        payload: dict[str, Any],
        cause: int,
        terms: Topic,
        due_us: int,
    ) -> None:
        self.number = number
        self.id = id
        self.topic = topic
        self.saga = saga
        self.key = key
        self.payload = payload
        self.cause = cause
        self.terms = terms
        self.due_us = due_us
        self.deliveries = 0
        self.open = True
        self.ready = False
        self.redriven = False
        self.after_next = False
        self.deaf = False

    def as_it_is(self) -> Letter:
        """The same copy of the message, for a copy of its run."""
        return copy(self)

    def copy(self) -> Letter:
        """A second copy of the message, which nobody has been handed yet."""
        return Letter(
            self.number,
            self.id,
            self.topic,
            self.saga,
            self.key,
            self.payload,
            self.cause,
            self.terms,
            self.due_us,
        )

    @property
    def lane(self) -> str:
        """Messages of one lane come in order."""
        return self.key or self.saga

    def message(self) -> Message:
        """It as ``receive`` is handed it."""
        return Message(
            topic=self.topic,
            saga=self.saga,
            key=self.key,
            payload=copied(self.payload),
            id=self.id,
            delivery=self.deliveries,
        )
