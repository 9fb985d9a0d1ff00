"""The participants of one case, and the faults that strike at their door.

The harness sees a system from here: a request is *received*, *applied*, its reply *held*, and *sent*. These are
the sites of the model: what strikes as a request is sent strikes when it is received, which to the participants
is the same; what strikes the answer strikes while it is held.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from ..definitions import root_of
from ..effects import NO_OTHER, NO_SUCCESS, Crash, Effect, StoreError, doing
from ..faults import AT_ACK, AT_EFFECT, AT_LOG, AT_LOGGED, AT_SEND, FaultKind
from ..history import (
    ACK,
    ADOPT,
    ALERT,
    APPLY,
    CLIENT_ACK,
    DATA_FIELDS,
    DEAD_LETTER,
    DELIVER,
    ERROR,
    EXPIRE,
    GARBLED,
    LOST,
    MSG,
    REJECT,
    SEND,
    STATE,
    T_US,
    TIMEOUT,
)
from ..rules import HISTORY, MOMENTS
from ..saga import COMPENSATION, FORWARD, Outcome, about, instance, problem_with_part
from ..simulator.participants import ERROR as FAILED
from ..simulator.participants import OK, REJECTED, Later, Reply, as_state, receipt
from ..simulator.putting_off import AGAIN_US, MOST_TRIES, direction_of
from .admission import AdmissionOrder
from .injection import REFUSED_CONNECTION, CaseHost, Fate, Injection
from .ledger import Books, Call
from .mail import Mail
from .manifest import Manifest
from .member import Members
from .record import Record
from .resting import REST_S, acts_for, goes_on
from .server import Exchange
from .supervisor import Blocked
from .writes import Writes, circumstances_of, whole_number

SLOW_S: Final = 0.005
RESTART_S: Final = 0.05
ORCHESTRATOR: Final = "orchestrator"

NOTES: Final = (ALERT, DEAD_LETTER, ADOPT, CLIENT_ACK)
"""The events that a worker may show by itself."""

_OUTCOMES: Final = frozenset(outcome.value for outcome in Outcome)
_STATUS: Final = {OK: 200, REJECTED: 409, FAILED: 500}


class Network:
    """Answers the requests of one case as its plan says."""

    def __init__(
        self, manifest: Manifest, record: Record, books: Books, members: Members, host: CaseHost, token: str
    ) -> None:
        self.manifest = manifest
        self.record = record
        self.books = books
        self.host = host
        self.token = token
        self.faults = Injection(manifest, record, books, host, self._expire_later, self._crash_at_rest)
        self.mail = Mail(manifest, record, members, host, self._number, self.later)
        self.active = 0
        self._held: list[Call] = []  # copies that arrive after the compensation, or at the end
        self._late: list[Call] = []  # requests that their own compensation overtakes
        self._attempts: dict[tuple[str, str, str], int] = {}
        self._next = 0
        self.shows_states = record.setup.shown_states in (MOMENTS, HISTORY)  # after each transaction
        self._answers: list[tuple[str, Any]] = []  # what each participant has answered, in order
        self._known = record.setup.adapter.known
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
        label = self.host.known_as(label)
        if rest == ["hello"]:
            await self.host.announced(label, body)
            await exchange.respond(200, {})
        elif rest == ["note"]:
            await self._note_event(label, body, exchange)
        elif rest == ["log"]:
            await self._log(label, body, exchange)
        elif rest == ["publish"]:
            await self._publish(label, body, exchange)
        elif len(rest) == 2 and rest[1] in ("do", "undo"):
            step, what = self._known.by_name.get(rest[0]), f"no step {rest[0]!r} with {rest[1]!r}"
            operation = None if step is None else (step.operation if rest[1] == "do" else step.undo)
            await self._participate(label, operation, what, body, exchange)
        elif len(rest) == 1 and "." in rest[0]:
            what = f"no operation {rest[0]!r}; give it a step, or list it in operations"
            await self._participate(label, rest[0], what, body, exchange)
        else:
            error = "write POST STEP/do, STEP/undo or PARTICIPANT.VERB"
            await exchange.respond(404, {"error": error, "definite": True})

    async def _participate(
        self, label: str, operation: str | None, lacks: str, body: dict[str, Any], exchange: Exchange
    ) -> None:
        """A participant is asked for an operation, of a step or of none; ``lacks`` says that there is none such."""
        saga = exchange.headers.get("saga-id", "")
        route = self.record.setup.routes.get(operation or "")
        if operation is None or route is None or saga not in self.record.setup.known:
            what = f"no saga {saga!r} (header Saga-Id)" if route is not None else lacks
            await exchange.respond(404, {"error": f"there is {what}", "definite": True})
            return
        if not self.host.dead(label):
            await self.admission.enter(root_of(saga))
        part, step = exchange.headers.get("saga-part"), route.step
        if part is not None or operation in self._known.in_parts:
            if problem := problem_with_part(self._known, operation, part):
                await exchange.respond(400, {"error": f"header Saga-Part: {problem}", "definite": True})
                return
            step = instance(step, part) if part is not None else step
        call = Call(
            id=0,
            process=label,
            service=route.service,
            operation=operation,
            saga=saga,
            step=step,
            direction=route.direction,
            attempt=0,
            key=exchange.headers.get("idempotency-key"),
            payload=_payload(body),
            epoch=whole_number(exchange.headers.get("saga-epoch", "")),
        )
        call.attempt = self._attempts[call.known_by] = self._attempts.get(call.known_by, 0) + 1
        await self._request(call, exchange)

    def _number(self) -> int:
        """Of the next request, or message."""
        self._next += 1
        return self._next

    async def _publish(self, label: str, body: dict[str, Any], exchange: Exchange) -> None:
        """A worker publishes a message."""
        topic, saga, payload = body.get("topic"), body.get("saga"), body.get("payload") or {}
        known = isinstance(topic, str) and topic and saga in self.record.setup.known and isinstance(payload, dict)
        if not known or not self.manifest.receives:
            error = "write topic, saga and payload; and receives = true in [capabilities]"
            await exchange.respond(400, {"error": error, "definite": True})
            return
        key, delay_ms = str(body.get("key") or ""), float(body.get("delay_ms") or 0)
        if self.host.dead(label) or not await self.mail.publish(label, str(topic), str(saga), key, delay_ms, payload):
            await self.host.gone(label)
            exchange.reset()
        else:
            await exchange.respond(200, {})

    # -- received ----------------------------------------------------------------------------

    async def _request(self, call: Call, exchange: Exchange) -> None:
        cut = self.faults.lasts(self.faults.cut, call.service)
        kind, number = self._visit(call, AT_SEND)
        if kind is not None and kind.before:
            self.record.struck(number)
            fate = await self.faults.before_sending(kind, call)
            if fate.dies:
                exchange.reset()
                return
        call.id = self._number()
        said: tuple[Any, ...] = (call.operation, _shown(call.payload))
        self.record.add(SEND, call.process, (*said, call.epoch) if call.epoch else said, call=call)
        if cut:
            await self._lose(call, "request", exchange)
        elif kind is None or not kind.after:
            await self._reply(call, await self.deliver(call), exchange)
        else:
            if not kind.before:
                self.record.struck(number)
            await self._send(call, exchange, await self.faults.on_its_way(kind, call))

    async def _send(self, call: Call, exchange: Exchange, fate: Fate) -> None:
        """A request was received to which something happens on its way."""
        self._held += [call] * fate.held_copies
        if fate.dies:
            exchange.reset()
        if fate.lost:
            await self._lose(call, "request", exchange)
        elif fate.held:
            self._late.append(call)
            await self._until_given_up(call, exchange)
        elif fate.late_s is not None:
            await self._until_given_up(call, exchange)
            self.later(fate.late_s, self.deliver(call))
        else:
            reply = await self.deliver(call)
            for _ in range(fate.copies):
                await self.deliver(call)
            if not fate.dies:
                await self._reply(call, reply, exchange)

    def _visit(self, call: Call, phase: str, now: int = 0) -> tuple[FaultKind | None, int]:
        """The kind of fault that strikes a request in these circumstances, and its number in the plan."""
        site = (*call.known_by, phase, call.attempt)
        strike = self.record.visit(site, self.faults.impossible(call, phase, now))
        return (None, -1) if strike is None else strike

    # -- applied -----------------------------------------------------------------------------

    async def deliver(self, call: Call) -> Reply | None:
        """Hand one copy of a request to its participant; None where no answer can come of it."""
        call.deliveries += 1
        self.record.add(DELIVER, call.service, (call.deliveries,), call=call)
        kind, number = self._visit(call, AT_EFFECT) if call.deliveries == 1 else (None, -1)
        if kind is not None and not kind.at_rest:
            self.record.struck(number)
        handled = self._note(call, await self._handle(call, kind))
        if handled.effective and (topic := self.manifest.emits.get(call.operation)) is not None:
            payload = dict(receipt(handled.value))
            await self.mail.publish(call.service, topic, call.saga, "", 0, payload, cause=call.id)
        await self._emit(call.service, handled, call.id)
        reply: Reply | None = handled
        if kind is not None:
            reply = await self.faults.handled(kind, call, reply)
        await self._let_others_go(call)
        return reply

    async def _handle(self, call: Call, kind: FaultKind | None) -> Reply:
        if self.faults.lasts(self.faults.down, call.service):
            return Reply(FAILED, REFUSED_CONNECTION)
        instead = await self.faults.handling(kind, call) if kind is not None else None
        if instead is not None:
            return instead
        if self.faults.fails(call):
            return Reply(FAILED, "cannot undo")
        return self.books.handle(call)

    def _note(self, call: Call, reply: Reply) -> Reply:
        for kind, data in reply.touched:
            self.record.add(kind, call.service, data, call=call)
        self._note_beside(call.service, reply)
        if reply.answer == OK:
            seen: tuple[Any, ...] = (reply.effective, reply.owner, reply.balance)
            if reply.effective and call.direction == FORWARD and reply.value:
                seen += (receipt(reply.value),)
            self.record.add(APPLY, call.service, seen, call=call)
            if self.shows_states and reply.effective:
                self.record.add(STATE, call.service, (self._state(call.service),), call=call)
            adapter = self.record.setup.adapter
            if call.operation in adapter.tickets:
                step = adapter.put_aside(call.payload)
                self.record.handed_over(call.process, call.operation, saga=call.saga, step=step)
        else:
            self.record.add(REJECT if reply.answer == REJECTED else ERROR, call.service, (reply.value,), call=call)
        return reply

    # -- what participants of the user's own do beside, or put off ---------------------------

    def _note_beside(self, service: str, reply: Reply, own: tuple[str, str, str] | None = None) -> None:
        """``own`` is the (saga, step, direction) of a transaction that is no request's."""
        if own is not None and reply.touched:
            (saga, step, direction), number = own, self._number()
            for kind, data in reply.touched:
                self.record.add(kind, service, data, saga=saga, step=step, direction=direction, msg=number)
        for kind, saga, step, direction, data in reply.beside:
            self.record.add(kind, service, data, saga=saga, step=step, direction=direction)
        for later in reply.later:
            self.later(later.delay_ms / 1000 / self.manifest.actor_scale, self._work(service, later))

    async def _emit(self, service: str, reply: Reply, cause: int = 0) -> None:
        for topic, saga, key, delay_ms, payload in reply.emitted:
            await self.mail.publish(
                service, topic, saga, key, delay_ms / self.manifest.actor_scale, payload, cause=cause
            )

    def _expire_later(self, call: Call, after_s: float) -> None:
        self.later(after_s, self._run_out(call))

    async def _run_out(self, call: Call) -> None:
        """The reservation that a request made is withdrawn by its participant, unless it was confirmed or undone."""
        gone = self.books.expire(call)
        if gone is None:
            return
        self.record.add(EXPIRE, call.service, gone.value, call=call)
        self._note_beside(call.service, gone, (call.saga, call.step, COMPENSATION))
        if self.shows_states:
            self.record.add(STATE, call.service, (self._state(call.service),), call=call)
        await self._emit(call.service, gone, call.id)

    async def _work(self, service: str, later: Later) -> None:
        """A participant does what it has put off; where it cannot, it tries again."""
        if self.faults.lasts(self.faults.down, service):
            self.later(SLOW_S, self._work(service, later))
            return
        reply = self.books.work(service, later)
        if reply is None:
            return
        job = later.job
        if reply.answer == FAILED:
            self.record.add(ERROR, service, (f"{job.what}: {reply.value}",), saga=job.saga)
            if later.tries < MOST_TRIES:
                again_s = AGAIN_US / 1e6 * 2**later.tries / self.manifest.actor_scale
                self.later(again_s, self._work(service, later._replace(tries=later.tries + 1)))
            return
        self._note_beside(service, reply, (job.saga, job.step, direction_of(later, reply)))
        if self.shows_states and reply.effective:
            self.record.add(STATE, service, (self._state(service),), saga=job.saga, step=job.step)
        await self._emit(service, reply)

    def show_states(self) -> None:
        """Note what each participant holds, now."""
        for name in self.books.ledgers:
            self.record.add(STATE, name, (self._state(name),))

    def _state(self, name: str) -> str:
        return as_state(name, self.books.ledgers[name].held())

    # -- the reply held, and sent ------------------------------------------------------------

    async def _reply(self, call: Call, reply: Reply | None, exchange: Exchange) -> None:
        if reply is None or self.faults.lasts(self.faults.mute, call.service):
            await self._lose(call, "answer", exchange)
            return
        others = [value for service, value in self._answers if service == call.service]
        found = (0 if reply.answer == OK else NO_SUCCESS) | (0 if others else NO_OTHER)
        kind, number = self._visit(call, AT_ACK, found)
        instead: dict[str, Any] | str | None = None
        if kind is not None:
            if not kind.at_rest:
                self.record.struck(number)
            fate = await self.faults.answering(kind, call)
            if not await self._arrives(call, exchange, fate):
                return
            instead = _instead(fate, others)
            if kind.after and not kind.at_rest and not self.host.spares(call.process):
                await self.host.stop(call.process)  # it has the answer, and does nothing with it
        if self.host.dead(call.process):
            await self.host.gone(call.process)
            exchange.reset()
            return
        if kind is None and await exchange.gone(0):  # the machine was too slow for it
            self.record.disturbed = self.record.disturbed or call.process not in self.faults.paused
            self._gave_up(call)
            return
        self.record.add(ACK, call.process, (reply.answer,), call=call)
        if reply.answer == OK:
            self._answers.append((call.service, reply.value))
        content = {"receipt": reply.value} if reply.answer == OK else {"error": str(reply.value)}
        told = {**content, "definite": reply.answer != FAILED} if instead is None else instead
        await exchange.respond(_STATUS[reply.answer], told)
        if kind is not None:
            await self.faults.answered(kind, call)

    async def _arrives(self, call: Call, exchange: Exchange, fate: Fate) -> bool:
        """True if an answer that was struck reaches its caller."""
        if fate.lost:
            await self._lose(call, "answer", exchange)
        elif fate.late_s is not None:
            await self._until_given_up(call, exchange)
        elif fate.slow and await exchange.gone(self._timeout_s * self.manifest.slow_share):
            self._gave_up(call)
        else:
            return True
        return False

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
        sent_us = next(row[T_US] for row in self.record.rows if row[MSG] == call.id)
        waited_ms = (time.monotonic() - self.record.started) * 1000 - sent_us / 1000
        self.record.add(TIMEOUT, call.process, (round(waited_ms, 3),), call=call)

    # -- when nothing is in flight -----------------------------------------------------------

    def _crash_at_rest(self, call: Call, kind: FaultKind) -> None:
        self.later(0, self._crash_when_at_rest(call, kind))

    async def _crash_when_at_rest(self, call: Call, kind: FaultKind) -> None:
        """Let the process that asked die when it waits; where it goes on before that, nothing came of the fault."""
        began, until = len(self.record.rows), time.monotonic() + self.manifest.max_recovery_ms / 1000
        while True:
            seen = len(self.record.rows)
            await asyncio.sleep(REST_S)
            if self.host.dead(call.process) or goes_on(self.record.rows[began:], call) or time.monotonic() > until:
                self.record.came_to_nothing(call, kind)
                return
            if not (self.active or self.writes.held or acts_for(self.record.rows[seen:], call)):
                self.record.struck(self.record.number_of(call, kind))
                await self.host.crash(call.process, kind.name)
                return

    # -- what waits, what lasts --------------------------------------------------------------

    async def _let_others_go(self, handled: Call) -> None:
        if handled.direction != COMPENSATION:
            return
        for waiting in (self._held, self._late):
            for call in [call for call in waiting if call.saga == handled.saga and about(call.step, handled.step)]:
                if call is not handled:
                    waiting.remove(call)
                    self.later(SLOW_S, self.deliver(call))

    async def flush(self) -> bool:
        """Deliver every request that still waits for another; False when there was none."""
        due, self._held, self._late = [*self._held, *self._late], [], []
        for call in due:
            await self.deliver(call)
        return bool(due) or self.mail.flush()

    @property
    def waiting(self) -> bool:
        """True if something is still on its way."""
        return self.active > 0 or self.writes.held > 0 or bool(self._tasks)

    def heal(self, *, waited: bool) -> tuple[bool, tuple[str, ...]]:
        """See `Injection.heal`."""
        return self.faults.heal(waited=waited)

    def later(self, delay_s: float, work: Coroutine[Any, Any, object]) -> None:
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
        circumstances = circumstances_of(dead=self.host.dead(label), proxied=False, errors=self.manifest.store_errors)
        kind = (self.writes.before if phase == AT_LOG else self.writes.after)(write, circumstances)
        if kind is not None:
            status = 0
            for effect in kind.effects:
                status = await doing(_SHOWN, effect)(self.host, label, kind)
            if status:
                failed = {"error": "the store does not answer", "definite": False}
                await exchange.respond(status, failed if status != 200 else {})
            else:
                exchange.reset()
        elif phase == AT_LOG and self.host.dead(label):  # it is to make nothing durable any more
            await self.host.gone(label)
            exchange.reset()
        else:
            await exchange.respond(200, {})

    async def _note_event(self, label: str, body: dict[str, Any], exchange: Exchange) -> None:
        """A worker shows what no request shows: that it calls a person, puts a saga aside, takes one over."""
        kind = str(body.get("kind"))
        if kind not in NOTES or body.get("saga") not in self.record.setup.known:
            await exchange.respond(400, {"error": f"write a kind among {', '.join(NOTES)}, a saga", "definite": True})
            return
        data = tuple(body.get(name, 0 if name == "epoch" else "") for name in DATA_FIELDS[kind])
        process = "client" if kind == CLIENT_ACK else label
        self.record.add(kind, process, data, saga=str(body["saga"]), step=str(body.get("step", "")))
        await exchange.respond(200, {})


async def _crash(host: CaseHost, label: str, kind: FaultKind) -> int:
    spared = host.spares(label)
    await host.crash(label, kind.name)
    return 200 if spared else 0


async def _unavailable(host: CaseHost, label: str, kind: FaultKind) -> int:
    return 503


_SHOWN: Final[Mapping[type[Effect], Callable[[CaseHost, str, FaultKind], Awaitable[int]]]] = {
    Crash: _crash,
    StoreError: _unavailable,
}
"""What is done to a worker that shows its writes: returns the status that it is answered, 0 for none."""


def _instead(fate: Fate, others: list[Any]) -> dict[str, Any] | str | None:
    """What arrives in the place of an answer; None where that arrives itself."""
    if fate.instead == "garbled":
        return GARBLED
    if fate.instead == "empty":
        return {}
    return {"receipt": others[-1]} if fate.instead == "another" else None


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
