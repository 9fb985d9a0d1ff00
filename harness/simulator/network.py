"""Messages between the orchestrator and the participants, and the faults that strike them.

In a campaign every message travels by itself, one millisecond each way. In manual mode (the
state machine) messages wait in ``pending`` until somebody delivers, drops or duplicates them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from greenlet import getcurrent

from ..effects import (
    AFTER,
    AT_ACK,
    AT_EFFECT,
    AT_SEND,
    BEFORE,
    CUT_OFF,
    DECIDED,
    FAILING,
    KEY_KEPT,
    NO_EXPIRY,
    NO_OTHER,
    NO_REPEAT,
    NO_RESERVATION,
    NO_SUCCESS,
    OWN_EXPIRY,
    Doings,
    doing,
)
from ..errors import UsageError
from ..fault_kinds import NOTHING, Impossible, impossible
from ..history import ACK, APPLY, DELIVER, ERROR, EXPIRE, LOST, REJECT, SEND, STATE, TIMEOUT
from ..http_routes import Asked
from ..ports import CallTimeout, PortError, ProcessCrashed, Rejected, Unavailable
from ..rules import HISTORY, MOMENTS, REST
from ..saga import COMPENSATION, FORWARD, QUERY, about, instance
from ..trace import Strike, Trace
from . import participants as p
from .host import Host
from .incarnation import Incarnation
from .kernel import Kernel, Spinning
from .message import Carried, Message, frozen_payload
from .priorities import Priorities
from .putting_off import PuttingOff
from .setup import Setup
from .timers import ANSWERING, ARRIVAL, DELIVERY, GIVE_UP, RUN_OUT, TURN, WAIT_OVER, WORK_DUE

LATENCY_US: Final = 1_000
ROUND_TRIP_US: Final = 2 * LATENCY_US
PATIENCE_LEFT_US: Final = 10_000
"""A request that lets others go first is delivered at the latest so long before its caller gives up."""

WITHHELD: Final = 1
DIES: Final = 2
"""What an effect on a request says of it: it is not delivered now; its sender dies once it was sent."""


class Network:
    """Carries messages for one run."""

    __slots__ = (
        *("always_barred", "answers", "attempts", "cut", "doings", "down", "follows_up", "held", "host", "kernel"),
        *("late", "manual", "mute", "pending", "priorities", "put_off", "retention_us", "routes", "sent", "services"),
        *("setup", "shows_states", "stuck", "trace", "waiting"),
    )

    def __init__(self, host: Host, services: Mapping[str, Any], doings: Doings, *, manual: bool) -> None:
        self.host = host
        self.setup: Setup = host.setup
        self.kernel: Kernel = host.kernel
        self.trace: Trace = host.trace
        self.services = services
        adapter = self.setup.adapter
        self.routes, self.always_barred = self.setup.routes, self.setup.always_barred  # asked for with each request
        self.retention_us = -1 if adapter.key_retention_ms is None else int(adapter.key_retention_ms * 1000)
        self.doings = doings
        self.shows_states = self.setup.shown_states in (MOMENTS, HISTORY)  # after each transaction
        self.follows_up = bool(self.shows_states or adapter.emits or adapter.tickets)
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
        self.put_off = PuttingOff(host, services, self.down, self._handled_work, self._next)
        self.answers: list[tuple[Message, Any]] | None = [] if adapter.wrong_answers else None
        self.kernel.acts |= {
            DELIVERY: self.deliver,
            TURN: self._in_turn,
            ANSWERING: self._answer,
            ARRIVAL: self._arrive,
            GIVE_UP: self._expire,
            WAIT_OVER: self._wait_no_more,
            RUN_OUT: self._run_out,
            WORK_DUE: self.put_off.due,
        }

    @property
    def outage_lasts(self) -> bool:
        """True if some participant cannot be reached, or does not answer, for a while."""
        now = self.kernel.now_us
        return any(until > now for table in (self.cut, self.mute, self.down) for until in table.values())

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
        if carried.held or carried.late or carried.waiting:
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
        part: str | None = None,
        http: Asked | None = None,
        bars: int = 0,
    ) -> Message:
        """Send a request; bits of REASONS bar faults. Unless the process dies, ``on_done(value, error)`` comes once."""
        service, step, direction = self.routes[operation]
        if part is not None:
            step = instance(step, part)
        counter = (saga, step or operation, direction)
        attempt = self.attempts.get(counter, 0) + 1
        self.attempts[counter] = attempt
        excluded = self.setup.unshared(service, saga)
        if self.cut and self.cut.get(service, 0) > self.kernel.now_us:
            excluded = impossible(AT_SEND, CUT_OFF)
        if bars := bars | process.bars:
            excluded = Impossible({**impossible(AT_SEND, bars), **excluded})
        site = (saga, step or operation, direction or QUERY, AT_SEND, attempt)
        strike = self.trace.visit(site, excluded)
        if self.priorities is not None:
            self.priorities.reached(site)
        if strike is not None and strike.kind.before:
            self._before_sending(process, saga, strike)
        self.sent = nth = self.sent + 1
        shown, payload = frozen_payload(payload)
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
            http,
        )
        record = self.trace.record  # see `note`
        record((now, SEND, process.label, saga, step, direction, attempt, key, nth, data))
        if self.priorities is not None:
            self.priorities.stir(saga, now)
        if self.manual:
            self.pending.append(msg)
            self.arm(msg)
            return msg
        if timeout_us <= ROUND_TRIP_US:  # else an answer on time is the rule, and only what delays it arms the clock
            self.arm(msg)
        if self.cut and self.cut.get(service, 0) > now:
            self.lose(msg, "request")
        elif strike is None or not strike.kind.after:
            self.kernel.at(LATENCY_US, DELIVERY if self.priorities is None else TURN, msg)
        else:
            self._on_its_way(msg, strike)
        return msg

    def _in_turn(self, msg: Message) -> None:
        """Deliver a request when no saga that goes first is under way, or while its caller is still patient."""
        priorities, kernel = self.priorities, self.kernel
        patient = kernel.now_us < msg.due_us - PATIENCE_LEFT_US
        if priorities is not None and patient and priorities.waits(msg.saga, kernel.now_us):
            priorities.stir(msg.saga, kernel.now_us)
            kernel.at(LATENCY_US, TURN, msg)
        else:
            self.deliver(msg)

    def _before_sending(self, process: Incarnation, saga: str, strike: Strike) -> None:
        """A fault strikes before a request leaves; but for a crash it leaves afterwards."""
        self.trace.struck(strike.number)
        for effect in strike.kind.before:
            doing(self.doings[AT_SEND, BEFORE], effect)(self, effect, process, saga, strike.kind)

    def _on_its_way(self, msg: Message, strike: Strike) -> None:
        """A fault strikes a request that was sent."""
        if not strike.kind.before:
            self.trace.struck(strike.number)
        found = 0
        for effect in strike.kind.after:
            found |= doing(self.doings[AT_SEND, AFTER], effect)(self, effect, msg)
        if not found & WITHHELD:
            self.kernel.at(LATENCY_US, DELIVERY, msg)
        if found & DIES:
            self.host.crash(msg.process, strike.kind.name)
            raise ProcessCrashed

    def arm(self, msg: Message) -> None:
        self.kernel.at(max(msg.over_us - self.kernel.now_us, 0), GIVE_UP, msg)

    def lose(self, msg: Message, what: str) -> None:
        self.note(msg, LOST, msg.process.label, (what,))
        self.arm(msg)

    def _expire(self, msg: Message) -> None:
        if self.give_up(msg):
            text = f"{msg.operation} gave no answer within {msg.timeout_us / 1000:g} ms"
            msg.process.inputs.append(("call", "CallTimeout", text, msg.words))
            msg.on_done(None, CallTimeout(text))

    def give_up(self, msg: Message) -> bool:
        """The caller waits no longer for the answer to ``msg``; False where it had stopped before."""
        if msg.beyond_us:
            self.kernel.at(msg.beyond_us, DELIVERY, msg)
            msg.beyond_us = 0
        if msg.done or msg.process.dead:
            return False
        msg.done = True
        waited_us = self.kernel.now_us - (msg.due_us - msg.timeout_us)
        self.note(msg, TIMEOUT, msg.process.label, (waited_us / 1000,))
        return True

    def told(self, msg: Message, answer: str) -> None:
        """The caller has seen what the answer to ``msg`` says, and waits for no more of it."""
        if not (msg.done or msg.process.dead):
            msg.done = True
            self.note(msg, ACK, msg.process.label, (answer,))

    # -- the participant's side --------------------------------------------------------------

    def deliver(self, msg: Message) -> None:
        """Hand one copy of a request to its participant, and let the answer travel back."""
        self.kernel.handler_delay_us = 0
        msg.deliveries = nth = msg.deliveries + 1
        self.note(msg, DELIVER, msg.service, (nth,))
        strike = None
        if nth == 1 and not self.manual:
            site = (msg.saga, msg.step or msg.operation, msg.direction or QUERY, AT_EFFECT, msg.attempt)
            strike = self.trace.visit(site, self._impossible(msg))
        reply = self._handle(msg, strike)
        if reply is None:
            if not msg.hangs_up:
                self.arm(msg)
            self.services[msg.service].begin(msg, partial(self._replied, msg, strike))
        else:
            self._replied(msg, strike, reply)

    def _replied(self, msg: Message, strike: Strike | None, reply: p.Reply) -> None:
        """A participant has handled a request: its answer travels back."""
        if self.held or self.late or self.waiting:
            self._let_others_go(msg, reply)
        if strike is not None and strike.kind.after:
            reply = self._handled(msg, reply, strike)
        if msg.process.dead or msg.done or msg.deaf:
            return
        delay = LATENCY_US + self.kernel.handler_delay_us
        if self.manual:
            self._answer((msg, reply))
        else:
            if delay > LATENCY_US:
                self.arm(msg)
            self.kernel.at(delay, ANSWERING, (msg, reply))

    def _handled(self, msg: Message, reply: p.Reply, strike: Strike) -> p.Reply:
        """A fault strikes after a participant handled a request; its reply as it is then."""
        effects = [effect for effect in strike.kind.after if reply.effective or not effect.of_an_effect]
        if effects and not strike.kind.before:
            self.trace.struck(strike.number)
        for effect in effects:
            reply = doing(self.doings[AT_EFFECT, AFTER], effect)(self, effect, msg, reply, strike.kind)
        return reply

    def _impossible(self, msg: Message) -> Impossible:
        """What cannot strike this delivery, as things stand."""
        service = self.services[msg.service]
        if (self.down and self.down.get(msg.service, 0) > self.kernel.now_us) or (
            self.stuck and msg.direction == COMPENSATION and (msg.saga, msg.step) in self.stuck
        ):
            return impossible(AT_EFFECT, FAILING)
        always = self.always_barred[msg.service]
        now = always | msg.process.bars
        if msg.direction == COMPENSATION or service.decided(msg):
            now |= DECIDED
        if not always & NO_EXPIRY:
            if not service.expires:
                now |= OWN_EXPIRY
            elif self.setup.adapter.is_final(msg.operation):
                now |= NO_RESERVATION
        if not always & NO_REPEAT and not service.has_applied(msg):
            now |= NO_REPEAT
        retention_us = self.retention_us
        if retention_us >= 0 and not service.forgettable(msg, self.kernel.now_us, retention_us):
            now |= KEY_KEPT
        return impossible(AT_EFFECT, now)

    def _handle(self, msg: Message, strike: Strike | None) -> p.Reply | None:
        service = self.services[msg.service]
        if self.down and self.down.get(msg.service, 0) > self.kernel.now_us:
            return self._note_reply(msg, p.Reply(p.ERROR, "connection refused"))
        if strike is not None and strike.kind.before:
            instead = self._handling(msg, strike)
            if instead is not None:
                return self._note_reply(msg, instead)
        if msg.direction == COMPENSATION and (msg.saga, msg.step) in self.stuck:
            return self._note_reply(msg, p.Reply(p.ERROR, "cannot undo"))
        self.kernel.handler = getcurrent()
        try:
            reply: p.Reply | None = service.handle(msg)
        except Spinning:
            reply = p.Reply(p.ERROR, "it computes for ever")
        finally:
            self.kernel.handler = None
        return None if reply is None else self._note_reply(msg, reply)

    def _handling(self, msg: Message, strike: Strike) -> p.Reply | None:
        """A fault strikes before a participant handles a request: the reply in place of its own, if any."""
        self.trace.struck(strike.number)
        reply: p.Reply | None = None
        for effect in strike.kind.before:
            reply = doing(self.doings[AT_EFFECT, BEFORE], effect)(self, effect, msg, strike.kind) or reply
        return reply

    def _note_reply(self, msg: Message, reply: p.Reply) -> p.Reply:
        for kind, data in reply.touched:
            self.note(msg, kind, msg.service, data)
        if reply.beside or reply.later:
            self.put_off.note(msg.service, reply)
        if reply.answer == p.OK:
            seen: tuple[Any, ...] = (reply.effective, reply.owner, reply.balance)
            if reply.effective and msg.direction == FORWARD and reply.value:
                seen += (p.receipt(reply.value),)
            self.note(msg, APPLY, msg.service, seen)
            if self.follows_up:
                self._follow_up(msg, reply)
        else:
            self.note(msg, REJECT if reply.answer == p.REJECTED else ERROR, msg.service, (reply.value,))
        for emitted in reply.emitted:
            self._publish(msg.service, emitted, msg.id)
        return reply

    def _follow_up(self, msg: Message, reply: p.Reply) -> None:
        """A request was granted: what is told of it beside."""
        adapter = self.setup.adapter
        if self.shows_states and reply.effective:
            self.note(msg, STATE, msg.service, (self._state(msg.service),))
        if reply.effective and (topic := adapter.emits.get(msg.operation)) is not None:
            self._publish(msg.service, p.Emitted(topic, msg.saga, "", 0, dict(p.receipt(reply.value))), msg.id)
        if msg.operation in adapter.tickets:
            step = adapter.put_aside(msg.payload)
            self.trace.handed_over(msg.process.label, msg.operation, saga=msg.saga, step=step)

    def _publish(self, service: str, what: p.Emitted, cause: int) -> None:
        """What a participant emitted in a transaction, of the request of that number, is durable now."""
        broker = self.host.broker
        if broker is None:
            self.host.refuse(p.nobody_receives(self.setup.adapter.name, what.topic))
        topic, saga, key, delay_ms, payload = what
        broker.publish(service, topic, saga=saga, key=key, delay_us=int(delay_ms * 1000), payload=payload, cause=cause)

    def _next(self) -> int:
        self.sent += 1
        return self.sent

    def _handled_work(self, service: str, later: p.Later, reply: p.Reply) -> None:
        """A participant did what it had put off."""
        if self.shows_states and reply.effective:
            self.trace.add(STATE, service, (self._state(service),), saga=later.job.saga, step=later.job.step)
        for emitted in reply.emitted:
            self._publish(service, emitted, 0)

    def show_states(self, *, at_rest: bool = False) -> None:
        """Note what each participant holds, now, where a rule asks for it that reads what is held at rest, or else
        every moment from the start on."""
        asked = self.setup.shown_states == REST if at_rest else self.shows_states
        for name in self.services if asked else ():
            self.trace.add(STATE, name, (self._state(name),))

    def _state(self, name: str) -> str:
        try:
            return p.as_state(name, self.services[name].held())
        except UsageError as error:
            self.host.refuse(error)

    def _answer(self, pair: tuple[Message, p.Reply]) -> None:
        msg, reply = pair
        if msg.done or msg.deaf or msg.process.dead:
            return
        if self.mute and self.mute.get(msg.service, 0) > self.kernel.now_us:
            msg.deaf = True
            self.lose(msg, "answer")
            return
        strike = None
        if not self.manual:
            site = (msg.saga, msg.step or msg.operation, msg.direction or QUERY, AT_ACK, msg.attempt)
            bars = msg.process.bars
            if self.answers is not None:
                bars |= self._told(msg, reply)
            strike = self.trace.visit(site, impossible(AT_ACK, bars) if bars else NOTHING)
            if strike is not None and strike.kind.before and self._answering(msg, reply, strike):
                return
        self._arrive((msg, reply, strike))

    def _told(self, msg: Message, reply: p.Reply) -> int:
        """Remember an answer, which may yet arrive in the place of another; what of that cannot be now."""
        assert self.answers is not None
        found = 0 if reply.answer == p.OK else NO_SUCCESS
        found |= 0 if any(msg.crosses(other) for other, _ in self.answers) else NO_OTHER
        if reply.answer == p.OK:
            self.answers.append((msg, reply.value))
        return found

    def answer_of_another(self, msg: Message) -> Any:
        """The last answer of the participant to another request."""
        return next(value for other, value in reversed(self.answers or ()) if msg.crosses(other))

    def _answering(self, msg: Message, reply: p.Reply, strike: Strike) -> bool:
        """A fault strikes before an answer arrives; whether it does not arrive now."""
        self.trace.struck(strike.number)
        withheld = False
        for effect in strike.kind.before:
            withheld |= doing(self.doings[AT_ACK, BEFORE], effect)(self, effect, msg, reply, strike)
        return withheld

    def _answered(self, msg: Message, reply: p.Reply, strike: Strike) -> bool:
        """A fault strikes after an answer arrived; whether its caller goes on."""
        if not strike.kind.before:
            self.trace.struck(strike.number)
        for effect in strike.kind.after:
            doing(self.doings[AT_ACK, AFTER], effect)(self, effect, msg, reply, strike.kind)
        return not msg.process.dead

    def _arrive(self, what: tuple[Message, p.Reply, Strike | None]) -> None:
        """The caller has its answer, if it still waits for it."""
        msg, reply, strike = what
        if msg.done or msg.process.dead:
            return
        msg.done = True
        if self.priorities is not None:
            self.priorities.stir(msg.saga, self.kernel.now_us)
        self.note(msg, ACK, msg.process.label, (reply.answer,))
        if strike is not None and strike.kind.after and not self._answered(msg, reply, strike):
            return
        if reply.answer != p.ERROR and self.host.forgets and msg.process.may_forget:
            msg.process.forget_tries(msg.words)
        if reply.answer == p.OK:
            msg.process.inputs.append(("call", msg.process.packed(reply.value), (msg.saga, msg.operation)))
            msg.on_done(reply.value, None)
            return
        error = (Rejected if reply.answer == p.REJECTED else Unavailable)(f"{msg.operation}: {reply.value}")
        error.told = told = reply.value
        msg.process.inputs.append(("call", type(error).__name__, str(error), msg.words, msg.process.packed(told)))
        msg.on_done(None, error)

    @property
    def idle(self) -> bool:
        """True if all that will happen is what the running task does next, whenever that is."""
        host, setup = self.host, self.setup
        held = self.keeps or self.stuck or self.kernel.timers
        timed = setup.is_async or setup.judged_by_time or host.durable.lags or host.broker is not None
        return not (held or self.outage_lasts or timed) and self.kernel.at_rest_but_for_timers

    @property
    def keeps(self) -> bool:
        """True if a request waits until others were handled, or until all is at rest."""
        return bool(self.held or self.late or self.waiting)

    # -- duplicates that wait, faults that last ----------------------------------------------

    def _let_others_go(self, handled: Message, reply: p.Reply) -> None:
        """A request was handled: deliver what was waiting for that."""
        due: list[Message] = []
        if handled.direction == COMPENSATION:
            same = [m for m in self.late if m.saga == handled.saga and about(m.step, handled.step)]
            if reply.effective:
                mine = [m for m in self.held if m.saga == handled.saga and about(m.step, handled.step)]
                same += [m for m in mine if m is not handled]
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

    def _run_out(self, msg: Message) -> None:
        """The reservation that ``msg`` made is withdrawn by its participant, unless it was confirmed or undone."""
        gone = self.services[msg.service].expire(msg)
        if gone is not None:
            self.note(msg, EXPIRE, msg.service, gone.value)
            self.put_off.note(msg.service, gone, (msg.saga, msg.step, COMPENSATION))
            for emitted in gone.emitted:
                self._publish(msg.service, emitted, msg.id)
            if self.shows_states:
                self.note(msg, STATE, msg.service, (self._state(msg.service),))

    def flush(self) -> bool:
        """Deliver every request that still waits for another; False when there was none."""
        if not (self.held or self.late or self.waiting):
            return False
        due = [*self.held, *self.late, *(entry[0] for entry in self.waiting)]
        self.held, self.late, self.waiting = [], [], []
        for msg in due:
            self.kernel.at(LATENCY_US, DELIVERY, msg)
        return True

    # -- by hand (the state machine) ---------------------------------------------------------

    def take(self, index: int) -> Message:
        """Remove and return the ``index``-th message in flight."""
        return self.pending.pop(index)

    def lose_answer(self, msg: Message) -> None:
        """Deliver ``msg`` and drop the answer."""
        msg.deaf = True
        self.deliver(msg)
        self.note(msg, LOST, msg.process.label, ("answer",))

    def drop(self, msg: Message) -> None:
        self.note(msg, LOST, msg.process.label, ("request",))

    def reject(self, msg: Message) -> bool:
        """Let the participant refuse ``msg``; False where it cannot: the step is of those that are never refused, or
        it has already decided otherwise."""
        service = self.services[msg.service]
        step = self.setup.adapter.known.step(msg.step)
        never = msg.direction == COMPENSATION or (step is not None and step.retriable)
        if never or service.decided(msg):
            return False
        msg.deliveries += 1
        self.note(msg, DELIVER, msg.service, (msg.deliveries,))
        self._answer((msg, self._note_reply(msg, service.refuse(msg, "refused by the business"))))
        return True

    def release_all(self) -> None:
        """From here on messages travel by themselves again."""
        self.manual = False
        due, self.pending = self.pending, []
        for msg in due:
            self.kernel.at(LATENCY_US, DELIVERY, msg)

    def note(self, msg: Message, kind: str, process: str, data: tuple[Any, ...]) -> None:
        record, now = self.trace.record, self.kernel.now_us  # a local: else Python looks for a method of that name
        record((now, kind, process, msg.saga, msg.step, msg.direction, msg.attempt, msg.key, msg.id, data))
