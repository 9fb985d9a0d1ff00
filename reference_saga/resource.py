"""A participant of two-phase commit: it works under locks, promises durably, and waits for the decision.

Each request is one durable local transaction (`sagafuzz.Transaction`). From the moment that a participant has voted
yes its rows are locked and its promise is durable: neither a restart nor the death of the coordinator lets it go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from ..participant import Request, Transaction
from ..ports import Rejected
from .two_phase_commit import ABORT, COMMIT, PREPARE

PREPARED: Final = "prepared"
COMMITTED: Final = "committed"
ABORTED: Final = "aborted"

_PROMISES: Final = "prepared/"


class Locked(Exception):
    """Another transaction holds the row: the answer is no vote, come again."""


class Resource:
    """Base of a participant. A subclass says which rows a transaction works on, and what it makes of them."""

    def rows(self, request: Request) -> tuple[str, ...]:
        """The names of the rows that the transaction reads or writes here."""
        raise NotImplementedError

    def work(self, request: Request, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The new values of those rows, from the present ones (None: there is none). Raises Rejected to vote no."""
        raise NotImplementedError

    def handle(self, request: Request, tx: Transaction) -> Any:
        verb = request.operation.rpartition(".")[2]
        return {PREPARE: self.prepare, COMMIT: self.commit, ABORT: self.abort}[verb](request, tx)

    def prepare(self, request: Request, tx: Transaction) -> dict[str, Any]:
        """Lock, do the work aside, promise: to answer at all is to vote yes."""
        known = tx.memory.get(request.saga)
        if known == ABORTED:
            raise Rejected("the transaction was aborted already")
        if known is None:
            rows = sorted(self.rows(request))
            for row in rows:
                if not tx.lock(row):
                    raise Locked(f"{row} is locked by another transaction")
            work = self.work(request, {row: tx.read(row) for row in rows})
            self.promise(request, tx, rows, dict(work))
        return {}

    def promise(self, request: Request, tx: Transaction, rows: list[str], work: dict[str, Any]) -> None:
        """Make durable what was promised, and with it all that is needed to keep the promise."""
        tx.state[_PROMISES + request.saga] = {"rows": rows, "work": work}
        tx.memory[request.saga] = PREPARED

    def promised(self, request: Request, tx: Transaction) -> dict[str, Any] | None:
        """What was promised, and from now on is not any more; None where nothing was."""
        found: dict[str, Any] | None = tx.state.pop(_PROMISES + request.saga, None)
        return found

    def commit(self, request: Request, tx: Transaction) -> dict[str, Any]:
        """Let the work be seen, and unlock."""
        known = tx.memory.get(request.saga)
        if known == COMMITTED:
            return {}
        promise = self.promised(request, tx)
        if promise is None:
            raise Rejected("the transaction is not prepared here")
        for row, value in promise["work"].items():
            tx.write(row, value)
        for row in promise["rows"]:
            tx.unlock(row)
        tx.memory[request.saga] = COMMITTED
        return {}

    def abort(self, request: Request, tx: Transaction) -> dict[str, Any]:
        """Throw the work away, and unlock. What was never prepared is barred from now on."""
        if tx.memory.get(request.saga) == COMMITTED:
            raise Rejected("the transaction was committed already")
        promise = self.promised(request, tx)
        for row in promise["rows"] if promise is not None else ():
            tx.unlock(row)
        tx.memory[request.saga] = ABORTED
        return {}

    def in_doubt(self, tx: Transaction) -> tuple[str, ...]:
        """The transactions that were promised here, and of which no decision has come."""
        return tuple(sorted(name.removeprefix(_PROMISES) for name in tx.state if name.startswith(_PROMISES)))


def settle(
    name: str,
    resource: Resource,
    transaction: Callable[[str], AbstractContextManager[Transaction]],
    ask: Callable[[str], str],
) -> tuple[str, ...]:
    """A participant comes back and asks the coordinator for each transaction that is in doubt here; returns those
    that stay so. ``transaction(id)`` opens a durable local transaction for one of them, ``ask`` is
    `Coordinator.decision`."""
    with transaction("") as tx:
        waiting = resource.in_doubt(tx)
    left = []
    for id in waiting:
        decision = ask(id)
        if not decision:
            left.append(id)
            continue
        request = Request(
            operation=f"{name}.{decision}", saga=id, step="", direction="", key=f"{id}/{name}", payload={}
        )
        with transaction(id) as tx:
            resource.handle(request, tx)
    return tuple(left)
