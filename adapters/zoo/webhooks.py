"""Bugs of systems that are told by messages how they go on: webhooks, events, timers, approvals."""

from __future__ import annotations

from ...messages import Message
from .inbox import Checkout, receiving
from .parts import Mutant


class NeedsTheResponse(Checkout):
    """Looks the payment up by what the response said; a webhook that comes before it is acknowledged and dropped."""

    def receive(self, message: Message) -> None:
        if self.record(message.saga)["state"] == "charged":
            super().receive(message)


CORRECT = receiving()

MUTANTS = [
    Mutant(
        name="webhook-before-response",
        adapter=receiving(NeedsTheResponse),
        twin=CORRECT,
        invariants=("I40",),
        faults=1,
        schedule="timeout at saga-1: payment forward, send",
        source="duncanmcclean/statamic-cargo#190",
    ),
]
