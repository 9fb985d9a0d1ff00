"""A participant that is an app of its own, as the harness asks any participant. See `apps`, which runs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..apps import App
from ..scenario import Scenario
from .message import Message
from .participants import REJECTED, Foreign, Reply, asked, is_refused

Holding = tuple[str, str]
"""A saga, and the step that holds for it."""


class Life(Protocol):
    """The processes of an app in one run."""

    def begin(self, msg: Message, then: Callable[[Reply], object]) -> None:
        """Let the app handle a request; ``then(reply)``, unless its process dies first."""

    def fall(self) -> None:
        """Its process dies, and starts again after a while."""


class AppParticipant(Foreign):
    """One app as a participant. ``steps`` has the step of each of its operations; ``says_no`` is the status by which it
    refuses. ``life`` is what runs it; ``holding`` is what took effect there and was not undone."""

    expires = False
    """Its reservations run out by its own clock."""

    life: Life

    def __init__(self, name: str, app: App, says_no: int, steps: Mapping[str, str], scenario: Scenario) -> None:
        self.name = name
        self.app = app
        self.says_no = says_no
        self.steps = steps
        self.refused = scenario.refused
        self.holding: Counter[Holding] = Counter()
        self.applied: set[Holding] = set()

    @property
    def volatile(self) -> object:
        """What dies with its process; nobody can tell what that is."""
        return self

    def restart(self) -> None:
        """Its process dies, and another starts."""
        self.life.fall()

    def expire(self, msg: Message) -> None:
        """Never asked for, since it withdraws what it reserved itself."""

    def refuse(self, msg: Message, reason: str) -> Reply:
        """The business decides against it, for good."""
        self.refused |= {(msg.saga, asked(msg))}
        return Reply(REJECTED, reason)

    def held(self) -> dict[str, Any]:
        """What holds, for rules of a user's own to read."""
        return {"effects": [list(each) for each in sorted(self.holding.elements())]}

    def handle(self, msg: Message) -> Reply | None:
        """A refusal that was decided on; None where the app is to handle the request: see `begin`."""
        if is_refused(msg, self.refused) and not self.decided(msg):
            return self.refuse(msg, "refused by the business")
        return None

    def begin(self, msg: Message, then: Callable[[Reply], object]) -> None:
        """Let the app handle a request; ``then(reply)``, unless its process dies first."""
        self.life.begin(msg, then)
