"""A tiny language for histories written by hand: one thing that happens a line, messages by name.

    history('''
        submit
        send payment.charge key=k1 amount=100 -> m1
        apply m1
        lost m1 answer
        @1000 timeout m1
        saga-2: submit
    ''')

Each line takes one millisecond more than the one before; ``@1000`` in front says when it happens.
``saga-2:``, or ``saga-1.ship:``, in front says whom it is about (else saga-1), ``-:`` that it is about no saga. After
``boot second`` two orchestrators live, and ``as 1`` lets the first one act; where ``declare actors=clerk`` stands, ``as
clerk`` lets that actor act. `VERBS`
lists what can be written. ``<--`` at the end of one line marks its last event, for `written`. The
end of the run is added where the text does not say one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sagafuzz import Fault, History, Outcome, Saga, Site, Step
from sagafuzz.definitions import root_of, united
from sagafuzz.errors import nearest
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.history import Fired, Row
from sagafuzz.saga import instance, split

CHECKOUT = Saga(
    "checkout",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("inventory", "inventory.reserve", undo="inventory.release"),
        Step("payment", "payment.charge", undo="payment.refund"),
    ],
)

LINE = re.compile(
    r"(?:@(?P<at>\S+)\s+)?(?:(?P<saga>[\w.-]+):\s+)?(?P<verb>\S+)(?P<rest>.*?)(?:->\s*(?P<name>\S+))?\s*(?P<mark><--)?"
)
OUTCOMES = [outcome.value for outcome in Outcome]
ANSWERS = {"APPLY": "ok", "REJECT": "rejected", "ERROR": "error"}


class Unreadable(ValueError):
    """A line says nothing. The text names the line, what is wrong with it, and what to write."""


class Written(NamedTuple):
    """A history, and the position of its marked event (-1: none is marked)."""

    history: History
    mark: int


def history(text: str, saga: Saga = CHECKOUT) -> History:
    """The history that ``text`` describes. Raises Unreadable for a line that makes no sense."""
    return written(text, saga).history


def written(text: str, saga: Saga = CHECKOUT) -> Written:
    """The same, with the position of the event whose line ends in ``<--``."""
    writer = _Writer(saga)
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                writer.line(line.strip())
            except Unreadable as error:
                raise Unreadable(f"line {number}, {line.strip()!r}: {error}") from None
    return writer.written()


@dataclass(frozen=True)
class _Message:
    number: int
    sender: str
    about: tuple[str, str, str, int, str | None]  # saga, step, direction, attempt, key
    service: str


class _Notice(NamedTuple):
    """A message that is published, and no request."""

    number: int
    saga: str
    topic: str


@dataclass(frozen=True)
class _Words:
    """The arguments of one line: bare words, and those written NAME=VALUE."""

    bare: list[str]
    named: dict[str, str]
    name: str | None

    def take(self, what: str, known: Any = None) -> str:
        """The next bare word, which must be one of ``known``."""
        if not self.bare:
            raise Unreadable(f"it lacks the {what}")
        word = self.bare.pop(0)
        if known is not None and word not in known:
            raise Unreadable(f"{word!r} is no {what}{nearest(word, known)}; there is {', '.join(known) or 'none yet'}")
        return word

    def finish(self) -> None:
        left = [*self.bare, *(f"{name}={value}" for name, value in self.named.items())]
        if left:
            raise Unreadable(f"nothing can be made of {' '.join(left)!r}")


class _Writer:
    def __init__(self, saga: Saga) -> None:
        self.definition = saga
        self.known = united((saga,))
        self.rows: list[Row] = []
        self.fired: list[Fired] = []
        self.sagas: list[str] = []
        self.mark = -1
        self.now_us = 0
        self.saga = ""
        self.incarnation = self.newest = 1
        self.actor = ""
        self.living = {1}
        self.declared: dict[str, object] = {}
        self.messages: dict[str, _Message] = {}
        self.notices: dict[str, _Notice] = {}
        self.attempts: dict[tuple[str, str, str], int] = {}
        self.answers: dict[int, str] = {}
        self.deliveries: dict[int, int] = {}
        self.writes: dict[tuple[str, str, str], int] = {}
        self.over = False

    def line(self, line: str) -> None:
        found = LINE.fullmatch(line)
        assert found is not None, "the pattern takes every line that is not blank"
        verb = VERBS.get(found["verb"])
        if verb is None:
            raise Unreadable(f"there is no verb {found['verb']!r}{nearest(found['verb'], VERBS)}")
        self._set_time(found["at"])
        self.saga = {None: "saga-1", "-": ""}.get(found["saga"], found["saga"])
        if self.saga and self.saga == root_of(self.saga) and self.saga not in self.sagas:
            self.sagas.append(self.saga)
        try:
            words = shlex.split(found["rest"])
            named = dict(word.split("=", 1) for word in words if re.match(r"\w+=", word))
            bare = [word for word in words if not re.match(r"\w+=", word)]
            arguments = _Words(bare, named, found["name"])
            verb.write(self, arguments)
            arguments.finish()
        except ValueError as error:  # ours, a number that is none, a quotation without an end
            raise Unreadable(f"{error}; write {verb.usage!r}") from None
        if found["mark"]:
            if self.mark >= 0:
                raise Unreadable("a second line is marked '<--'; mark one")
            self.mark = len(self.rows) - 1

    def _set_time(self, at: str | None) -> None:
        if at is None:
            self.now_us += 1000 * bool(self.rows)
            return
        if not re.fullmatch(r"\d+(\.\d+)?", at):
            raise Unreadable(f"{at!r} is no time; write '@1000', in milliseconds")
        at_us = round(float(at) * 1000)
        if at_us < self.now_us:
            raise Unreadable(f"time goes backwards, it is {self.now_us / 1000:g} ms already")
        self.now_us = at_us

    def written(self) -> Written:
        if not self.rows:
            raise Unreadable("a history without events; write at least 'submit'")
        if not self.over:
            self.saga = ""
            self.now_us += 1000
            self.add("END", "harness", "quiescent")
        sagas = tuple(self.sagas) or ("saga-1",)
        return Written(
            History(
                saga=self.definition,
                sagas=sagas,
                rows=tuple(self.rows),
                fired=tuple(self.fired),
                declared=self.declared,
            ),
            self.mark,
        )

    # -- events ------------------------------------------------------------------------------

    def add(self, kind: str, process: str, *data: Any, step: str = "", saga: str | None = None) -> None:
        about = self.saga if saga is None else saga
        self.rows.append((self.now_us, kind, process, about, step, "", 0, None, 0, data))

    def about(self, message: _Message, kind: str, process: str, *data: Any) -> None:
        saga, step, direction, attempt, key = message.about
        self.rows.append((self.now_us, kind, process, saga, step, direction, attempt, key, message.number, data))

    def orchestrator(self) -> str:
        """Its label, or that of the actor who acts; it must be alive."""
        if self.actor:
            return self.actor
        if self.incarnation not in self.living:
            raise Unreadable("the orchestrator is dead; write 'boot' before")
        return "orchestrator" if self.incarnation == 1 else f"orchestrator#{self.incarnation}"

    @property
    def alive(self) -> bool:
        return bool(self.living)

    def message(self, words: _Words) -> _Message:
        return self.messages[words.take("message", self.messages)]

    def own(self, words: _Words) -> _Message:
        """A message of the incarnation that lives."""
        message = self.message(words)
        if message.sender != self.orchestrator():
            raise Unreadable(f"its sender, {message.sender}, is dead or does not act")
        return message

    def step(self, words: _Words) -> str:
        """A step of the saga, or the saga as a whole where none is named."""
        if words.bare and split(words.bare[0])[1]:
            return words.take("step")
        return words.take("step", self.known.by_name) if words.bare else ""

    # -- verbs -------------------------------------------------------------------------------

    def submit(self, words: _Words) -> None:
        named = words.named
        order = (named.pop("item", "item-1"), int(named.pop("quantity", 1)), int(named.pop("amount", 100)))
        self.add("SUBMIT", "client", *order)

    def send(self, words: _Words) -> None:
        operation = words.take("operation")
        found = self.known.by_operation.get(operation)
        if found is None and "query" not in words.bare:
            known = self.known.by_operation
            raise Unreadable(f"{operation!r} is no operation of {self.definition.name}{nearest(operation, known)}")
        step, direction = (found[0].name, found[1]) if found is not None else ("", "")
        if "part" in words.named:
            step = instance(step, words.named.pop("part"))
        if found is None:
            words.bare.remove("query")
        if words.name in self.messages:
            raise Unreadable(f"there is a message {words.name!r} already; name each once")
        counter = (self.saga, step or operation, direction)
        attempt = self.attempts[counter] = self.attempts.get(counter, 0) + 1
        number = len(self.messages) + 1
        message = _Message(
            number=number,
            sender=self.orchestrator(),
            about=(self.saga, step, direction, attempt, words.named.pop("key", None)),
            service=operation.partition(".")[0],
        )
        self.messages[words.name or f"message {number}"] = message
        words.named.pop("receipt", None)
        payload = tuple(sorted((name, _value(text)) for name, text in words.named.items()))
        words.named.clear()
        self.about(message, "SEND", message.sender, operation, payload)

    def named_send(self, words: _Words) -> None:
        if words.name is None:
            raise Unreadable("it names no message")
        self.send(words)

    def call(self, words: _Words) -> None:
        self._whole(words, "APPLY")

    def refused(self, words: _Words) -> None:
        self._whole(words, "REJECT")

    def _whole(self, words: _Words, kind: str) -> None:
        """Request and answer, each event a millisecond after the one before."""
        quiet = "no-effect" in words.bare
        if quiet:
            words.bare.remove("no-effect")
        receipt = _receipt(words.named.get("receipt", ""))
        self.send(words)
        message = list(self.messages.values())[-1]
        self.now_us += 1000
        applied = (not quiet, message.about[0], (), *receipt)
        self.handle(message, kind, *(applied if kind == "APPLY" else ("refused",)))
        self.now_us += 1000
        self.about(message, "ACK", message.sender, ANSWERS[kind])

    def handle(self, message: _Message, kind: str, *data: Any) -> None:
        nth = self.deliveries[message.number] = self.deliveries.get(message.number, 0) + 1
        self.about(message, "DELIVER", message.service, nth)
        self.about(message, kind, message.service, *data)
        self.answers[message.number] = ANSWERS[kind]

    def apply(self, words: _Words) -> None:
        message = self.message(words)
        effective = not words.bare
        if words.bare:
            words.take("word about the effect", ["no-effect"])
        owner = words.named.pop("owner", message.about[0])
        balance = tuple(map(_value, filter(None, words.named.pop("balance", "").split("/"))))
        if len(balance) not in (0, 6):
            raise Unreadable(f"a balance has six parts, not {len(balance)}: UNIT/SUBJECT/FREE/TAKEN/LIVE/INITIAL")
        receipt = _receipt(words.named.pop("receipt", ""))
        self.handle(message, "APPLY", effective, {"nobody": "", "unknown": None}.get(owner, owner), balance, *receipt)

    def reject(self, words: _Words) -> None:
        self.handle(self.message(words), "REJECT", "refused")

    def error(self, words: _Words) -> None:
        message = self.message(words)
        self.handle(message, "ERROR", words.bare.pop(0) if words.bare else "internal error")

    def ack(self, words: _Words) -> None:
        message = self.own(words)
        if message.number not in self.answers:
            raise Unreadable("it has no answer yet; write 'apply', 'reject' or 'error' before")
        answer = words.take("answer", list(ANSWERS.values())) if words.bare else self.answers[message.number]
        self.about(message, "ACK", message.sender, answer)

    def lost(self, words: _Words) -> None:
        message = self.message(words)
        self.about(message, "LOST", message.sender, words.take("part", ["request", "answer"]))

    def timeout(self, words: _Words) -> None:
        message = self.own(words)
        self.about(message, "TIMEOUT", message.sender, 1000.0)

    def log(self, words: _Words) -> None:
        self._log(words, "LOG")

    def durable(self, words: _Words) -> None:
        self._log(words, "LOGACK")

    def write(self, words: _Words) -> None:
        self._log(words, "LOG", "LOGACK")

    def _log(self, words: _Words, *kinds: str) -> None:
        record, step = words.take("kind of record"), self.step(words)
        epoch = [int(words.named.pop("epoch"))] if "epoch" in words.named else []
        nth = self.writes.get((self.saga, record, step), 0) + (kinds[0] == "LOG")
        self.writes[self.saga, record, step] = nth
        for kind in kinds:
            self.add(kind, self.orchestrator(), record, max(nth, 1), *epoch, step=step)

    def lost_write(self, words: _Words) -> None:
        record, step = words.take("kind of record"), self.step(words)
        nth = self.writes.get((self.saga, record, step), 1)
        self.add("LOGLOST", self.orchestrator(), record, nth, step=step)

    def adopt(self, words: _Words) -> None:
        epoch, definition = int(words.named.pop("epoch", 0)), words.named.pop("definition", "")
        self.add("ADOPT", self.orchestrator(), epoch, definition)

    def read(self, words: _Words) -> None:
        message, entity = self.message(words), words.take("entity")
        version = int(words.take("version"))
        pending = bool(words.bare) and words.take("word about the value", ["pending"]) == "pending"
        self.about(message, "READ", message.service, entity, version, pending)

    def wrote(self, words: _Words) -> None:
        message, entity = self.message(words), words.take("entity")
        version = int(words.take("version"))
        mode = words.take("mode", ["set", "add"]) if words.bare else "set"
        self.about(message, "WRITE", message.service, entity, version, mode)

    def hold(self, words: _Words) -> None:
        message = self.message(words)
        self.about(message, "HOLD", message.service, words.take("entity"))

    def release(self, words: _Words) -> None:
        message = self.message(words)
        self.about(message, "RELEASE", message.service, words.take("entity"))

    def expire(self, words: _Words) -> None:
        message = self.message(words)
        self.about(message, "EXPIRE", message.service, "item-1", 1)

    def entry(self, words: _Words) -> None:
        message, account = self.message(words), words.take("account")
        self.about(message, "ENTRY", message.service, account, int(words.take("amount")), int(words.take("holds")))

    def publish(self, words: _Words) -> None:
        topic = words.take("topic")
        if words.name is None or words.name in self.notices:
            raise Unreadable(f"{words.name!r} is no name for it; name each once")
        cause = self.messages[words.named.pop("cause")] if "cause" in words.named else None
        notice = self.notices[words.name] = _Notice(1_000 + len(self.notices), self.saga, topic)
        sender = cause.service if cause is not None else self.orchestrator()
        self._of(notice, "PUBLISH", sender, topic, (), 0, cause.number if cause is not None else 0)

    def receive(self, words: _Words) -> None:
        notice = self.notice(words)
        nth = self.deliveries[notice.number] = self.deliveries.get(notice.number, 0) + 1
        self._of(notice, "RECEIVE", self.orchestrator(), notice.topic, nth)

    def handled(self, words: _Words) -> None:
        notice = self.notice(words)
        self._of(notice, "HANDLED", self.orchestrator(), notice.topic)

    def nack(self, words: _Words) -> None:
        notice = self.notice(words)
        self._of(notice, "NACK", self.orchestrator(), notice.topic, "KeyError: 'saga-1'", "receive: shop.py:1")

    def park(self, words: _Words) -> None:
        notice = self.notice(words)
        self._of(notice, "PARKED", "harness", notice.topic, self.deliveries.get(notice.number, 1))

    def drop(self, words: _Words) -> None:
        self._of(self.notice(words), "LOST", "harness", "message")

    def notice(self, words: _Words) -> _Notice:
        return self.notices[words.take("notice", self.notices)]

    def _of(self, notice: _Notice, kind: str, process: str, *data: Any) -> None:
        self.rows.append((self.now_us, kind, process, notice.saga, "", "", 0, None, notice.number, data))

    def pause(self, words: _Words) -> None:
        self.add("PAUSE", self.orchestrator(), int(words.take("time in ms")), saga="")

    def act_as(self, words: _Words) -> None:
        actors: Any = self.declared.get("actors", ())
        self.actor = words.bare.pop(0) if words.bare[:1] and words.bare[0] in actors else ""
        if self.actor:
            return
        incarnation = int(words.take("incarnation"))
        if incarnation not in self.living:
            raise Unreadable(f"there is no incarnation {incarnation} alive")
        self.incarnation = incarnation

    def declare(self, words: _Words) -> None:
        self.declared.update({name: _promise(text) for name, text in words.named.items()})
        words.named.clear()

    def terminal(self, words: _Words) -> None:
        self.add("TERMINAL", self.orchestrator(), words.take("outcome", OUTCOMES))

    def tell(self, words: _Words) -> None:
        self.orchestrator()
        self.add("CLIENT_ACK", "client", words.take("outcome", OUTCOMES))

    def dead_letter(self, words: _Words) -> None:
        self.add("DEAD_LETTER", self.orchestrator(), "cannot undo", step=self.step(words))

    def alert(self, words: _Words) -> None:
        self.add("ALERT", self.orchestrator(), "undo it by hand", step=self.step(words))

    def raised(self, words: _Words) -> None:
        name = words.take("type of exception")
        from_port = words.named.pop("port", "no") == "yes"
        message = words.bare.pop(0) if words.bare else ""
        where = words.named.pop("where", "run")
        self.add("RAISED", self.orchestrator(), name, message, f"{where}: shop.py:1", from_port)

    def nonsense(self, words: _Words) -> None:
        self.orchestrator()
        self.add("NONSENSE", "client", words.take("answer"))

    def running(self, words: _Words) -> None:
        self.add("RUNNING", "client")

    def crash(self, words: _Words) -> None:
        self.add("CRASH", self.orchestrator(), words.bare.pop(0) if words.bare else "killed", saga="")
        self.living.discard(self.incarnation)
        self.incarnation = max(self.living, default=self.incarnation)

    def boot(self, words: _Words) -> None:
        reason = words.bare.pop(0) if words.bare else "start"
        beside = reason in ("second", "pause")
        if self.alive and self.rows and not beside:
            raise Unreadable("the orchestrator runs already; write 'crash' before")
        self.newest += beside or not self.alive
        self.incarnation = self.newest
        self.living.add(self.newest)
        self.add("BOOT", self.orchestrator(), self.incarnation, reason, saga="")

    def heal(self, words: _Words) -> None:
        self.add("HEAL", "harness", *words.bare[:1], saga="")
        del words.bare[:1]

    def end(self, words: _Words) -> None:
        self.add("END", "harness", words.take("reason"), saga="")
        self.over = True

    def fault(self, words: _Words) -> None:
        kind = words.take("kind of fault", FAULT_KINDS)
        saga, step, direction, attempt, _ = self.message(words).about
        site = Site(saga, step, direction, FAULT_KINDS[kind].phase, attempt)
        self.fired.append(Fired(position=len(self.rows), fault=Fault(kind=kind, site=site)))


def _value(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def _receipt(text: str) -> tuple[tuple[tuple[str, Any], ...], ...]:
    """The fourth field of an APPLY: ``id:ch-1,amount:100``; nothing where nothing is given."""
    pairs = [entry.partition(":")[::2] for entry in text.split(",") if entry]
    return (tuple(sorted((name, _value(value)) for name, value in pairs)),) if pairs else ()


def _promise(text: str) -> object:
    """``3``; ``a,b`` is a tuple; ``a:1,b:2``, ``a:=word`` and ``v1:a+b,v2:c`` are mappings."""
    if ":" in text:
        return {name: _promised(value) for name, _, value in (entry.partition(":") for entry in text.split(","))}
    return int(text) if text.isdigit() else tuple(text.split(","))


def _promised(value: str) -> object:
    if value.startswith("="):
        return value[1:]
    return _value(value) if re.fullmatch(r"\d+", value) else tuple(value.split("+"))


class Verb(NamedTuple):
    """How a line begins, and the whole of it in one example."""

    usage: str
    write: Callable[[_Writer, _Words], None]


VERBS: dict[str, Verb] = {
    verb.usage.split()[0]: verb
    for verb in (
        Verb("submit [item=ITEM] [quantity=N] [amount=N]", _Writer.submit),
        Verb("send OPERATION [query] [part=PART] [key=KEY] [NAME=VALUE ...] -> MESSAGE", _Writer.named_send),
        Verb(
            "apply MESSAGE [no-effect] [owner=SAGA|nobody|unknown] [balance=UNIT/SUBJECT/...] [receipt=NAME:VALUE,...]",
            _Writer.apply,
        ),
        Verb("reject MESSAGE", _Writer.reject),
        Verb("error MESSAGE [REASON]", _Writer.error),
        Verb("ack MESSAGE [ok|rejected|error]", _Writer.ack),
        Verb("lost MESSAGE request|answer", _Writer.lost),
        Verb("timeout MESSAGE", _Writer.timeout),
        Verb(
            "call OPERATION [query] [no-effect] [key=KEY] [receipt=NAME:VALUE,...] [NAME=VALUE ...] [-> MESSAGE]",
            _Writer.call,
        ),
        Verb("refused OPERATION [key=KEY] [NAME=VALUE ...] [-> MESSAGE]", _Writer.refused),
        Verb("log RECORD [STEP] [epoch=N]", _Writer.log),
        Verb("durable RECORD [STEP] [epoch=N]", _Writer.durable),
        Verb("write RECORD [STEP] [epoch=N]", _Writer.write),
        Verb("lost-write RECORD [STEP]", _Writer.lost_write),
        Verb("adopt [epoch=N] [definition=NAME]", _Writer.adopt),
        Verb("read MESSAGE ENTITY VERSION [pending]", _Writer.read),
        Verb("wrote MESSAGE ENTITY VERSION [set|add]", _Writer.wrote),
        Verb("hold MESSAGE ENTITY", _Writer.hold),
        Verb("release MESSAGE ENTITY", _Writer.release),
        Verb("expire MESSAGE", _Writer.expire),
        Verb("entry MESSAGE ACCOUNT AMOUNT HOLDS", _Writer.entry),
        Verb("publish TOPIC [cause=MESSAGE] -> NOTICE", _Writer.publish),
        Verb("receive NOTICE", _Writer.receive),
        Verb("handled NOTICE", _Writer.handled),
        Verb("nack NOTICE", _Writer.nack),
        Verb("park NOTICE", _Writer.park),
        Verb("drop NOTICE", _Writer.drop),
        Verb("pause MS", _Writer.pause),
        Verb("as INCARNATION|ACTOR", _Writer.act_as),
        Verb("declare NAME=VALUE ...", _Writer.declare),
        Verb("terminal OUTCOME", _Writer.terminal),
        Verb("tell OUTCOME", _Writer.tell),
        Verb("dead-letter [STEP]", _Writer.dead_letter),
        Verb("alert [STEP]", _Writer.alert),
        Verb("raise TYPE [MESSAGE] [port=yes] [where=METHOD]", _Writer.raised),
        Verb("nonsense ANSWER", _Writer.nonsense),
        Verb("running", _Writer.running),
        Verb("crash [REASON]", _Writer.crash),
        Verb("boot [REASON]", _Writer.boot),
        Verb("heal [WHY]", _Writer.heal),
        Verb("end REASON", _Writer.end),
        Verb("fault KIND MESSAGE", _Writer.fault),
    )
}
