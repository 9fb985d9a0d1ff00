"""The memories of a run: what is kept of its past, as a value, and what may be asked of them while they are made."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Sequence
from typing import Any, Final, Self, TypeAlias

from ..history import CLIENT_ACK, DATA, KIND, SAGA, Row
from .asked import Asked
from .projection import Projection, interned

Call: TypeAlias = tuple[str, str, str]
"""(saga, step, direction)."""

OK: Final = "ok"
REFUSED: Final = "rejected"

# What is known of a message that may still be under way, as bits.
BY_WHO_KNEW: Final = 1  # a step is asked for anew by who knew that it had been undone
HANDLED_ONCE: Final = 2  # its participant has said yes to it
AFTER_UNDO: Final = 4  # that was after the step had been undone
WAITED_FOR: Final = 8  # nobody has died since it was sent, and its sender waits


class Memory:
    """The memories of one run. ``undone`` says whether an undo was carried out, if only with nothing to undo."""

    __slots__ = (
        *("_after", "_alive", "_asked", "_bits", "_claimed", "_counts", "_created", "_definitions", "_deserted"),
        *(
            "_facts",
            "_fresh",
            "_heard",
            "_holder",
            "_keys",
            "_known_in",
            "_lanes",
            "_last",
            "_left",
            "_locks",
            "_marks",
        ),
        *("_messages", "_numbers", "_open", "_owned", "_people", "_private", "_queries", "_rank", "_rest", "_seen"),
        *("_shown", "_since", "_stored", "_story", "_touched", "_uncalled", "_unseen", "_waiting", "_whole", "undone"),
    )

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._seen = 0
        self._whole: Projection | None = None
        self.undone = False
        self._facts: set[int] = set()  # what is so, in any order, interned
        self._story: dict[int, None] = {}  # what came first, in its order
        self._lanes: dict[str, list[int]] = {}  # saga -> what took effect for it, what was undone, what was claimed
        self._keys: dict[Call, str] = {}  # the key of each call that was begun
        self._counts: dict[Call, int] = {}  # how often, where that is limited
        self._open: dict[str, dict[int, Call]] = {}  # process -> what it waits for an answer to
        self._waiting: dict[int, Call] = {}  # the same of all, since somebody died last
        self._private: dict[str, set[tuple[Call, str]]] = {}  # process -> what it was told, and has not written since
        self._heard: dict[str, set[tuple[Call, bool]]] = {}  # process -> undos, and whether it learnt of a success
        self._queries: dict[int, str] = {}  # message of no step -> whom it asks
        self._rank: dict[int, int] = {}  # undo under way -> how long the saga's lane was when it was sent
        self._messages: dict[int, int] = {}  # message -> bits
        self._after: dict[str, set[int]] = {}  # saga -> what was done since an undo was asked for last
        self._left: set[str] = set()  # sagas for which no work was done since the last crash
        self._claimed: dict[str, int] = {}  # saga -> how many ends stand in its lane
        self._people: set[tuple[str, str, str]] = set()  # what was put aside, or told a person
        self._unseen: set[str] = set()  # sagas made durable since the last start by who has died since
        self._locks: dict[tuple[str, str, str], tuple[str, str]] = {}  # (saga, service, entity) -> (step, direction)
        self._last: dict[str, str] = {}  # what each client was told last
        self._owned: dict[str, list[tuple[str, Any, str]]] = {}  # saga -> (process, epoch, step), changes only
        self._definitions: dict[tuple[str, str], str] = {}  # (saga, "" or process) -> what it goes by
        self._created: dict[str, set[str]] = {}  # process -> sagas that it made durable since the last start
        self._alive: list[str] = []
        self._fresh: tuple[Any, ...] = ()  # the write at hand, and how to take it back
        self._deserted = False
        self._rest = False
        self._uncalled = False
        self._since: set[str] = set()  # sagas of which it matters what others did since: see I22
        self._bits: set[tuple[str, str, str]] = set()
        self._shown: list[int] = []  # what rules of a user's own read
        self._touched: list[int] = []  # reads and writes, where isolation is judged
        self._numbers: dict[int, int] = {}  # of their messages
        self._marks: list[tuple[str, str]] = []  # undos that took effect: a bit each of what follows
        self._holder: dict[str, int] = {}  # who knows of which
        self._known_in: dict[tuple[int, bool], int] = {}  # (message, whether the answer) -> the same
        self._stored = 0

    def copy(self) -> Self:
        """The same, to go on from apart. A search does it for each run: so each field is named."""
        twin = self.__new__(type(self))
        twin._asked, twin._seen, twin.undone, twin._fresh = self._asked, self._seen, self.undone, ()
        twin._deserted, twin._rest, twin._uncalled = self._deserted, self._rest, self._uncalled
        twin._stored = self._stored
        twin._whole = self._whole.copy() if self._whole is not None else None
        twin._facts, twin._story = self._facts.copy(), self._story.copy()
        twin._lanes = {saga: lane.copy() for saga, lane in self._lanes.items()}
        twin._keys, twin._counts, twin._queries = self._keys.copy(), self._counts.copy(), self._queries.copy()
        twin._open = {process: calls.copy() for process, calls in self._open.items()}
        twin._private = {process: known.copy() for process, known in self._private.items()}
        twin._heard = {process: undos.copy() for process, undos in self._heard.items()}
        twin._after = {saga: done.copy() for saga, done in self._after.items()}
        twin._owned = {saga: owners.copy() for saga, owners in self._owned.items()}
        twin._created = {process: sagas.copy() for process, sagas in self._created.items()}
        twin._waiting, twin._rank, twin._messages = self._waiting.copy(), self._rank.copy(), self._messages.copy()
        twin._left, twin._last, twin._definitions = self._left.copy(), self._last.copy(), self._definitions.copy()
        twin._claimed, twin._people, twin._unseen = self._claimed.copy(), self._people.copy(), self._unseen.copy()
        twin._locks = self._locks.copy()
        twin._alive, twin._since, twin._bits = self._alive.copy(), self._since.copy(), self._bits.copy()
        twin._shown, twin._touched, twin._numbers = self._shown.copy(), self._touched.copy(), self._numbers.copy()
        twin._marks, twin._holder, twin._known_in = self._marks.copy(), self._holder.copy(), self._known_in.copy()
        return twin

    def sent(self, msg: int) -> Any:
        """The things that matter of a message that is under way."""
        if self._whole is not None:
            return self._whole.sent(msg)
        bits = self._messages.get(msg, 0) | (WAITED_FOR if msg in self._waiting else 0)
        number = self._numbers.get(msg, -1) if self._numbers else -1
        if not self._marks:
            return bits, self._rank.get(msg, -1), number
        known = self._known_in.get((msg, False), 0), self._known_in.get((msg, True), 0)
        return bits, self._rank.get(msg, -1), number, known

    @property
    def digest(self) -> bytes:
        """16 bytes over the memories."""
        return hashlib.blake2b(marshal.dumps(self.lanes, 2), digest_size=16).digest()

    @property
    def lanes(self) -> tuple[Any, ...]:
        """A value that marshal writes in one way only; comparable within one process."""
        if self._whole is not None:
            return self._whole.lanes
        alive, claimed = self._alive, self._claimed
        of_processes = [
            (
                sorted([interned(fact) for fact in self._private.get(process, ())]),
                sorted([interned(call) for call in self._open.get(process, {}).values()]),
                sorted([saga for saga in self._created.get(process, ()) if saga not in self._lanes]),
                sorted([interned(undo) for undo in self._heard.get(process, ())]),
                self._holder.get(process, 0),
            )
            for process in alive
        ]
        ended = {undo for process, undos in self._heard.items() if process not in alive for undo in undos}
        told = (
            sorted(self._facts),
            list(self._story),
            sorted(self._lanes.items()),
            of_processes,
            sorted([interned((call, well)) for call, well in ended if well or (call, True) not in ended]),
            sorted([saga for saga in self._left if self._asked.several or not claimed.get(saga)]),
            sorted([(saga, sorted(done)) for saga, done in self._after.items()]),
            sorted(self._last.items()),
            sorted([interned(call) for call in self._waiting.values()]),
        )
        return told, self._seldom()

    def _seldom(self) -> tuple[Any, ...]:
        """The lanes that are empty of most systems, or until an undo has taken effect."""
        marks: tuple[Any, ...] = ()
        if self._marks:
            alive = self._alive
            services = sorted([(name, known) for name, known in self._holder.items() if name not in alive and known])
            marks = self._marks, services, self._stored
        return (
            *(self._deserted, self._rest, self._uncalled, self._shown, self._touched, marks),
            sorted([(*call, count) for call, count in self._counts.items()]) if self._counts else (),
            [(saga, self._ownership(owners)) for saga, owners in sorted(self._owned.items())] if self._owned else (),
            [(*about, name) for about, name in sorted(self._goes_by())] if self._definitions else (),
            *[sorted(some) if some else () for some in (self._since, self._bits, self._people, self._locks.items())],
            sorted(self._unseen - self._lanes.keys()) if self._unseen else (),
        )

    def _ownership(self, owners: Sequence[tuple[str, Any, str]]) -> tuple[Any, ...]:
        """Who of the living wrote for a saga, who last, and under which epoch."""
        alive = self._alive
        latest, epoch, _ = owners[-1]
        seen = {owner for owner, _, _ in owners}
        at = alive.index(latest) if latest in alive else -1
        wrote = [n for n, name in enumerate(alive) if name in seen] if len(alive) > 1 else []
        return at if len(alive) > 1 or at < 0 else 0, repr(epoch), wrote

    def _goes_by(self) -> list[tuple[tuple[str, Any], str]]:
        """The definition of each saga, and that of each living process which goes by another one."""
        alive, definitions = self._alive, self._definitions
        return [
            ((saga, alive.index(process) if process else -1), name)
            for (saga, process), name in definitions.items()
            if not process or (process in alive and name != definitions.get((saga, ""), name))
        ]

    # -- what is asked of the memories while they are made ------------------------------------------

    def _is(self, *fact: Any) -> bool:
        return interned(fact) in self._facts

    def _note(self, *fact: Any) -> None:
        self._facts.add(interned(fact))

    def _wrong(self, *found: Any) -> None:
        """The findings that stand by now, unless what comes excuses them."""
        self._story[interned(found)] = None

    def _answered(self, call: Call, answer: str) -> bool:
        """True if the call was answered so, to whomever."""
        return self._is("told", call, answer) or self._is("public", call, answer)

    def _settled(self, call: Call) -> bool:
        return self._answered(call, OK) or self._answered(call, REFUSED)

    def _knows(self, process: str, call: Call, answer: str) -> bool:
        """True if the process can know of that answer: it got it, or who did wrote something since."""
        return self._is("public", call, answer) or (call, answer) in self._private.get(process, ())

    def _lane(self, saga: str) -> list[int]:
        lane = self._lanes.get(saga)
        if lane is None:
            lane = self._lanes[saga] = []
        return lane

    def _hears(self, process: str, undo: Call, well: bool) -> None:
        """A process learns what an undo came to, or waited for that in vain; a success is all that counts."""
        heard = self._heard.setdefault(process, set())
        if well:
            heard.discard((undo, False))
        if well or (undo, True) not in heard:
            heard.add((undo, well))

    def _works(self, saga: str) -> None:
        """An orchestrator did something for the saga that is more than to ask about it, or to say so."""
        self._left.discard(saga)
        for since in self._since:
            self._bits.add((since, saga, "worked"))
            self._bits.add((since, saga, "acted"))

    def _beside(self, saga: str, what: str = "acted") -> None:
        """Something was done for the saga, or said of it, which may matter to others."""
        for since in self._since:
            self._bits.add((since, saga, what))

    def _restarts(self, saga: str) -> None:
        """From now on it matters for that saga what is done for others."""
        if self._asked.several:
            self._since.add(saga)
            self._bits = {bit for bit in self._bits if bit[0] != saga}

    def _show(self, row: Row) -> None:
        """A client is told something, or a person called: what rules of a user's own read beside what is held."""
        if self._shown:
            told = row[DATA] if row[KIND] == CLIENT_ACK else ()
            self._shown.append(interned((row[KIND], row[SAGA], told)))
