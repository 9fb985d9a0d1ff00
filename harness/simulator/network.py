"""Messages between the orchestrator and the participants, and the faults that strike them.

In a campaign every message travels by itself, one millisecond each way. In manual mode (the
state machine) messages wait in ``pending`` until somebody delivers, drops or duplicates them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from greenlet import getcurrent

from ..faults import ACK as ACK_PHASE
from ..faults import EFFECT, FAULT_KINDS
from ..faults import SEND as SEND_PHASE
from ..history import ACK, APPLY, DELIVER, ERROR, LOST, REJECT, SEND, TIMEOUT
from ..ports import CallTimeout, PortError, ProcessCrashed, Rejected, Unavailable
from ..saga import COMPENSATION
from . import participants as p
from .patches import Spinning

if TYPE_CHECKING:
    from .process import Process
    from .simulation import Simulation

LATENCY_US: Final = 1_000
ROUND_TRIP_US: Final = 2 * LATENCY_US
SLOW_US: Final = 5_000
"""How long after the caller gave up a request that is too slow arrives."""

MAX_ATTEMPT: Final = 6
"""Attempts of one call at which faults are injected; later ones are reported as not struck."""


_EFFECT_KINDS: Final = tuple(kind.name for kind in FAULT_KINDS.values() if kind.phase == EFFECT)


class Message:
    """One request in the network; its deliveries and its answer. ``done`` once the caller went on."""

    __slots__ = (
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
        self.timeout_us = timeout_us
        self.on_done = on_done
        self.due_us = now_us + timeout_us
        self.deliveries = 0
        self.done = False
        self.deaf = False


class Network:
    """Carries messages for one run."""

    __slots__ = ("_attempts", "_held", "_next", "manual", "pending", "sim", "stuck")

    def __init__(self, sim: Simulation, *, manual: bool) -> None:
        self.sim = sim
        self.manual = manual
        self.pending: list[Message] = []
        self.stuck: set[tuple[str, str]] = set()  # (saga, step) whose compensation fails until healed
        self._held: list[Message] = []  # delayed duplicates
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
    ) -> Message:
        """Send one request. ``on_done(value, error)`` is called once, unless the process dies first."""
        sim = self.sim
        service, step, direction = sim.setup.routes[operation]
        counter = (saga, step or operation, direction)
        attempt = self._attempts.get(counter, 0) + 1
        self._attempts[counter] = attempt
        kind = sim.visit((saga, step, direction, SEND_PHASE, attempt)) if step else None
        if kind == "crash-before-send":
            sim.struck()
            sim.crash(kind)
            raise ProcessCrashed
        self._next = nth = self._next + 1
        shown, payload = _frozen_payload(payload)
        now = sim.kernel.now_us
        msg = Message(
            nth, process, service, operation, saga, step, direction, attempt, key, payload, now, timeout_us, on_done
        )
        sim.record((now, SEND, process.label, saga, step, direction, attempt, key, nth, (operation, shown)))
        if self.manual:
            self.pending.append(msg)
            self._arm(msg)
            return msg
        if timeout_us <= ROUND_TRIP_US:  # else an answer on time is the rule, and only what delays it arms the clock
            self._arm(msg)
        if kind is None:
            sim.kernel.at(LATENCY_US, self.deliver, msg)
        else:
            self._send_struck(msg, kind)
        return msg

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
        sim.kernel.at(LATENCY_US, self.deliver, msg)
        if kind == "duplicate":
            sim.kernel.at(LATENCY_US, self.deliver, msg)
        elif kind == "delayed-duplicate":
            self._held.append(msg)
        elif kind == "crash-after-send":
            sim.crash(kind)
            raise ProcessCrashed

    def _arm(self, msg: Message) -> None:
        self.sim.kernel.at(max(msg.due_us - self.sim.kernel.now_us, 0), self._expire, msg)

    def _lose(self, msg: Message, what: str) -> None:
        self._note(msg, LOST, msg.process.label, (what,))
        self._arm(msg)

    def _expire(self, msg: Message) -> None:
        after_ms = msg.timeout_us / 1000
        if self.give_up(msg):
            msg.on_done(None, CallTimeout(f"{msg.operation} gave no answer within {after_ms:g} ms"))

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
        msg.deliveries += 1
        self._note(msg, DELIVER, msg.service, (msg.deliveries,))
        kind = None
        if msg.deliveries == 1 and msg.step and not self.manual:
            kind = sim.visit((msg.saga, msg.step, msg.direction, EFFECT, msg.attempt), self._impossible(msg))
        reply = self._handle(msg, kind)
        if reply.effective and msg.direction == COMPENSATION:
            self._release(msg)
        if kind == "crash-after-effect" and not msg.process.dead:
            sim.struck()
            sim.crash(kind)
        elif kind == "error-after-effect" and reply.answer != p.ERROR:
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
        """What cannot strike this delivery: a refusal where the answer is already fixed, the death of
        a sender that is dead."""
        if msg.direction == COMPENSATION:
            if (msg.saga, msg.step) in self.stuck:
                return _EFFECT_KINDS  # it fails already
            decided = True
        else:
            decided = self.sim.services[msg.service].decided(msg)
        if msg.process.dead:
            return ("reject", "crash-after-effect") if decided else ("crash-after-effect",)
        return ("reject",) if decided else ()

    def _handle(self, msg: Message, kind: str | None) -> p.Reply:
        sim = self.sim
        service = sim.services[msg.service]
        if kind == "undo-fails":
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
            self._note(msg, APPLY, msg.service, (reply.effective, reply.owner, reply.balance))
        else:
            self._note(msg, REJECT if reply.answer == p.REJECTED else ERROR, msg.service, (reply.value,))
        return reply

    def _answer(self, pair: tuple[Message, p.Reply]) -> None:
        msg, reply = pair
        sim = self.sim
        if msg.done or msg.deaf or msg.process.dead:
            return
        kind = None
        if msg.step and not self.manual:
            kind = sim.visit((msg.saga, msg.step, msg.direction, ACK_PHASE, msg.attempt))
        if kind == "lost-ack":
            sim.struck()
            msg.deaf = True
            self._lose(msg, "answer")
            return
        msg.done = True
        self._note(msg, ACK, msg.process.label, (reply.answer,))
        if kind == "crash-after-ack":
            sim.struck()
            sim.crash(kind)
        elif reply.answer == p.OK:
            msg.on_done(reply.value, None)
        elif reply.answer == p.REJECTED:
            msg.on_done(None, Rejected(f"{msg.operation}: {reply.value}"))
        else:
            msg.on_done(None, Unavailable(f"{msg.operation}: {reply.value}"))

    # -- duplicates that wait, faults that last ----------------------------------------------

    def _release(self, undone: Message) -> None:
        """Deliver the delayed duplicates of a step that has just been compensated."""
        due = [m for m in self._held if (m.saga, m.step) == (undone.saga, undone.step) and m is not undone]
        for msg in due:
            self._held.remove(msg)
            self.sim.kernel.at(LATENCY_US, self.deliver, msg)

    def flush(self) -> bool:
        """Deliver every delayed duplicate; False when there was none."""
        due, self._held = self._held, []
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
        """Let the participant refuse ``msg``; False where it has already decided otherwise."""
        service = self.sim.services[msg.service]
        if msg.direction == COMPENSATION or service.decided(msg):
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
