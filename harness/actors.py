"""Who acts beside the orchestrators: a clerk, a bank, an operator, a customer.

An actor is a script, a plain function of one argument that says what it does::

    def clerk(actor):
        actor.wait("saga-1")  # until the client was told the end
        actor.sleep(86_400)
        actor.call("payment.capture", saga="saga-1", amount=100)

It runs outside every process and outlives each crash, and no rule for orchestrators is asked of it. Faults strike its
messages as they strike those of the orchestrator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, Protocol, TypeAlias

from .errors import UsageError, nearest
from .saga import Outcome
from .scenario import Order, Scenario

NOT_ACTORS: Final = ("orchestrator", "client", "harness", "participants")
"""Names that a history gives to others."""


class Actor(Protocol):
    """All that a script may touch."""

    @property
    def name(self) -> str:
        """By which the scenario calls it, and the history."""

    @property
    def orders(self) -> tuple[Order, ...]:
        """What the clients ask for, in the order of their requests."""

    def call(
        self,
        operation: str,
        /,
        *,
        saga: str | None = None,
        key: str | None = None,
        timeout_ms: float | None = None,
        part: str | None = None,
        **payload: Any,
    ) -> Any:
        """Ask a participant and wait for its answer, as ``world.call`` does. ``saga`` may be left out where there is
        one; ``part`` tells the requests of a step of several apart. Raises Rejected, Unavailable or CallTimeout; a
        script that lets them pass has given up, and is over."""

    def signal(
        self, topic: str, /, *, saga: str | None = None, key: str = "", delay_ms: float = 0, **payload: Any
    ) -> None:
        """Send a message to ``receive`` of the adapter, an approval for instance; see ``world.publish``."""

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds: virtual ones in the simulator."""

    def now(self) -> float:
        """The time of day, in seconds since 1970."""

    def outcome(self, saga: str | None = None) -> Outcome | None:
        """What the client of a saga was told last, None where it was told nothing yet."""

    def wait(self, saga: str | None = None) -> Outcome:
        """Wait until the client of a saga is told how it ended, and say how. Where that never comes, the script ends
        here."""


Script: TypeAlias = Callable[[Actor], object]
"""What an actor does, from the beginning of the run on."""


def check_actors(
    actors: Mapping[str, Script], scenarios: Iterable[Scenario], participants: Collection[str], where: str
) -> None:
    """Raise UsageError unless the scripts can be told from processes and participants, and act in some scenario."""
    for name, script in actors.items():
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            raise UsageError(f"adapter {where!r}: actor {name!r}; write a name of small letters, 'clerk' for example")
        if name in NOT_ACTORS or name in participants:
            other = "a participant" if name in participants else f"the {name!r} of each run"
            raise UsageError(f"adapter {where!r}: actor {name!r} is called as {other} is; give it a name of its own")
        if not callable(script):
            raise UsageError(f"adapter {where!r}: actor {name!r} is {script!r}; write a function, def {name}(actor)")
    wanted = [(scenario, name) for scenario in scenarios for name in scenario.actors]
    for scenario, name in wanted:
        if name not in actors:
            raise UsageError(
                f"scenario {scenario.name!r} names the actor {name!r}, which adapter {where!r} does not declare"
                f"{nearest(name, actors)}; write actors={{{name!r}: script}}"
            )
    idle = sorted(actors.keys() - {name for _, name in wanted})
    if idle:
        raise UsageError(
            f"adapter {where!r}: actor {idle[0]!r} acts in no scenario; write Scenario(actors=({idle[0]!r},))"
        )
