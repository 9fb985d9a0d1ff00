"""Messages between the orchestrator and the participants, and the faults that strike them.

In a campaign every message travels by itself, one millisecond each way. In manual mode (the
state machine) messages wait in ``pending`` until somebody delivers, drops or duplicates them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from greenlet import getcurrent

from ..faults import AT_ACK, AT_EFFECT, AT_SEND, FAULT_KINDS
from ..history import ACK, APPLY, DELIVER, DOWN, ERROR, EXPIRE, LOST, REJECT, SEND, TIMEOUT
from ..ports import CallTimeout, PortError, ProcessCrashed, Rejected, Unavailable
from ..saga import COMPENSATION, FORWARD
from . import participants as p
from .patches import Spinning

if TYPE_CHECKING:
    from .process import Process
    from .simulation import Simulation

LATENCY_US: Final = 1_000
ROUND_TRIP_US: Final = 2 * LATENCY_US
SLOW_US: Final = 5_000
"""How long after the caller gave up a request that is too slow arrives."""

JUST_US: Final = 1_000
"""How far before or after the caller's patience ends an answer comes that is just in time, or just late."""

PARTITION_US: Final = 5_000_000
OUTAGE_US: Final = 2_000_000
RESTART_US: Final = 500_000
EXPIRY_US: Final = 1_500
"""How long these last: a partition, a participant's outage, its restart, a reservation that runs out."""

MAX_ATTEMPT: Final = 6
"""Attempts of one call at which faults are injected; later ones are reported as not struck."""


_EFFECT_KINDS: Final = tuple(kind.name for kind in FAULT_KINDS.values() if kind.phase == AT_EFFECT)
_BEFORE_SENDING: Final = frozenset({"crash-before-send", "pause", "cancel", "clock-forward", "clock-back"})
_IN_THE_NETWORK: Final = tuple(
    kind.name for kind in FAULT_KINDS.values() if kind.phase == AT_SEND and kind.name not in _BEFORE_SENDING
)
OVERTAKEN: Final = {"overtaken": 1, "overtaken-twice": 2}
_EXPIRY: Final = ("expiry",)
_NOTHING: Final[tuple[str, ...]] = ()
_REJECT: Final = ("reject",)
_CRASH: Final = ("crash-after-effect",)
_KEY_EXPIRY: Final = ("key-expiry",)


class Message:
    """One request in the network; its deliveries and its answer. ``done`` once the caller went on."""

    __slots__ = (
        "asked",
        "attempt",
        "deaf",
        "deliveries",
        "direction",
        "done",
        "due_us",
        "id",
        "key",
        "on_done",
        "operation",
        "payload",
        "process",
        "saga",
        "service",
        "step",
        "timeout_us",
    )

    def __init__(
        self,
        id: int,
        process: Process,
        service: str,
        operation: str,
        saga: str,
        step: str,
        direction: str,
        attempt: int,
        key: str | None,
        payload: dict[str, Any],
        asked: tuple[Any, ...],
        now_us: int,
        timeout_us: int,
        on_done: Callable[[Any, PortError | None], object],
    ) -> None:
        self.id = id
        self.process = process
        self.service = service
        self.operation = operation
        self.saga = saga
        self.step = step
        self.direction = direction
        self.attempt = attempt
        self.key = key
        self.payload = payload
        self.asked = asked  # as its SEND tells
        self.timeout_us = timeout_us
        self.on_done = on_done
        self.due_us = now_us + timeout_us
        self.deliveries = 0
        self.done = False
        self.deaf = False

    @property
    def words(self) -> tuple[Any, ...]:
        """What it asks for, and under which key: two requests in the same words are one that is made again."""
        return self.saga, self.key, *self.asked

    def copy(self) -> Message:
        """The same request in a copy of the world. Its caller has gone on, or is dead."""
        twin = Message.__new__(Message)
        for name in Message.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin


class Network:
    """Carries messages for one run."""

    __slots__ = (
        "_attempts",
        "_cut",
        "_down",
        "_held",
        "_late",
        "_mute",
        "_next",
        "_waiting",
        "manual",
        "pending",
        "sim",
        "stuck",
    )

    def __init__(self, sim: Simulation, *, manual: bool) -> None:
        self.sim = sim
        self.manual = manual
        self.pending: list[Message] = []
        self.stuck: set[tuple[str, str]] = set()  # (saga, step) whose compensation fails until healed
        self._held: list[Message] = []  # delayed duplicates
        self._late: list[Message] = []  # requests that wait for their own compensation to be handled first
        self._waiting: list[list[Any]] = []  # [request that lets others go first, how many more]
        self._cut: dict[str, int] = {}  # participant -> until when (µs) no request reaches it
        self._mute: dict[str, int] = {}  # participant -> until when no answer of it arrives
        self._down: dict[str, int] = {}  # participant -> until when it refuses connections
        self._attempts: dict[tuple[str, str, str], int] = {}
        self._next = 0

    # -- the caller's side -------------------------------------------------------------------

    def request(
        self,
        process: Process,
        operation: str,
        saga: str,
        key: str | None,
        timeout_us: int,
        payload: dict[str, Any],
        on_done: Callable[[Any, PortError | None], object],
        epoch: int = 0,
    ) -> Message:
        """Send one request. ``on_done(value, error)`` is called once, unless the process dies first."""
        sim = self.sim
        service, step, direction = sim.setup.routes[operation]
        counter = (saga, step or operation, direction)
        attempt = self._attempts.get(counter, 0) + 1
        self._attempts[counter] = attempt
        kind = None
        if step:
            impossible = sim.setup.unshared(service, saga)
            if self._cut and self._cut.get(service, 0) > sim.kernel.now_us:
                impossible = _IN_THE_NETWORK  # nothing gets there anyway
            site = (saga, step, direction, AT_SEND, attempt)
            kind = sim.visit(site, impossible)
            if sim.priorities is not None:
                sim.priorities.reached(site)
            if kind in _BEFORE_SENDING:
                self._strike_before_sending(process, saga, kind)
                kind = None
        self._next = nth = self._next + 1
        shown, payload = _frozen_payload(payload)
        now = sim.kernel.now_us
        data = (operation, shown, epoch) if epoch else (operation, shown)
        msg = Message(
            nth,
            process,
            service,
            operation,
            saga,
            step,
            direction,
            attempt,
            key,
            payload,
            data,
            now,
            timeout_us,
            on_done,
        )
        sim.record((now, SEND, process.label, saga, step, direction, attempt, key, nth, data))
        if sim.priorities is not None:
            sim.priorities.stir(saga, now)
        if self.manual:
            self.pending.append(msg)
            self._arm(msg)
            return msg
        if timeout_us <= ROUND_TRIP_US:  # else an answer on time is the rule, and only what delays it arms the clock
            self._arm(msg)
        if self._cut and self._cut.get(service, 0) > now:
            self._lose(msg, "request")
        elif kind is None:
            sim.kernel.at(LATENCY_US, self.deliver if sim.priorities is None else self._in_turn, msg)
        else:
            self._send_struck(msg, kind)
        return msg

    def _in_turn(self, msg: Message) -> None:
        """Deliver a request when no saga that goes first is under way, or while its caller is still patient."""
        priorities, kernel = self.sim.priorities, self.sim.kernel
        patient = kernel.now_us < msg.due_us - 2 * SLOW_US
        if priorities is not None and patient and priorities.waits(msg.saga, kernel.now_us):
            priorities.stir(msg.saga, kernel.now_us)
            kernel.at(LATENCY_US, self._in_turn, msg)
        else:
            self.deliver(msg)

    def _strike_before_sending(self, process: Process, saga: str, kind: str) -> None:
        """The faults of the moment before a request leaves; but for a crash it leaves afterwards."""
        sim = self.sim
        sim.struck()
        if kind == "crash-before-send":
            sim.crash(process, kind)
            raise ProcessCrashed
        if kind == "pause":
            sim.pause(process)
        elif kind == "cancel":
            sim.cancel(process, saga)
        else:
            sim.jump_clock(3600 if kind == "clock-forward" else -3600)

    def _send_struck(self, msg: Message, kind: str) -> None:
        sim = self.sim
        sim.struck()
        if kind == "lost-request":
            self._lose(msg, "request")
            return
        if kind == "timeout":
            self._arm(msg)
            sim.kernel.at(msg.timeout_us + SLOW_US, self.deliver, msg)
            return
        if kind == "partition":
            self._cut[msg.service] = self._mute[msg.service] = sim.kernel.now_us + PARTITION_US
            self._lose(msg, "request")
            return
        if kind == "reordered":
            self._arm(msg)
            self._late.append(msg)
            return
        if kind in OVERTAKEN:
            self._waiting.append([msg, OVERTAKEN[kind]])
            sim.kernel.at(max(msg.timeout_us - 2 * SLOW_US, 0), self._wait_no_more, msg)
            return
        sim.kernel.at(LATENCY_US, self.deliver, msg)
        if kind == "partition-answers":
            self._mute[msg.service] = sim.kernel.now_us + PARTITION_US
        elif kind == "duplicate":
            sim.kernel.at(LATENCY_US, self.deliver, msg)
        elif kind == "delayed-duplicate":
            self._held.append(msg)
        elif kind == "crash-after-send":
            sim.crash(msg.process, kind)
            raise ProcessCrashed

    def _arm(self, msg: Message) -> None:
        self.sim.kernel.at(max(msg.due_us - self.sim.kernel.now_us, 0), self._expire, msg)

    def _lose(self, msg: Message, what: str) -> None:
        self._note(msg, LOST, msg.process.label, (what,))
        self._arm(msg)

    def _expire(self, msg: Message) -> None:
        if self.give_up(msg):
            text = f"{msg.operation} gave no answer within {msg.timeout_us / 1000:g} ms"
            msg.process.inputs.append(("call", "CallTimeout", text, msg.words))
            msg.on_done(None, CallTimeout(text))

    def give_up(self, msg: Message) -> bool:
        """The caller waits no longer for the answer to ``msg``; False where it had stopped before."""
        if msg.done or msg.process.dead:
            return False
        msg.done = True
        waited_us = self.sim.kernel.now_us - (msg.due_us - msg.timeout_us)
        self._note(msg, TIMEOUT, msg.process.label, (waited_us / 1000,))
        return True

    # -- the participant's side --------------------------------------------------------------

    def deliver(self, msg: Message) -> None:
        """Hand one copy of a request to its participant, and let the answer travel back."""
        sim = self.sim
        sim.kernel.handler_delay_us = 0
        msg.deliveries = nth = msg.deliveries + 1
        self._note(msg, DELIVER, msg.service, (nth,))
        kind = None
        if nth == 1 and msg.step and not self.manual:
            kind = sim.visit((msg.saga, msg.step, msg.direction, AT_EFFECT, msg.attempt), self._impossible(msg))
        reply = self._handle(msg, kind)
        if self._held or self._late or self._waiting:
            self._let_others_go(msg, reply)
        if kind == "crash-after-effect" and not msg.process.dead:
            sim.struck()
            sim.crash(msg.process, kind)
        elif kind == "participant-restart":
            self._restart(msg)
        elif kind == "expiry":
            sim.struck()
            if reply.effective:
                sim.kernel.at(EXPIRY_US, self._run_out, msg)
        elif kind == "error-after-effect":
            sim.struck()
            reply = p.Reply(p.ERROR, "internal error")
        if msg.process.dead or msg.done or msg.deaf:
            return
        delay = LATENCY_US + sim.kernel.handler_delay_us
        if self.manual:
            self._answer((msg, reply))
        else:
            if delay > LATENCY_US:
                self._arm(msg)
            sim.kernel.at(delay, self._answer, (msg, reply))

    def _impossible(self, msg: Message) -> tuple[str, ...]:
        """What cannot strike this delivery: a refusal where the answer is already fixed, the end of a
        reservation that it does not make, the death of a sender that is dead."""
        sim = self.sim
        service = sim.services[msg.service]
        if (self._down and self._down.get(msg.service, 0) > sim.kernel.now_us) or (
            msg.direction == COMPENSATION and (msg.saga, msg.step) in self.stuck
        ):
            return _EFFECT_KINDS  # it fails already
        decided = msg.direction == COMPENSATION or service.decided(msg)
        excluded = _REJECT if decided else _NOTHING
        if decided or msg.service not in sim.setup.adapter.expiring or msg.operation.endswith(".confirm"):
            excluded += _EXPIRY
        if msg.process.dead:
            excluded += _CRASH
        retention_ms = sim.setup.adapter.key_retention_ms
        if retention_ms is not None and not service.forgettable(msg, sim.kernel.now_us, int(retention_ms * 1000)):
            excluded += _KEY_EXPIRY
        return excluded

    def _handle(self, msg: Message, kind: str | None) -> p.Reply:
        sim = self.sim
        service = sim.services[msg.service]
        if self._down and self._down.get(msg.service, 0) > sim.kernel.now_us:
            return self._note_reply(msg, p.Reply(p.ERROR, "connection refused"))
        if kind == "participant-outage":
            sim.struck()
            self._down[msg.service] = sim.kernel.now_us + OUTAGE_US
            self._note(msg, DOWN, msg.service, ("down",))
            return self._note_reply(msg, p.Reply(p.ERROR, "connection refused"))
        if kind == "key-expiry":
            sim.struck()
            service.forget(msg)
        elif kind == "undo-fails":
            sim.struck()
            self.stuck.add((msg.saga, msg.step))
            sim.call_operator()
        elif kind == "error-before-effect":
            sim.struck()
            return self._note_reply(msg, p.Reply(p.ERROR, "internal error"))
        elif kind == "reject" and not service.decided(msg):
            sim.struck()
            return self._note_reply(msg, service.refuse(msg, "refused by the business"))
        if msg.direction == COMPENSATION and (msg.saga, msg.step) in self.stuck:
            return self._note_reply(msg, p.Reply(p.ERROR, "cannot undo"))
        kernel = sim.kernel
        kernel.handler = getcurrent()
        try:
            reply = service.handle(msg)
        except Spinning:
            reply = p.Reply(p.ERROR, "it computes for ever")
        finally:
            kernel.handler = None
        return self._note_reply(msg, reply)

    def _note_reply(self, msg: Message, reply: p.Reply) -> p.Reply:
        if reply.answer == p.OK:
            for kind, data in reply.touched:
                self._note(msg, kind, msg.service, data)
            seen: tuple[Any, ...] = (reply.effective, reply.owner, reply.balance)
            if reply.effective and msg.direction == FORWARD and reply.value:
                seen += (p.receipt(reply.value),)
            self._note(msg, APPLY, msg.service, seen)
        else:
            self._note(msg, REJECT if reply.answer == p.REJECTED else ERROR, msg.service, (reply.value,))
        return reply

    def _answer(self, pair: tuple[Message, p.Reply]) -> None:
        msg, reply = pair
        sim = self.sim
        if msg.done or msg.deaf or msg.process.dead:
            return
        if self._mute and self._mute.get(msg.service, 0) > sim.kernel.now_us:
            msg.deaf = True
            self._lose(msg, "answer")
            return
        kind = None
        if msg.step and not self.manual:
            kind = sim.visit((msg.saga, msg.step, msg.direction, AT_ACK, msg.attempt))
        if kind == "lost-ack":
            sim.struck()
            msg.deaf = True
            self._lose(msg, "answer")
            return
        if kind in ("slow-answer", "late-answer"):
            sim.struck()
            msg.deaf = True  # this answer is the one that counts, whatever copies there are
            self._arm(msg)
            late_us = msg.due_us - sim.kernel.now_us + (JUST_US if kind == "late-answer" else -JUST_US)
            sim.kernel.at(max(late_us, 0), self._arrive, (msg, reply, None))
            return
        self._arrive((msg, reply, kind))

    def _arrive(self, what: tuple[Message, p.Reply, str | None]) -> None:
        """The caller has its answer, if it still waits for it."""
        msg, reply, kind = what
        if msg.done or msg.process.dead:
            return
        msg.done = True
        if self.sim.priorities is not None:
            self.sim.priorities.stir(msg.saga, self.sim.kernel.now_us)
        self._note(msg, ACK, msg.process.label, (reply.answer,))
        if kind == "crash-after-ack":
            self.sim.struck()
            self.sim.crash(msg.process, kind)
            return
        if reply.answer != p.ERROR and self.sim.setup.forgets_retries and msg.process.may_forget:
            msg.process.forget_tries(msg.words)
        if reply.answer == p.OK:
            msg.process.inputs.append(("call", msg.process.packed(reply.value), (msg.saga, msg.operation)))
            msg.on_done(reply.value, None)
            return
        error = (Rejected if reply.answer == p.REJECTED else Unavailable)(f"{msg.operation}: {reply.value}")
        msg.process.inputs.append(("call", type(error).__name__, str(error), msg.words))
        msg.on_done(None, error)

    # -- duplicates that wait, faults that last ----------------------------------------------

    def _let_others_go(self, handled: Message, reply: p.Reply) -> None:
        """A request was handled: deliver what was waiting for that."""
        due: list[Message] = []
        if handled.direction == COMPENSATION:
            same = [m for m in self._late if (m.saga, m.step) == (handled.saga, handled.step)]
            if reply.effective:
                same += [m for m in self._held if (m.saga, m.step) == (handled.saga, handled.step) and m is not handled]
            due += same
        for entry in self._waiting:
            msg, _ = entry
            if msg.service == handled.service and msg.saga != handled.saga and handled.step:
                entry[1] -= 1
                if entry[1] == 0:
                    due.append(msg)
        self._deliver_held(due)

    def _wait_no_more(self, msg: Message) -> None:
        """Nobody overtook the request while its caller was patient."""
        self._deliver_held([entry[0] for entry in self._waiting if entry[0] is msg])

    def _deliver_held(self, due: list[Message]) -> None:
        for msg in due:
            self._held = [m for m in self._held if m is not msg]
            self._late = [m for m in self._late if m is not msg]
            self._waiting = [entry for entry in self._waiting if entry[0] is not msg]
            self.sim.kernel.at(LATENCY_US, self.deliver, msg)

    def _restart(self, msg: Message) -> None:
        """The participant restarts: it forgets what was in memory only, and its answer is lost."""
        sim = self.sim
        sim.struck()
        sim.services[msg.service].restart()
        self._down[msg.service] = sim.kernel.now_us + RESTART_US
        self._note(msg, DOWN, msg.service, ("restart",))
        if not msg.done and not msg.process.dead:
            msg.deaf = True
            self._lose(msg, "answer")

    def _run_out(self, msg: Message) -> None:
        """The reservation that ``msg`` made is withdrawn by its participant, unless it was confirmed or undone."""
        gone = self.sim.services[msg.service].expire(msg)
        if gone is not None:
            self._note(msg, EXPIRE, msg.service, gone)

    def flush(self) -> bool:
        """Deliver every request that still waits for another; False when there was none."""
        due = [*self._held, *self._late, *(entry[0] for entry in self._waiting)]
        self._held, self._late, self._waiting = [], [], []
        for msg in due:
            self.sim.kernel.at(LATENCY_US, self.deliver, msg)
        return bool(due)

    # -- by hand (the state machine) ---------------------------------------------------------

    def take(self, index: int) -> Message:
        """Remove and return the ``index``-th message in flight."""
        return self.pending.pop(index)

    def lose_answer(self, msg: Message) -> None:
        """Deliver ``msg`` and drop the answer."""
        msg.deaf = True
        self.deliver(msg)
        self._note(msg, LOST, msg.process.label, ("answer",))

    def drop(self, msg: Message) -> None:
        self._note(msg, LOST, msg.process.label, ("request",))

    def reject(self, msg: Message) -> bool:
        """Let the participant refuse ``msg``; False where it cannot: the step is of those that are never refused, or
        it has already decided otherwise."""
        service = self.sim.services[msg.service]
        step = self.sim.setup.adapter.saga.by_name.get(msg.step)
        never = msg.direction == COMPENSATION or (step is not None and step.retriable)
        if never or service.decided(msg):
            return False
        msg.deliveries += 1
        self._note(msg, DELIVER, msg.service, (msg.deliveries,))
        self._answer((msg, self._note_reply(msg, service.refuse(msg, "refused by the business"))))
        return True

    def release_all(self) -> None:
        """From here on messages travel by themselves again."""
        self.manual = False
        due, self.pending = self.pending, []
        for msg in due:
            self.sim.kernel.at(LATENCY_US, self.deliver, msg)

    def _note(self, msg: Message, kind: str, process: str, data: tuple[Any, ...]) -> None:
        sim = self.sim
        now = sim.kernel.now_us
        sim.record((now, kind, process, msg.saga, msg.step, msg.direction, msg.attempt, msg.key, msg.id, data))


def _frozen_payload(payload: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The payload as sorted (name, value) pairs that can be hashed and written, and as it travels: what
    the sender changes afterwards stays with the sender."""
    plain = True
    for value in payload.values():
        if type(value) not in _SCALARS:
            plain = False
    if plain:
        return tuple(sorted(payload.items())) if len(payload) > 1 else tuple(payload.items()), payload
    shown = ((name, value if type(value) in _SCALARS else _as_json(value)) for name, value in sorted(payload.items()))
    return tuple(shown), {name: p.copied(value) for name, value in payload.items()}


_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


def _as_json(value: Any) -> str:
    """Compact JSON; what JSON has no form for is named by its type, never by its address."""
    try:
        return json.dumps(value, sort_keys=True, default=lambda thing: f"<{type(thing).__name__}>")
    except (TypeError, ValueError, RecursionError):  # keys that are no names, a value inside itself
        return f"<{type(value).__name__}>"
