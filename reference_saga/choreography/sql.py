"""Services that react to events, on SQLite or PostgreSQL: effect, inbox and outbox in one local transaction.

The effects are those of `sagafuzz.reference_saga.services`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from functools import partial
from typing import Final

from ..runtime import Request
from ..services import EFFECTS, Database, Execute
from ..services import MIGRATIONS as TABLES
from .flow import CHECKOUT_FLOW, Event, Flow
from .reacting import react

MIGRATIONS: Final = (
    *TABLES,
    """CREATE TABLE inbox (
        event TEXT NOT NULL, service TEXT NOT NULL, refusal TEXT NOT NULL, at DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (event, service)
    )""",
    """CREATE TABLE outbox (
        event TEXT PRIMARY KEY, type TEXT NOT NULL, saga TEXT NOT NULL, data TEXT NOT NULL, at DOUBLE PRECISION NOT NULL
    )""",
)
"""Open a `SQLiteDatabase` or a `PostgresDatabase` with these."""


class EventService:
    """One service of a flow. Several can share a database, or have one each."""

    def __init__(self, name: str, database: Database, flow: Flow = CHECKOUT_FLOW) -> None:
        self.name = name
        self._database = database
        self._flow = flow

    def receive(self, event: Event) -> str | None:
        """Handle one delivery. None where the event is not this service's affair, else why it refused, or ""."""
        reaction = self._flow.reaction(event.type, self.name)
        if reaction is None:
            return None
        request = Request(operation=reaction.operation, saga=event.saga, key=event.id, epoch=0, payload=event.data)
        with self._database.transaction() as execute:
            act = partial(EFFECTS[reaction.operation], execute, request)
            return react(_SqlInbox(execute, self.name), reaction, event, act)


class _SqlInbox:
    def __init__(self, execute: Execute, service: str) -> None:
        self._execute = execute
        self._service = service

    def recall(self, event: Event) -> str | None:
        """The row is inserted at once: a second delivery at the same time waits for this transaction's end."""
        new = "INSERT INTO inbox VALUES (?, ?, '', ?) ON CONFLICT DO NOTHING RETURNING event"
        if self._execute(new, event.id, self._service, time.time()):
            return None
        known = "SELECT refusal FROM inbox WHERE event = ? AND service = ?"
        return str(self._execute(known, event.id, self._service)[0][0])

    def remember(self, event: Event, refusal: str) -> None:
        why = "UPDATE inbox SET refusal = ? WHERE event = ? AND service = ?"
        self._execute(why, refusal, event.id, self._service)

    def publish(self, event: Event) -> None:
        values = (event.id, event.type, event.saga, json.dumps(dict(event.data)), time.time())
        self._execute("INSERT INTO outbox VALUES (?, ?, ?, ?, ?)", *values)


def unpublished(database: Database, limit: int = 100) -> list[Event]:
    """What lies in the outbox, the oldest first."""
    query = "SELECT type, saga, data FROM outbox ORDER BY at, event LIMIT ?"
    with database.transaction() as execute:
        return [Event(type=row[0], saga=row[1], data=json.loads(row[2])) for row in execute(query, limit)]


def published(database: Database, events: Iterable[Event]) -> None:
    """Take events out of the outbox, once whatever carries them has made them durable."""
    with database.transaction() as execute:
        for event in events:
            execute("DELETE FROM outbox WHERE event = ?", event.id)
