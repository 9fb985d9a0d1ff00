"""The participants' books: the services of the simulator on a database that outlives any process.

One SQLite database a case, in WAL mode. Each request is one transaction, committed before it is answered:
what was applied survives the end of the harness, and is what a restarted participant reads again.
"""

from __future__ import annotations

import base64
import json
import pickle
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ..saga import QUERY
from ..simulator import Setup
from ..simulator.own import UserParticipant
from ..simulator.participants import ERROR, OK, Later, Ledger, Reply, Row

_SCHEMA = """
BEGIN;
CREATE TABLE IF NOT EXISTS books (service TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS effects (
    n INTEGER PRIMARY KEY, saga TEXT, step TEXT, direction TEXT, idempotency_key TEXT, effective INTEGER, value TEXT
);
COMMIT;
"""


@dataclass(kw_only=True)
class Call:
    """One request of a process to a participant. ``operation`` is ``participant.verb``; ``step`` and ``direction`` are
    empty for one that is no step's."""

    id: int
    process: str
    service: str
    operation: str
    saga: str
    step: str
    direction: str
    attempt: int
    key: str | None
    payload: dict[str, Any] = field(default_factory=dict)
    deliveries: int = 0
    epoch: int = 0

    @property
    def known_by(self) -> tuple[str, str, str]:
        """By what its sites are known, apart from phase and attempt: (saga, step or operation, direction)."""
        return self.saga, self.step or self.operation, self.direction or QUERY


class Books:
    """The ledgers of all participants of a case, on one database file."""

    def __init__(self, file: Path, setup: Setup) -> None:
        self._setup = setup
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA synchronous=OFF")  # a commit outlives every process; not the machine's power
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(_SCHEMA)
        self.ledgers: dict[str, Ledger | UserParticipant] = {}
        for service in setup.services:
            self.open(service)

    def open(self, service: str) -> None:
        """Start a participant (again): all that it knows is what the database holds."""
        ledger = self._setup.ledger(service)
        found = self._db.execute("SELECT state FROM books WHERE service = ?", (service,)).fetchone()
        if found is not None:
            _restore(ledger, json.loads(found[0]))
        before = self.ledgers.get(service)
        if isinstance(ledger, UserParticipant) and isinstance(before, UserParticipant):
            ledger.life = before.life + 1
        self.ledgers[service] = ledger

    def work(self, service: str, later: Later) -> Reply | None:
        """Let a participant of the user's own do what it has put off, durably; None where that was held in the memory
        of a process that is no more."""
        participant = self.ledgers[service]
        if not isinstance(participant, UserParticipant) or later.life not in (0, participant.life):
            return None
        job = later.job
        call = Call(
            id=0,
            process="",
            service=service,
            operation="",
            saga=job.saga,
            step=job.step,
            direction="",
            attempt=0,
            key=None,
        )
        return self._durably(call, lambda ledger: ledger.work(later))

    def handle(self, call: Call) -> Reply:
        """Apply one request, durably. What cannot be written is an error, and is not applied."""
        return self._durably(call, lambda ledger: ledger.handle(cast("Any", call)))

    def refuse(self, call: Call, reason: str) -> Reply:
        """Refuse for good, durably."""
        return self._durably(call, lambda ledger: ledger.refuse(cast("Any", call), reason))

    def expire(self, call: Call) -> Reply | None:
        """Withdraw durably what a request reserved: what it was and how much; None where it is gone or confirmed."""
        nothing = Reply(OK)
        reply = self._durably(call, lambda ledger: ledger.expire(cast("Any", call)) or nothing)
        return None if reply is nothing or reply.answer == ERROR else reply

    def decided(self, call: Call) -> bool:
        """True if the answer to this request is already fixed by what is remembered."""
        return self.ledgers[call.service].decided(cast("Any", call))

    def effects(self) -> list[tuple[Any, ...]]:
        """What took effect, in order, as the database has it: (saga, step, direction, key)."""
        query = "SELECT saga, step, direction, idempotency_key FROM effects WHERE effective ORDER BY n"
        return self._db.execute(query).fetchall()

    def close(self) -> None:
        self._db.close()

    def _durably(self, call: Call, act: Any) -> Reply:
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            reply: Reply = act(self.ledgers[call.service])
            state = json.dumps(_state(self.ledgers[call.service]))
            db.execute("INSERT OR REPLACE INTO books VALUES (?, ?)", (call.service, state))
            values = (call.saga, call.step, call.direction, call.key, reply.effective, json.dumps(reply.value))
            db.execute(
                "INSERT INTO effects (saga, step, direction, idempotency_key, effective, value) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )
            db.execute("COMMIT")
        except (sqlite3.Error, TypeError, ValueError, AttributeError, pickle.PicklingError) as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            self.open(call.service)
            return Reply(ERROR, f"the participant failed: {error}")
        return reply


def _state(ledger: Ledger | UserParticipant) -> dict[str, Any]:
    if isinstance(ledger, UserParticipant):  # what a user keeps need not be JSON; nobody else writes this file
        kept = (ledger.durable, ledger.refused, ledger.applied)
        return {"pickled": base64.b64encode(pickle.dumps(kept)).decode()}
    return {
        "rows": [list(row) for row in ledger.rows],
        "memory": [[*key, *answer] for key, answer in ledger.memory.items()],
        "closed": sorted(map(list, ledger.closed)),
        "given_back": [[*call, id] for call, id in ledger.given_back.items()],
        "free": getattr(ledger, "free", {}),
        "taken": getattr(ledger, "taken", {}),
    }


def _restore(ledger: Ledger | UserParticipant, state: dict[str, Any]) -> None:
    if isinstance(ledger, UserParticipant):
        ledger.durable, ledger.refused, ledger.applied = pickle.loads(base64.b64decode(state["pickled"]))
        return
    ledger.rows = [Row(*row) for row in state["rows"]]
    ledger.memory = {(slot, direction, key): (answer, value) for slot, direction, key, answer, value in state["memory"]}
    ledger.given_back = {(saga, step): id for saga, step, id in state["given_back"]}
    ledger.closed = {(saga, step) for saga, step in state["closed"]}
    for name in ("free", "taken"):
        if hasattr(ledger, name):
            setattr(ledger, name, dict(state[name]))
