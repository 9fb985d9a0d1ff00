"""Messages between the orchestrator and the participants, and the faults that strike them.

In a campaign every message travels by itself, one millisecond each way. In manual mode (the
state machine) messages wait in ``pending`` until somebody delivers, drops or duplicates them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from greenlet import getcurrent

from ..faults import AT_ACK, AT_EFFECT, AT_SEND, FAULT_KINDS
from ..history import ACK, APPLY, DELIVER, DOWN, ERROR, EXPIRE, LOST, REJECT, SEND, TIMEOUT
from ..ports import CallTimeout, PortError, ProcessCrashed, Rejected, Unavailable
from ..saga import COMPENSATION, FORWARD
from ..trace import UNHARMED, Strike, Trace
from . import participants as p
from .host import Host
from .incarnation import Incarnation
from .kernel import Kernel, Spinning
from .message import Message
from .priorities import Priorities
from .setup import OVERTAKEN, Setup
from .timers import ANSWERING, ARRIVAL, DELIVERY, GIVE_UP, RUN_OUT, TURN, WAIT_OVER

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


_EFFECT_KINDS: Final = tuple(kind.name for kind in FAULT_KINDS.values() if kind.phase == AT_EFFECT)
_BEFORE_SENDING: Final = frozenset({"crash-before-send", "pause", "cancel", "clock-forward", "clock-back"})
_IN_THE_NETWORK: Final = tuple(
    kind.name for kind in FAULT_KINDS.values() if kind.phase == AT_SEND and kind.name not in _BEFORE_SENDING
)
_EXPIRY: Final = ("expiry",)
_NOTHING: Final[tuple[str, ...]] = ()
_REJECT: Final = ("reject",)
_CRASH: Final = ("crash-after-effect",)
_KEY_EXPIRY: Final = ("key-expiry",)


class Carried(NamedTuple):
    """What a network holds and remembers: the fields of `Network` of the same names."""

    held: list[Message]
    late: list[Message]
    waiting: list[list[Any]]
    stuck: set[tuple[str, str]]
    cut: dict[str, int]
    mute: dict[str, int]
    down: dict[str, int]
    attempts: dict[tuple[str, str, str], int]
    sent: int


class Network:
    """Carries messages for one run."""

    __slots__ = (
        "attempts",
        "cut",
        "down",
        "held",
        "host",
        "kernel",
        "late",
        "manual",
        "mute",
        "pending",
        "priorities",
        "sent",
        "services",
        "setup",
        "stuck",
        "trace",
        "waiting",
    )

    def __init__(self, host: Host, services: Mapping[str, Any], *, manual: bool) -> None:
        self.host = host
        self.setup: Setup = host.setup
        self.kernel: Kernel = host.kernel
        self.trace: Trace = host.trace
        self.services = services
        self.priorities: Priorities | None = None
        self.manual = manual
        self.pending: list[Message] = []
        self.stuck: set[tuple[str, str]] = set()  # (saga, step) whose compensation fails until healed
        self.held: list[Message] = []  # delayed duplicates
        self.late: list[Message] = []  # requests that wait for their own compensation to be handled first
        self.waiting: list[list[Any]] = []  # [request that lets others go first, how many more]
        self.cut: dict[str, int] = {}  # participant -> until when (µs) no request reaches it
        self.mute: dict[str, int] = {}  # participant -> until when no answer of it arrives
        self.down: dict[str, int] = {}  # participant -> until when it refuses connections
        self.attempts: dict[tuple[str, str, str], int] = {}  # (saga, step or operation, direction) -> how often asked
        self.sent = 0  # requests
        self.kernel.acts |= {
            DELIVERY: self.deliver,
            TURN: self._in_turn,
            ANSWERING: self._answer,
            ARRIVAL: self._arrive,
            GIVE_UP: self._expire,
            WAIT_OVER: self._wait_no_more,
            RUN_OUT: self._run_out,
        }

    def snapshot(self, twin: Callable[[Message], Message]) -> Carried:
        """What it holds and remembers, with ``twin(message)`` in the place of each message."""
        return Carried(
            held=[twin(msg) for msg in self.held],
            late=[twin(msg) for msg in self.late],
            waiting=[[twin(msg), left] for msg, left in self.waiting],
            stuck=self.stuck.copy(),
            cut=self.cut.copy(),
            mute=self.mute.copy(),
            down=self.down.copy(),
            attempts=self.attempts.copy(),
            sent=self.sent,
        )

    def restore(self, carried: Carried, twin: Callable[[Message], Message]) -> None:
        """Go on from what another network held."""
        self.held = [twin(msg) for msg in carried.held]
        self.late = [twin(msg) for msg in carried.late]
        self.waiting = [[twin(msg), left] for msg, left in carried.waiting]
        self.stuck |= carried.stuck
        self.cut |= carried.cut
        self.mute |= carried.mute
        self.down |= carried.down
        self.attempts |= carried.attempts
        self.sent = carried.sent

    # -- the caller's side -------------------------------------------------------------------

    def request(
        self,
        process: Incarnation,
        operation: str,
        saga: str,
        key: str | None,
        timeout_us: int,
        payload: dict[str, Any],
        on_done: Callable[[Any, PortError | None], object],
        epoch: int = 0,
    ) -> Message:
        """Send one request. ``on_done(value, error)`` is called once, unless the process dies first."""
        service, step, direction = self.setup.routes[operation]
        counter = (saga, step or operation, direction)
        attempt = self.attempts.get(counter, 0) + 1
        self.attempts[counter] = attempt
        strike = UNHARMED
        if step:
            impossible = self.setup.unshared(service, saga)
            if self.cut and self.cut.get(service, 0) > self.kernel.now_us:
                impossible = _IN_THE_NETWORK  # nothing gets there anyway
            site = (saga, step, direction, AT_SEND, attempt)
            strike = self.trace.visit(site, impossible)
            if self.priorities is not None:
                self.priorities.reached(site)
            if strike.kind in _BEFORE_SENDING:
                self._strike_before_sending(process, saga, strike)
                strike = UNHARMED
        self.sent = nth = self.sent + 1
        shown, payload = _frozen_payload(payload)
        now = self.kernel.now_us
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
        self.trace.record((now, SEND, process.label, saga, step, direction, attempt, key, nth, data))
        if self.priorities is not None:
            self.priorities.stir(saga, now)
        if self.manual:
            self.pending.append(msg)
            self._arm(msg)
            return msg
        if timeout_us <= ROUND_TRIP_US:  # else an answer on time is the rule, and only what delays it arms the clock
            self._arm(msg)
        if self.cut and self.cut.get(service, 0) > now:
            self._lose(msg, "request")
        elif strike is UNHARMED:
            self.kernel.at(LATENCY_US, DELIVERY if self.priorities is None else TURN, msg)
        else:
            self._send_struck(msg, strike)
        return msg

    def _in_turn(self, msg: Message) -> None:
        """Deliver a request when no saga that goes first is under way, or while its caller is still patient."""
        priorities, kernel = self.priorities, self.kernel
        patient = kernel.now_us < msg.due_us - 2 * SLOW_US
        if priorities is not None and patient and priorities.waits(msg.saga, kernel.now_us):
            priorities.stir(msg.saga, kernel.now_us)
            kernel.at(LATENCY_US, TURN, msg)
        else:
            self.deliver(msg)

    def _strike_before_sending(self, process: Incarnation, saga: str, strike: Strike) -> None:
        """The faults of the moment before a request leaves; but for a crash it leaves afterwards."""
        kind = strike.kind
        self.trace.struck(strike.number)
        if kind == "crash-before-send":
            self.host.crash(process, kind)
            raise ProcessCrashed
        if kind == "pause":
            self.host.pause(process)
        elif kind == "cancel":
            self.host.cancel(process, saga)
        else:
            self.host.jump_clock(3600 if kind == "clock-forward" else -3600)

    def _send_struck(self, msg: Message, strike: Strike) -> None:
        kind = strike.kind
        self.trace.struck(strike.number)
        if kind == "lost-request":
            self._lose(msg, "request")
            return
        if kind == "timeout":
            self._arm(msg)
            self.kernel.at(msg.timeout_us + SLOW_US, DELIVERY, msg)
            return
        if kind == "partition":
            self.cut[msg.service] = self.mute[msg.service] = self.kernel.now_us + PARTITION_US
            self._lose(msg, "request")
            return
        if kind == "reordered":
            self._arm(msg)
            self.late.append(msg)
            return
        if kind in OVERTAKEN:
            self.waiting.append([msg, OVERTAKEN[kind]])
            self.kernel.at(max(msg.timeout_us - 2 * SLOW_US, 0), WAIT_OVER, msg)
            return
        self.kernel.at(LATENCY_US, DELIVERY, msg)
        if kind == "partition-answers":
            self.mute[msg.service] = self.kernel.now_us + PARTITION_US
        elif kind == "duplicate":
            self.kernel.at(LATENCY_US, DELIVERY, msg)
        elif kind == "delayed-duplicate":
            self.held.append(msg)
        elif kind == "crash-after-send":
            self.host.crash(msg.process, kind)
            raise ProcessCrashed

    def _arm(self, msg: Message) -> None:
        self.kernel.at(max(msg.due_us - self.kernel.now_us, 0), GIVE_UP, msg)

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
        waited_us = self.kernel.now_us - (msg.due_us - msg.timeout_us)
        self._note(msg, TIMEOUT, msg.process.label, (waited_us / 1000,))
        return True

    # -- the participant's side --------------------------------------------------------------

    def deliver(self, msg: Message) -> None:
        """Hand one copy of a request to its participant, and let the answer travel back."""
        self.kernel.handler_delay_us = 0
        msg.deliveries = nth = msg.deliveries + 1
        self._note(msg, DELIVER, msg.service, (nth,))
        strike = UNHARMED
        if nth == 1 and msg.step and not self.manual:
            site = (msg.saga, msg.step, msg.direction, AT_EFFECT, msg.attempt)
            strike = self.trace.visit(site, self._impossible(msg))
        reply = self._handle(msg, strike)
        if self.held or self.late or self.waiting:
            self._let_others_go(msg, reply)
        if strike is not UNHARMED:
            reply = self._strike_handled(msg, reply, strike)
        if msg.process.dead or msg.done or msg.deaf:
            return
        delay = LATENCY_US + self.kernel.handler_delay_us
        if self.manual:
            self._answer((msg, reply))
        else:
            if delay > LATENCY_US:
                self._arm(msg)
            self.kernel.at(delay, ANSWERING, (msg, reply))

    def _strike_handled(self, msg: Message, reply: p.Reply, strike: Strike) -> p.Reply:
        """The faults of the moment after a participant handled a request; its reply as it is then."""
        kind = strike.kind
        if kind == "crash-after-effect" and not msg.process.dead:
            self.trace.struck(strike.number)
            self.host.crash(msg.process, kind)
        elif kind == "participant-restart":
            self.trace.struck(strike.number)
            self._restart(msg)
        elif kind == "expiry":
            self.trace.struck(strike.number)
            if reply.effective:
                self.kernel.at(EXPIRY_US, RUN_OUT, msg)
        elif kind == "error-after-effect":
            self.trace.struck(strike.number)
            return p.Reply(p.ERROR, "internal error")
        return reply

    def _impossible(self, msg: Message) -> tuple[str, ...]:
        """What cannot strike this delivery: a refusal where the answer is already fixed, the end of a
        reservation that it does not make, the death of a sender that is dead."""
        service = self.services[msg.service]
        if (self.down and self.down.get(msg.service, 0) > self.kernel.now_us) or (
            msg.direction == COMPENSATION and (msg.saga, msg.step) in self.stuck
        ):
            return _EFFECT_KINDS  # it fails already
        decided = msg.direction == COMPENSATION or service.decided(msg)
        excluded = _REJECT if decided else _NOTHING
        if decided or msg.service not in self.setup.adapter.expiring or msg.operation.endswith(".confirm"):
            excluded += _EXPIRY
        if msg.process.dead:
            excluded += _CRASH
        retention_ms = self.setup.adapter.key_retention_ms
        if retention_ms is not None and not service.forgettable(msg, self.kernel.now_us, int(retention_ms * 1000)):
            excluded += _KEY_EXPIRY
        return excluded

    def _handle(self, msg: Message, strike: Strike) -> p.Reply:
        service = self.services[msg.service]
        if self.down and self.down.get(msg.service, 0) > self.kernel.now_us:
            return self._note_reply(msg, p.Reply(p.ERROR, "connection refused"))
        if strike is not UNHARMED:
            instead = self._strike_before_handling(msg, strike)
            if instead is not None:
                return self._note_reply(msg, instead)
        if msg.direction == COMPENSATION and (msg.saga, msg.step) in self.stuck:
            return self._note_reply(msg, p.Reply(p.ERROR, "cannot undo"))
        kernel = self.kernel
        kernel.handler = getcurrent()
        try:
            reply = service.handle(msg)
        except Spinning:
            reply = p.Reply(p.ERROR, "it computes for ever")
        finally:
            kernel.handler = None
        return self._note_reply(msg, reply)

    def _strike_before_handling(self, msg: Message, strike: Strike) -> p.Reply | None:
        """The faults of the moment before a participant handles a request: the reply in place of its own, if any."""
        kind, service = strike.kind, self.services[msg.service]
        if kind == "participant-outage":
            self.trace.struck(strike.number)
            self.down[msg.service] = self.kernel.now_us + OUTAGE_US
            self._note(msg, DOWN, msg.service, ("down",))
            return p.Reply(p.ERROR, "connection refused")
        if kind == "key-expiry":
            self.trace.struck(strike.number)
            service.forget(msg)
        elif kind == "undo-fails":
            self.trace.struck(strike.number)
            self.stuck.add((msg.saga, msg.step))
            self.host.call_operator()
        elif kind == "error-before-effect":
            self.trace.struck(strike.number)
            return p.Reply(p.ERROR, "internal error")
        elif kind == "reject" and not service.decided(msg):
            self.trace.struck(strike.number)
            refused: p.Reply = service.refuse(msg, "refused by the business")
            return refused
        return None

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
        if msg.done or msg.deaf or msg.process.dead:
            return
        if self.mute and self.mute.get(msg.service, 0) > self.kernel.now_us:
            msg.deaf = True
            self._lose(msg, "answer")
            return
        strike = UNHARMED
        if msg.step and not self.manual:
            strike = self.trace.visit((msg.saga, msg.step, msg.direction, AT_ACK, msg.attempt))
        kind = strike.kind
        if kind == "lost-ack":
            self.trace.struck(strike.number)
            msg.deaf = True
            self._lose(msg, "answer")
            return
        if kind in ("slow-answer", "late-answer"):
            self.trace.struck(strike.number)
            msg.deaf = True  # this answer is the one that counts, whatever copies there are
            self._arm(msg)
            late_us = msg.due_us - self.kernel.now_us + (JUST_US if kind == "late-answer" else -JUST_US)
            self.kernel.at(max(late_us, 0), ARRIVAL, (msg, reply, UNHARMED))
            return
        self._arrive((msg, reply, strike))

    def _arrive(self, what: tuple[Message, p.Reply, Strike]) -> None:
        """The caller has its answer, if it still waits for it."""
        msg, reply, strike = what
        if msg.done or msg.process.dead:
            return
        msg.done = True
        if self.priorities is not None:
            self.priorities.stir(msg.saga, self.kernel.now_us)
        self._note(msg, ACK, msg.process.label, (reply.answer,))
        if strike.kind == "crash-after-ack":
            self.trace.struck(strike.number)
            self.host.crash(msg.process, strike.kind)
            return
        if reply.answer != p.ERROR and self.setup.forgets_retries and msg.process.may_forget:
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
            same = [m for m in self.late if (m.saga, m.step) == (handled.saga, handled.step)]
            if reply.effective:
                same += [m for m in self.held if (m.saga, m.step) == (handled.saga, handled.step) and m is not handled]
            due += same
        for entry in self.waiting:
            msg, _ = entry
            if msg.service == handled.service and msg.saga != handled.saga and handled.step:
                entry[1] -= 1
                if entry[1] == 0:
                    due.append(msg)
        self._deliver_held(due)

    def _wait_no_more(self, msg: Message) -> None:
        """Nobody overtook the request while its caller was patient."""
        self._deliver_held([entry[0] for entry in self.waiting if entry[0] is msg])

    def _deliver_held(self, due: list[Message]) -> None:
        for msg in due:
            self.held = [m for m in self.held if m is not msg]
            self.late = [m for m in self.late if m is not msg]
            self.waiting = [entry for entry in self.waiting if entry[0] is not msg]
            self.kernel.at(LATENCY_US, DELIVERY, msg)

    def _restart(self, msg: Message) -> None:
        """The participant restarts: it forgets what was in memory only, and its answer is lost."""
        self.services[msg.service].restart()
        self.down[msg.service] = self.kernel.now_us + RESTART_US
        self._note(msg, DOWN, msg.service, ("restart",))
        if not msg.done and not msg.process.dead:
            msg.deaf = True
            self._lose(msg, "answer")

    def _run_out(self, msg: Message) -> None:
        """The reservation that ``msg`` made is withdrawn by its participant, unless it was confirmed or undone."""
        gone = self.services[msg.service].expire(msg)
        if gone is not None:
            self._note(msg, EXPIRE, msg.service, gone)

    def flush(self) -> bool:
        """Deliver every request that still waits for another; False when there was none."""
        due = [*self.held, *self.late, *(entry[0] for entry in self.waiting)]
        self.held, self.late, self.waiting = [], [], []
        for msg in due:
            self.kernel.at(LATENCY_US, DELIVERY, msg)
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
        service = self.services[msg.service]
        step = self.setup.adapter.saga.by_name.get(msg.step)
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
            self.kernel.at(LATENCY_US, DELIVERY, msg)

    def _note(self, msg: Message, kind: str, process: str, data: tuple[Any, ...]) -> None:
        now = self.kernel.now_us
        self.trace.record((now, kind, process, msg.saga, msg.step, msg.direction, msg.attempt, msg.key, msg.id, data))


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
