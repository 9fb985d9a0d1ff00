"""The participants of one case, and the faults that strike at their door.

The harness sees a system from here: a request is *received*, *applied*, its reply *held*, and *sent*. These are
the sites of the model: what strikes as a request is sent strikes when it is received, which to the participants
is the same; what strikes the answer strikes while it is held.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping
from typing import Any, Final, Protocol

from ..faults import AT_ACK, AT_EFFECT, AT_LOG, AT_LOGGED, AT_SEND, FAULT_KINDS
from ..history import (
    ACK,
    ADOPT,
    ALERT,
    APPLY,
    CANCEL,
    CLIENT_ACK,
    DATA_FIELDS,
    DEAD_LETTER,
    DELIVER,
    DOWN,
    ERROR,
    LOST,
    REJECT,
    SEND,
    TIMEOUT,
)
from ..saga import COMPENSATION, FORWARD, Outcome
from ..simulator.participants import ERROR as FAILED
from ..simulator.participants import OK, REJECTED, Reply, receipt
from .admission import AdmissionOrder
from .ledger import Books, Call
from .manifest import Manifest
from .record import Record
from .server import Exchange
from .supervisor import Blocked
from .writes import STORE_ERRORS, Writes, whole_number

SLOW_S: Final = 0.005
RESTART_S: Final = 0.05
ORCHESTRATOR: Final = "orchestrator"

NOTES: Final = (ALERT, DEAD_LETTER, ADOPT, CLIENT_ACK)
"""The events that a worker may show by itself."""

_OUTCOMES: Final = frozenset(outcome.value for outcome in Outcome)
_STATUS: Final = {OK: 200, REJECTED: 409, FAILED: 500}
_CRASHES: Final = tuple(kind.name for kind in FAULT_KINDS.values() if kind.crash)
_EFFECT_KINDS: Final = tuple(kind.name for kind in FAULT_KINDS.values() if kind.phase == AT_EFFECT)
_IN_THE_NETWORK: Final = tuple(
    kind.name
    for kind in FAULT_KINDS.values()
    if kind.phase == AT_SEND and kind.name not in ("crash-before-send", "pause", "cancel")
)


class CaseHost(Protocol):
    """Who can do to a process what a fault asks for."""

    def dead(self, label: str) -> bool: ...
    def ended(self, saga: str) -> bool: ...
    async def gone(self, label: str) -> None: ...
    async def crash(self, label: str, reason: str) -> None: ...
    async def stop(self, label: str) -> None: ...
    async def pause(self, label: str) -> None: ...
    async def cancel(self, saga: str) -> None: ...
    async def announced(self, label: str, said: Mapping[str, Any]) -> None: ...
    def fail(self, error: BaseException) -> None: ...


class Network:
    """Answers the requests of one case as its plan says."""

    def __init__(self, manifest: Manifest, record: Record, books: Books, host: CaseHost, token: str) -> None:
        self.manifest = manifest
        self.record = record
        self.books = books
        self.host = host
        self.token = token
        self.active = 0
        self.stuck: set[tuple[str, str]] = set()  # (saga, step) whose compensation fails until healed
        self._held: list[Call] = []  # copies that arrive after the compensation, or at the end
        self._late: list[Call] = []  # requests that their own compensation overtakes
        self._cut: dict[str, float] = {}
        self._mute: dict[str, float] = {}
        self._down: dict[str, float] = {}
        self._attempts: dict[tuple[str, str, str], int] = {}
        self._paused: set[str] = set()
        self._next = 0
        self._timeout_s = manifest.call_timeout_ms / 1000
        self._tasks: set[asyncio.Task[None]] = set()
        self.writes = Writes(record)
        self.admission = AdmissionOrder([*record.setup.orders], host.ended)

    # -- the door ----------------------------------------------------------------------------

    async def answer(self, exchange: Exchange) -> None:
        """Serve one request of a process; a defect of ours ends the case."""
        self.active += 1
        try:
            await self._answer(exchange)
        except (Blocked, Exception) as error:
            self.host.fail(error)
        finally:
            self.active -= 1
            self.record.changed.set()

    async def _answer(self, exchange: Exchange) -> None:
        if self.manifest.require_token and exchange.headers.get("authorization") != f"Bearer {self.token}":
            await exchange.respond(401, {"error": "write the header Authorization: Bearer TOKEN", "definite": True})
            return
        body = _object(exchange.body)
        if body is None:
            await exchange.respond(400, {"error": "the body is no JSON object", "definite": True})
            return
        label, *rest = exchange.path or ("",)
        if label.startswith(f"{ORCHESTRATOR}-"):  # a number sign would end the path of a URL
            label = label.replace("-", "#")
        if rest == ["hello"]:
            await self.host.announced(label, body)
            await exchange.respond(200, {})
        elif rest == ["note"]:
            await self._note_event(label, body, exchange)
        elif rest == ["log"]:
            await self._log(label, body, exchange)
        elif len(rest) == 2 and rest[1] in ("do", "undo"):
            await self._participate(label, rest[0], rest[1], body, exchange)
        else:
            await exchange.respond(404, {"error": "write POST STEP/do or STEP/undo", "definite": True})

    async def _participate(self, label: str, step: str, verb: str, body: dict[str, Any], exchange: Exchange) -> None:
        found = self.manifest.saga.by_name.get(step)
        saga = exchange.headers.get("saga-id", "")
        operation = None if found is None else (found.operation if verb == "do" else found.undo)
        if operation is None or saga not in self.record.setup.orders:
            what = f"no step {step!r} with {verb!r}" if operation is None else f"no saga {saga!r} (header Saga-Id)"
            await exchange.respond(404, {"error": f"there is {what}", "definite": True})
            return
        if not self.host.dead(label):
            await self.admission.enter(saga)
        direction = FORWARD if verb == "do" else COMPENSATION
        counter = (saga, step, direction)
        attempt = self._attempts[counter] = self._attempts.get(counter, 0) + 1
        call = Call(
            id=0,
            process=label,
            service=operation.partition(".")[0],
            operation=operation,
            saga=saga,
            step=step,
            direction=direction,
            attempt=attempt,
            key=exchange.headers.get("idempotency-key"),
            payload=_payload(body),
            epoch=whole_number(exchange.headers.get("saga-epoch", "")),
        )
        await self._request(call, exchange)

    # -- received ----------------------------------------------------------------------------

    async def _request(self, call: Call, exchange: Exchange) -> None:
        cut = self._lasts(self._cut, call.service)
        excluded = _IN_THE_NETWORK if cut else ()
        kind, number = self.record.visit(
            (call.saga, call.step, call.direction, AT_SEND, call.attempt), (*excluded, *self._of_the_dead(call))
        )
        if kind == "crash-before-send":
            self.record.struck(number)
            await self.host.crash(call.process, kind)
            exchange.reset()
            return
        if kind in ("pause", "cancel"):
            self.record.struck(number)
            await self._before_sending(kind, call)
            kind = ""
        self._next += 1
        call.id = self._next
        said: tuple[Any, ...] = (call.operation, _shown(call.payload))
        self.record.add(SEND, call.process, (*said, call.epoch) if call.epoch else said, call=call)
        if cut:
            await self._lose(call, "request", exchange)
        elif not kind:
            await self._deliver_and_answer(call, exchange)
        else:
            self.record.struck(number)
            await self._struck(kind, call, exchange)

    async def _before_sending(self, kind: str, call: Call) -> None:
        if kind == "pause":
            self._paused.add(call.process)
            await self.host.pause(call.process)
        else:
            self.record.add(CANCEL, "client", saga=call.saga)
            await self.host.cancel(call.saga)

    async def _struck(self, kind: str, call: Call, exchange: Exchange) -> None:
        """A request was received to which something happens on its way."""
        if kind == "lost-request":
            await self._lose(call, "request", exchange)
        elif kind == "timeout":
            await self._until_given_up(call, exchange)
            self._later(SLOW_S, self.deliver(call))
        elif kind == "partition":
            until = time.monotonic() + self.manifest.partition_ms / 1000
            self._cut[call.service] = self._mute[call.service] = until
            await self._lose(call, "request", exchange)
        elif kind == "partition-answers":
            self._mute[call.service] = time.monotonic() + self.manifest.partition_ms / 1000
            await self._deliver_and_answer(call, exchange)
        elif kind == "reordered":
            self._late.append(call)
            await self._until_given_up(call, exchange)
        elif kind == "crash-after-send":
            await self.host.crash(call.process, kind)
            exchange.reset()
            await self.deliver(call)
        elif kind == "duplicate":
            reply = await self.deliver(call)
            await self.deliver(call)
            await self._reply(call, reply, exchange)
        else:  # delayed-duplicate
            self._held.append(call)
            await self._deliver_and_answer(call, exchange)

    def _of_the_dead(self, call: Call) -> tuple[str, ...]:
        """What cannot happen to a sender that is dead already."""
        return (*_CRASHES, "pause") if self.host.dead(call.process) else ()

    # -- applied -----------------------------------------------------------------------------

    async def _deliver_and_answer(self, call: Call, exchange: Exchange) -> None:
        reply = await self.deliver(call)
        await self._reply(call, reply, exchange)

    async def deliver(self, call: Call) -> Reply | None:
        """Hand one copy of a request to its participant; None where no answer can come of it."""
        call.deliveries += 1
        self.record.add(DELIVER, call.service, (call.deliveries,), call=call)
        kind, number = "", -1
        if call.deliveries == 1:
            site = (call.saga, call.step, call.direction, AT_EFFECT, call.attempt)
            kind, number = self.record.visit(site, self._impossible(call))
        if kind:
            self.record.struck(number)
        reply: Reply | None = self._note(call, self._handle(call, kind))
        if kind == "crash-after-effect":
            await self.host.crash(call.process, kind)
            reply = None
        elif kind == "participant-restart":
            self.books.open(call.service)
            self._down[call.service] = time.monotonic() + RESTART_S
            self.record.add(DOWN, call.service, ("restart",), call=call)
            reply = None
        elif kind == "error-after-effect":
            reply = Reply(FAILED, "internal error")
        await self._let_others_go(call)
        return reply

    def _impossible(self, call: Call) -> tuple[str, ...]:
        """What cannot strike this delivery: see the simulator's."""
        failing = call.direction == COMPENSATION and (call.saga, call.step) in self.stuck
        if failing or self._lasts(self._down, call.service):
            return _EFFECT_KINDS
        decided = call.direction == COMPENSATION or self.books.decided(call)
        return (*(("reject",) if decided else ()), *self._of_the_dead(call))

    def _handle(self, call: Call, kind: str) -> Reply:
        if self._lasts(self._down, call.service):
            return Reply(FAILED, "connection refused")
        if kind == "participant-outage":
            self._down[call.service] = time.monotonic() + self.manifest.partition_ms / 1000
            self.record.add(DOWN, call.service, ("down",), call=call)
            return Reply(FAILED, "connection refused")
        if kind == "undo-fails":
            self.stuck.add((call.saga, call.step))
        if kind == "error-before-effect":
            return Reply(FAILED, "internal error")
        if kind == "reject":
            return self.books.refuse(call, "refused by the business")
        if call.direction == COMPENSATION and (call.saga, call.step) in self.stuck:
            return Reply(FAILED, "cannot undo")
        return self.books.handle(call)

    def _note(self, call: Call, reply: Reply) -> Reply:
        if reply.answer == OK:
            seen: tuple[Any, ...] = (reply.effective, reply.owner, reply.balance)
            if reply.effective and call.direction == FORWARD and reply.value:
                seen += (receipt(reply.value),)
            self.record.add(APPLY, call.service, seen, call=call)
        else:
            self.record.add(REJECT if reply.answer == REJECTED else ERROR, call.service, (reply.value,), call=call)
        return reply

    # -- the reply held, and sent ------------------------------------------------------------

    async def _reply(self, call: Call, reply: Reply | None, exchange: Exchange) -> None:
        if reply is None or self._lasts(self._mute, call.service):
            await self._lose(call, "answer", exchange)
            return
        site = (call.saga, call.step, call.direction, AT_ACK, call.attempt)
        kind, number = self.record.visit(site, self._of_the_dead(call))
        if kind:
            self.record.struck(number)
        if kind == "lost-ack":
            await self._lose(call, "answer", exchange)
            return
        if kind == "late-answer":
            await self._until_given_up(call, exchange)
            return
        if kind == "slow-answer" and await exchange.gone(self._timeout_s * self.manifest.slow_share):
            self._gave_up(call)
            return
        if kind == "crash-after-ack":
            await self.host.stop(call.process)  # it has the answer, and does nothing with it
        if self.host.dead(call.process):
            await self.host.gone(call.process)
            exchange.reset()
            return
        if not kind and await exchange.gone(0):  # the machine was too slow for it
            self.record.disturbed = self.record.disturbed or call.process not in self._paused
            self._gave_up(call)
            return
        self.record.add(ACK, call.process, (reply.answer,), call=call)
        content = {"receipt": reply.value} if reply.answer == OK else {"error": str(reply.value)}
        await exchange.respond(_STATUS[reply.answer], {**content, "definite": reply.answer != FAILED})
        if kind == "crash-after-ack":
            await self.host.crash(call.process, kind)

    async def _lose(self, call: Call, what: str, exchange: Exchange) -> None:
        """Drop a message: the connection breaks, and the caller knows nothing."""
        await self.host.gone(call.process)
        exchange.reset()
        if not self.host.dead(call.process):
            self.record.add(LOST, call.process, (what,), call=call)
            self._gave_up(call)

    async def _until_given_up(self, call: Call, exchange: Exchange) -> None:
        """Keep the caller waiting until it gives up; one that never does is cut off."""
        await exchange.gone(2 * self._timeout_s)
        await self.host.gone(call.process)
        exchange.reset()
        if not self.host.dead(call.process):
            self._gave_up(call)

    def _gave_up(self, call: Call) -> None:
        sent_us = next(row[0] for row in self.record.rows if row[8] == call.id)
        waited_ms = (time.monotonic() - self.record.started) * 1000 - sent_us / 1000
        self.record.add(TIMEOUT, call.process, (round(waited_ms, 3),), call=call)

    # -- what waits, what lasts --------------------------------------------------------------

    async def _let_others_go(self, handled: Call) -> None:
        if handled.direction != COMPENSATION:
            return
        for waiting in (self._held, self._late):
            for call in [call for call in waiting if (call.saga, call.step) == (handled.saga, handled.step)]:
                if call is not handled:
                    waiting.remove(call)
                    self._later(SLOW_S, self.deliver(call))

    async def flush(self) -> bool:
        """Deliver every request that still waits for another; False when there was none."""
        due, self._held, self._late = [*self._held, *self._late], [], []
        for call in due:
            await self.deliver(call)
        return bool(due)

    @property
    def waiting(self) -> bool:
        """Whether something is still on its way."""
        return self.active > 0 or self.writes.held > 0 or bool(self._tasks)

    def heal(self) -> bool:
        """End what lasts; False when nothing did."""
        lasting = bool(self.stuck) or any(map(bool, (self._cut, self._mute, self._down)))
        for table in (self._cut, self._mute, self._down, self.stuck):
            table.clear()
        return lasting

    @staticmethod
    def _lasts(table: dict[str, float], service: str) -> bool:
        return table.get(service, 0.0) > time.monotonic()

    def _later(self, delay_s: float, work: Coroutine[Any, Any, object]) -> None:
        async def run() -> None:
            await asyncio.sleep(delay_s)
            await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.record.changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.host.fail(error)

    # -- the worker's own durable writes -----------------------------------------------------

    async def _log(self, label: str, body: dict[str, Any], exchange: Exchange) -> None:
        """A worker shows a durable write: as it is about to commit (phase "log"), and when it has ("logged")."""
        phase, entries = body.get("phase"), [_object_of(entry) for entry in body.get("writes") or [body]]
        if phase not in (AT_LOG, AT_LOGGED):
            await exchange.respond(400, {"error": "write the phase, 'log' or 'logged'", "definite": True})
            return
        write = self.writes.write(label, entries, begins=phase == AT_LOG)
        if phase == AT_LOG and write.saga and not self.host.dead(label):
            await self.admission.enter(write.saga)
        errors = self.manifest.store_errors
        impossible = self.writes.impossible(dead=self.host.dead(label), proxied=False, errors=errors)
        kind = (self.writes.before if phase == AT_LOG else self.writes.after)(write, impossible)
        if kind in STORE_ERRORS:
            await exchange.respond(503, {"error": "the store does not answer", "definite": False})
        elif kind:
            await self.host.crash(label, kind)
            exchange.reset()
        elif phase == AT_LOG and self.host.dead(label):  # it is to make nothing durable any more
            await self.host.gone(label)
            exchange.reset()
        else:
            await exchange.respond(200, {})

    async def _note_event(self, label: str, body: dict[str, Any], exchange: Exchange) -> None:
        """A worker shows what no request shows: that it calls a person, puts a saga aside, takes one over."""
        kind = str(body.get("kind"))
        if kind not in NOTES or body.get("saga") not in self.record.setup.orders:
            await exchange.respond(400, {"error": f"write a kind among {', '.join(NOTES)}, a saga", "definite": True})
            return
        data = tuple(body.get(name, 0 if name == "epoch" else "") for name in DATA_FIELDS[kind])
        process = "client" if kind == CLIENT_ACK else label
        self.record.add(kind, process, data, saga=str(body["saga"]), step=str(body.get("step", "")))
        await exchange.respond(200, {})


def _object_of(entry: Any) -> dict[str, Any]:
    return entry if isinstance(entry, dict) else {}


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _payload(body: dict[str, Any]) -> dict[str, Any]:
    """What a request says; the receipt that an undo echoes counts as said."""
    echoed = body.get("receipt")
    return {**(echoed if isinstance(echoed, dict) else {}), **{k: v for k, v in body.items() if k != "receipt"}}


def _shown(payload: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    scalars = (str, int, float, bool, type(None))
    return tuple(
        (name, value if isinstance(value, scalars) else json.dumps(value, sort_keys=True))
        for name, value in sorted(payload.items())
    )
