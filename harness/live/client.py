"""The client of one case: it places the orders, asks how the sagas stand, and hears what it is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..definitions import root_of
from ..history import ALERT, CLIENT_ACK, DATA, DEAD_LETTER, KIND, RAISED, SAGA, SUBMIT
from ..saga import Outcome
from ..scenario import Order
from ..simulator import Setup
from .admission import AdmissionOrder
from .background import Background
from .control import STATUSES, ControlError
from .manifest import Manifest
from .member import Member, Members
from .record import Record

CANCEL_S: Final = 1.0
"""How long a worker may take to answer a request to cancel."""

SUBMITTED: Final = "submitted"
"""The status of a saga that no worker has taken yet."""

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "completed": Outcome.COMPLETED,
    "compensated": Outcome.COMPENSATED,
    "failed_stuck": Outcome.STUCK,
}


class Client:
    """Owns what is known of each saga: its status, and which worker has taken it."""

    def __init__(
        self,
        setup: Setup,
        manifest: Manifest,
        record: Record,
        members: Members,
        background: Background,
        admission: AdmissionOrder,
    ) -> None:
        self._setup = setup
        self._workload = manifest
        self._resume = manifest.resume
        self._receives = manifest.receives
        self._patience_s = manifest.worker.ready_ms / 1000
        self._record = record
        self._members = members
        self._background = background
        self._admission = admission
        self._status: dict[str, str] = {}
        self._taken_by: dict[str, Member] = {}

    # -- orders --------------------------------------------------------------------------------

    async def submit(self, order: Order) -> None:
        """Place an order; while no worker can take it, it waits for the next one."""
        self._record.add(SUBMIT, "client", (order.item, order.quantity, order.amount), saga=order.id)
        self._status[order.id] = SUBMITTED
        await self._offer(order)

    async def resubmit(self, saga: str) -> None:
        """Send an order again, to the newest worker; what it answers is no end of the case: it may know the order."""
        order = self._setup.orders[root_of(saga)]
        saga = order.id
        self._record.add(SUBMIT, "client", (order.item, order.quantity, order.amount), saga=saga)
        for member in self._members.able()[:1]:
            before = self._status[saga]
            if before in _OUTCOMES:
                self._status[saga] = "running"  # until it is told how the order stands now
            try:
                assert member.control is not None
                await member.control.ask("start", self._patience_s, **self._start_of(order))
            except ControlError:
                self._status[saga] = before

    async def offer_waiting(self, member: Member) -> None:
        """Offer a worker the orders that nobody has taken yet."""
        for order in self._setup.orders.values():
            if self._status.get(order.id) == SUBMITTED and order.id not in self._taken_by:
                await self._start_saga(member, order)

    def open_orders(self) -> list[dict[str, Any]]:
        """The orders that a worker has taken and that have not come to their end, as the protocol has them."""
        orders = self._setup.orders
        return [self._start_of(orders[id]) for id, status in self._status.items() if status == "running"]

    async def _offer(self, order: Order) -> None:
        if able := self._members.able():
            await self._start_saga(able[0], order)

    async def _start_saga(self, member: Member, order: Order) -> None:
        """Ask a worker for a saga; one that dies over it leaves it to the next."""
        assert member.control is not None
        self._taken_by[order.id] = member
        try:
            await member.control.ask("start", self._patience_s, **self._start_of(order))
        except ControlError as error:
            if error.definite:
                raise member.blocked(f"{member.label} refused to start {order.id}: {error}") from None
            if not (member.dead or member.ending):
                raise member.blocked(f"{member.label}: {error}") from None
            if self._status[order.id] == SUBMITTED:
                del self._taken_by[order.id]
                await self._offer(order)
            return
        if self._status[order.id] == SUBMITTED:
            self._status[order.id] = "running"

    def _start_of(self, order: Order) -> dict[str, Any]:
        """An order as the protocol has it."""
        values = {
            "item": order.item,
            "quantity": order.quantity,
            "amount": order.amount,
            "account": order.account,
            "data": dict(order.data),
            **({"saga": order.saga} if self._setup.adapter.sagas else {}),
        }
        if self._workload.note_kb:
            values["note"] = "n" * (1024 * self._workload.note_kb)
        steps = [{**step, **self._asked_of(step["id"])} for step in _steps_of(self._setup, order)]
        return {"saga_id": order.id, "order": values, "steps": steps, **({"lazy": True} if self._workload.lazy else {})}

    def _asked_of(self, step: str) -> dict[str, Any]:
        """What the workload asks of a step beside what it is."""
        workload = self._workload
        asked = {
            "wait_ms": workload.waits.get(step),
            "waits_for": workload.awaited.get(step),
            "max_attempts": workload.attempts or None,
        }
        return {word: value for word, value in asked.items() if value is not None}

    async def cancel(self, saga: str) -> None:
        """Ask the newest worker to cancel, and the next where that one gives no answer."""
        for member in self._members.able():
            try:
                assert member.control is not None
                await member.control.ask("cancel", CANCEL_S, saga_id=root_of(saga))
                return
            except ControlError as error:
                if error.definite:
                    return

    # -- how the sagas stand -------------------------------------------------------------------

    def ended(self, saga: str) -> bool:
        """True if nothing more is to be expected of a saga."""
        status = self._status.get(saga, "")
        if status in _OUTCOMES or status == "unknown" or (self._receives and self._waits(saga)):
            return True
        driver = self._taken_by.get(saga)
        return self._resume == "none" and status == "running" and driver is not None and driver.dead

    def _waits(self, saga: str) -> bool:
        """True if its worker has told the client to wait: what follows comes of messages."""
        told = (CLIENT_ACK, saga, (Outcome.PENDING.value,))
        return any((row[KIND], row[SAGA], row[DATA]) == told for row in self._record.rows)

    def open(self) -> list[str]:
        """The sagas of which more is to be expected."""
        return [order.id for order in self._setup.orders.values() if not self.ended(order.id)]

    def all_ended(self) -> bool:
        """True if nothing more is to be expected of any saga."""
        return not self.open()

    async def ask_for_statuses(self) -> None:
        """Ask for what was not told. A worker that has just died will be asked in its next incarnation."""
        for saga, status in list(self._status.items()):
            if status not in ("running", SUBMITTED) or (status == SUBMITTED and saga not in self._taken_by):
                continue
            asked = set()
            for member in self._members.able():
                asked.add(member.label)
                said = await self._status_by(member, saga)
                if said is None:
                    continue
                if said.get("status") == "unknown" and (
                    self._members.starting or any(other.label not in asked for other in self._members.able())
                ):
                    continue  # another may know: one that was not asked, or takes the place of one that died meanwhile
                self.told(member, {**said, "event": "status", "saga_id": saga})
                break

    async def _status_by(self, member: Member, saga: str) -> Mapping[str, Any] | None:
        """What a worker says of a saga; None where it can say nothing any more."""
        assert member.control is not None
        try:
            return await member.control.ask("status", self._patience_s, saga_id=saga)
        except ControlError as error:
            if not (member.dead or member.ending or member.stopped or self._background.over):
                self._background.fail(member.blocked(f"{member.label}: {error}"))
            return None

    def told(self, member: Member, said: Mapping[str, Any]) -> None:
        """Hear from a worker how a saga stands, and note in the history what is new. The last words of one that is to
        die are no answer."""
        if member.silenced:
            return
        saga, status = str(said.get("saga_id", "")), said.get("status")
        if saga not in self._status:
            return
        if status not in STATUSES:
            what = f"{member.label} calls {saga} {status!r}; a status is {', '.join(STATUSES)}"
            self._background.fail(member.blocked(what))
            return
        before, self._status[saga] = self._status[saga], str(status)
        if status == "running" and before in _OUTCOMES:
            self._status[saga] = before  # an end is an end; what it does beside shows in its requests
        elif before != status:
            self._note(member, saga, str(status), said)
        self._admission.look()
        self._record.changed.set()

    def _note(self, member: Member, saga: str, status: str, said: Mapping[str, Any]) -> None:
        if status == "failed_stuck":
            self._hand_over(member, saga, said)
        if status in _OUTCOMES:
            self._record.add(CLIENT_ACK, "client", (_OUTCOMES[status].value,), saga=saga)
        elif status == "unknown" and self._taken_by.get(saga) is member:
            reason = str(said.get("reason", "it does not know how the saga ended"))
            raised = ("unknown", reason, "its driver", not said.get("stray", False))
            self._record.add(RAISED, member.label, raised, saga=saga)

    def _hand_over(self, member: Member, saga: str, said: Mapping[str, Any]) -> None:
        """A saga that is stuck is put aside, and a person is called: to the step that is named, else to what the worker
        has put aside by itself, else to the whole saga, with those that are steps of it."""
        step, reason = str(said.get("step", "")), str(said.get("reason", "its compensation keeps failing"))
        if step or not any(row[KIND] in (ALERT, DEAD_LETTER) and row[SAGA] == saga for row in self._record.rows):
            begun = {row[SAGA] for row in self._record.rows}
            for id in [saga] if step else [saga, *sorted(id for id in begun if id.startswith(f"{saga}."))]:
                self._record.add(DEAD_LETTER, member.label, (reason,), saga=id, step=step)
                self._record.add(ALERT, member.label, (reason,), saga=id, step=step)


def _steps_of(setup: Setup, order: Order) -> list[dict[str, Any]]:
    """The steps of an order as the protocol has them."""
    return [_step_of(setup, order, name) for name in setup.definition(order.id).sequence]


def _step_of(setup: Setup, order: Order, name: str) -> dict[str, Any]:
    definition = setup.definition(order.id)
    step = definition.by_name[name]
    groups = [group.name for group in reversed(definition.groups) if name in group.members]
    if step.child is None:
        asked: dict[str, Any] = {"do_url": f"/{name}/do", "undo_url": f"/{name}/undo" if step.undo else None}
    else:
        child = order.children[name]
        asked = {"child": {"saga_id": child.id, "saga": child.saga, "steps": _steps_of(setup, child)}}
    return {
        "id": name,
        "after": list(definition.predecessors[name]),
        **asked,
        "kind": "pivot" if step.pivot else "retriable" if step.retriable else "compensatable",
        "timeout_ms": setup.adapter.call_timeout_ms,
        **{word: getattr(step, word) for word in ("many", "amount", "consumes", "part_by_part") if getattr(step, word)},
        **({"needs": step.needs} if step.many else {}),
        **({"groups": groups} if groups else {}),
    }
