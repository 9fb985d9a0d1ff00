"""One app that is a participant, over the lives of its processes: what it is asked, what it commits, how it dies.

What took effect is what its query gives: that is asked at each commit, so that a transaction which no answer tells of
is seen all the same.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NoReturn

from ..effects import AFTER, AT_COMMIT, BEFORE, CrashParticipant, Doings, When, doing
from ..errors import UsageError
from ..frames import passed, place, users
from ..history import APPLY, DOWN, REJECT, STATE
from ..history import ERROR as FAILED
from ..http_routes import Answer
from ..ports import ProcessCrashed
from ..rules import HISTORY, MOMENTS
from ..saga import COMPENSATION, FORWARD, instance, split
from ..trace import Strike
from .databases import database_name
from .host import Host
from .hosted import AppParticipant, Holding
from .incarnation import Incarnation
from .message import Message
from .network import Network
from .participants import ERROR, OK, REJECTED, Reply, as_state
from .store import WRITE_US
from .timers import APP_START

_MOST_STARTS: Final = 20
"""How often an app is started that does not come up after a fault."""

_ABSENT: Final = ("no such table", "no such column")

Then = Callable[[Answer | None, str], object]
"""What is told of a request: its answer, or what the app raised."""


class AppProcess(Incarnation):
    """One process of an app, as far as its life knows it."""

    serving: int

    def main(self) -> None:
        """Boot the app, and serve until it dies."""

    def take(self, msg: Message, then: Then) -> None:
        """Handle a request beside whatever else it does."""


class AppLife:
    """See above. ``make(life, number)`` makes a process of the app. It is its process's `incarnation.Committing`."""

    def __init__(
        self, host: Host, network: Network, participant: AppParticipant, make: Callable[[AppLife, int], AppProcess]
    ) -> None:
        self.host = host
        self.network = network
        self.participant = participant
        self.name = participant.name
        self.folder = f"{participant.name}/"
        self.process: AppProcess | None = None
        self._make = make
        self._lives: list[AppProcess] = []
        self._waiting: list[tuple[Message, Then]] = []
        self._handling: list[tuple[Message, list[bool]]] = []  # what it works at; whether each took effect so far
        self._absent = ""  # what its query lacks yet
        self._oracle: sqlite3.Connection | None = None
        participant.life = self
        host.kernel.acts[APP_START] = AppLife.start
        host.on_close.append(self._close_oracle)

    # -- its processes ------------------------------------------------------------------------------

    @property
    def serves(self) -> bool:
        """True if it boots, or handles a request."""
        return self.process is None or not self.process.booted or self.process.serving > 0

    def start(self) -> None:
        """Start a process of it."""
        self.process = self._make(self, len(self._lives) + 1)
        self._lives.append(self.process)
        self.process.spawn("app", "", self.process.main)

    def booted(self, process: AppProcess) -> None:
        """Serve those that came before."""
        waiting, self._waiting = self._waiting, []
        for msg, then in waiting:
            process.take(msg, then)

    def not_started(self, error: Exception) -> None:
        """Its startup has raised: start it again, where a fault may be the reason."""
        told = f"{type(error).__name__} ({place(users(passed(error))) or '?'}): {error}"
        if not self.host.trace.fired or len(self._lives) > _MOST_STARTS:
            self.host.refuse(UsageError(f"service: apps[{self.name!r}] does not start: {told}"))
        self.fall()

    def fall(self) -> None:
        """Its process dies, and another starts after a while. What it was asked it will not answer."""
        host, network = self.host, self.network
        restart_us = int(host.setup.adapter.restart_ms * 1000)
        host.trace.add(DOWN, self.name, ("killed",))
        network.down[self.name] = max(network.down.get(self.name, 0), host.kernel.now_us + restart_us)
        handling, self._handling = self._handling, []
        for msg, _ in handling:
            if not (msg.done or msg.deaf or msg.process.dead):
                msg.deaf = True
                network.lose(msg, "answer")
        process, self.process = self.process, None
        self._waiting.clear()
        if process is not None:
            process.die()
            host.kernel.at(restart_us, APP_START, self)

    def close(self) -> None:
        """The run is over."""
        for process in self._lives:
            process.dead = True

    def _close_oracle(self) -> None:
        if self._oracle is not None:
            self._oracle.close()

    def dissolve(self) -> None:
        """See `Simulation.dissolve`."""
        for process in self._lives:
            process.tasks.clear()
            process.on_death.clear()
            process.net = process.participant = None
        self._lives.clear()
        self._waiting.clear()
        self.process = None

    # -- a request ----------------------------------------------------------------------------------

    def begin(self, msg: Message, then: Callable[[Reply], object]) -> None:
        """Let the app handle a request as soon as it has booted; ``then(reply)``, unless its process dies first."""
        effective = [False]
        self._handling.append((msg, effective))
        answered = partial(self._answered, msg, effective, then)
        if self.process is not None and self.process.booted:
            self.process.take(msg, answered)
        else:
            self._waiting.append((msg, answered))

    def _answered(
        self, msg: Message, effective: list[bool], then: Callable[[Reply], object], answer: Answer | None, error: str
    ) -> None:
        self._handling = [entry for entry in self._handling if entry[1] is not effective]
        note = self.network.note
        if answer is not None and answer.status < 400:
            if self._absent:
                self.host.refuse(UsageError(f"{self._place}: {self._absent}, when it has answered {msg.operation!r}"))
            if not effective[0]:
                note(msg, APPLY, self.name, (False, msg.saga, ()))
            then(Reply(OK, answer, effective=effective[0], owner=msg.saga))
            return
        says_no = answer is not None and answer.status == self.participant.says_no
        note(msg, REJECT if says_no else FAILED, self.name, (error or str(answer),))
        value = error if answer is None else answer
        then(Reply(REJECTED if says_no else ERROR, value, effective=effective[0], owner=msg.saga))

    # -- a commit -----------------------------------------------------------------------------------

    def commit(self, saga: str, subject: str, act: Callable[[], object]) -> None:
        """Make one transaction durable, by ``act()``. Raises ProcessCrashed where the process dies of a fault."""
        host = self.host
        occurrences = host.durable.occurrences
        nth = occurrences[saga, subject] = occurrences.get((saga, subject), 0) + 1
        strike = host.trace.visit((saga, subject, "", AT_COMMIT, nth))
        if strike is not None and strike.kind.before:
            self._strike(strike, BEFORE)
        if not host.manual:
            host.kernel.sleep(host.task(), WRITE_US)
        act()
        self._look()
        if strike is not None:
            self._strike(strike, AFTER)

    def _strike(self, strike: Strike, side: When) -> NoReturn:
        """A fault strikes a commit: the process that makes it is no more."""
        self.host.trace.struck(strike.number)
        for effect in strike.kind.effects:
            doing(DOINGS[AT_COMMIT, side], effect)(self)
        raise ProcessCrashed

    def _look(self) -> None:
        """Ask what holds now, and note what has changed."""
        participant = self.participant
        before, now = participant.holding, self._holding()
        participant.holding = now
        for holding in sorted((now - before).elements()):
            participant.applied.add(holding)
            self._note(holding, FORWARD)
        for holding in sorted((before - now).elements()):
            self._note(holding, COMPENSATION)
        if now != before and self.host.setup.shown_states in (MOMENTS, HISTORY):
            self.host.trace.add(STATE, self.name, (as_state(self.name, participant.held()),))

    def _note(self, holding: Holding, direction: str) -> None:
        """Note that something took effect or was undone: in the request that asked for that, else beside any."""
        saga, step = holding
        asked = [entry for entry in self._handling if (entry[0].step, entry[0].direction) == (step, direction)]
        of_it = [entry for entry in asked if entry[0].saga == saga]
        others = asked if direction == COMPENSATION else []  # it undoes what is another's: its owner tells
        for msg, effective in (of_it or others)[:1]:
            effective[0] = True
            self.network.note(msg, APPLY, self.name, (True, saga, ()))
            return
        self.host.trace.add(APPLY, self.name, (True, saga, ()), saga=saga, step=step, direction=direction)

    # -- what holds ---------------------------------------------------------------------------------

    @property
    def _place(self) -> str:
        return f"service: the effects of apps[{self.name!r}]"

    def _holding(self) -> Counter[Holding]:
        """What its query gives."""
        app = self.participant.app
        database = self.host.databases.get(self.folder + database_name(app.db))
        if database is None:
            self._absent = f"it has no database {app.db!r}"
            return Counter()
        if self._oracle is None:
            self._oracle = sqlite3.Connection(f"file:{database.path}", uri=True, isolation_level=None)
        try:
            rows = sqlite3.Cursor(self._oracle).execute(app.effects).fetchall()
        except sqlite3.Error as error:
            self._absent = str(error)
            if not self._absent.startswith(_ABSENT):
                self.host.refuse(UsageError(f"{self._place}: {error}; write a query that SQLite can read"))
            return self.participant.holding
        self._absent = ""
        return Counter(map(self._read, rows))

    def _read(self, row: tuple[Any, ...]) -> Holding:
        """A row of its query."""
        known, steps = self.host.setup.known, self.participant.steps
        saga = str(row[0])
        if saga not in known:
            text = f"{self._place}: a row begins with {saga!r}, which is no saga"
            self.host.refuse(UsageError(f"{text}; select the id of the order first: {', '.join(known)}"))
        names = list(dict.fromkeys(steps.values()))
        if len(row) == 1 and len(names) == 1:
            return saga, names[0]
        whole, part = split(str(row[1])) if len(row) > 1 else ("", "")
        if whole not in steps:
            said = f"says {row[1]!r} second" if len(row) > 1 else "names no step"
            self.host.refuse(
                UsageError(f"{self._place}: a row {said}; select the step as the second column: {', '.join(names)}")
            )
        return saga, instance(steps[whole], part) if part else steps[whole]


DOINGS: Final[Doings] = {
    (AT_COMMIT, BEFORE): {CrashParticipant: AppLife.fall},
    (AT_COMMIT, AFTER): {CrashParticipant: AppLife.fall},
}
"""What is done at a commit, by its side."""
