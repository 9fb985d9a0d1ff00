"""What is known of one step in one direction, and of one message: gathered by `Facts`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from ..history import CAUSE, DATA, KIND, MSG, PROCESS, SAGA, SEND, TOPIC, Row


class CallFacts:
    """What is known of one step in one direction. Positions are indices into the rows.

    ``sends`` are (position, message, key); ``effective`` are (position, key, owner or None); ``applied`` is
    the first position at which the participant said yes, effective or not (-1: never);
    ``beside`` are the same of actors, whose answers and waits are not the orchestrator's; ``returned`` are the
    positions at which an actor took back what a saga had done that was called completed.
    ``answers`` maps a message to (position, "ok" | "rejected" | "error") as the caller got it; what a message of the
    participant's told stands there too, under the negative of its position, for which ``told`` has the request;
    ``given_up`` maps a message to the position at which the caller stopped waiting. ``refusals`` and
    ``errors`` are the positions at which the participant refused and failed, ``expired`` those at which it
    withdrew what a forward request had reserved.
    """

    __slots__ = (
        *("answers", "applied", "beside", "deliveries", "effective", "errors", "expired", "given_up", "refusals"),
        *("returned", "sends", "told"),
    )

    def __init__(self) -> None:
        self.sends: list[tuple[int, int, str | None]] = []
        self.beside: list[tuple[int, int, str | None]] = []
        self.returned: list[int] = []
        self.effective: list[tuple[int, str | None, str | None]] = []
        self.answers: dict[int, tuple[int, str]] = {}
        self.told: dict[int, int] = {}
        self.given_up: dict[int, int] = {}
        self.refusals: list[int] = []
        self.errors: list[int] = []
        self.expired: list[int] = []
        self.deliveries = 0
        self.applied = -1

    @property
    def answered_ok(self) -> int | None:
        """The first position at which the caller learnt of success."""
        return min((at for at, answer in self.answers.values() if answer == "ok"), default=None)

    def succeeded_before(self, position: int) -> bool:
        """True if the caller had learnt of success before that position."""
        for at, answer in self.answers.values():  # noqa: SIM110, a generator costs more than the comparison
            if at < position and answer == "ok":
                return True
        return False

    def definite(self, message: int, key: str | None, default: int) -> int:
        """The position at which the caller learnt what became of ``message``: from its own answer, or
        from a success or refusal of another attempt under the same key."""
        found = [self.answers[message][0]] if message in self.answers else []
        if key is not None:
            found += [
                self.answers[other][0]
                for _, other, same in self.sends
                if same == key and other in self.answers and self.answers[other][1] != "error"
            ]
        return min(found, default=default)

    @property
    def definitely_refused(self) -> bool:
        """Some attempt was refused, and every other attempt was too or shared its key: then the
        refusal speaks for all of them."""
        return self._settled({"rejected"})

    @property
    def definitely_answered(self) -> bool:
        """Every attempt was answered, with success or a refusal, or shared its key with one that was."""
        return self._settled({"ok", "rejected"})

    @property
    def came_to_nothing(self) -> bool:
        """The same, where to say "yes" and change nothing counts as to refuse: for there was no effect at all."""
        return self._settled({"rejected"} if self.effective else {"rejected", "ok"})

    def _settled(self, definite: Collection[str]) -> bool:
        settled = [message for message, (_, answer) in self.answers.items() if answer in definite]
        if not settled:
            return False
        keys = {key for _, message, key in self.sends if message in settled and key is not None}
        return all(message in settled or key in keys for _, message, key in self.sends)

    @property
    def refused_once(self) -> bool:
        """Some attempt was refused, whatever became of the others."""
        return any(answer == "rejected" for _, answer in self.answers.values())


class MessageFacts:
    """What is known of one message. ``received`` are (position, process, delivery), ``handled`` the positions at which
    it was acknowledged, ``failed`` those at which its handling failed, ``parked`` the last at which it went to the
    dead-letter queue (-1: never). ``cause`` is the request that made a participant publish it (0: none)."""

    __slots__ = ("cause", "failed", "handled", "number", "parked", "published", "received", "saga", "topic")

    def __init__(self, position: int, row: Row) -> None:
        self.number: int = row[MSG]
        self.topic: str = row[DATA][TOPIC]
        self.saga: str = row[SAGA]
        self.cause: int = row[DATA][CAUSE]
        self.published = position
        self.received: list[tuple[int, str, int]] = []
        self.handled: list[int] = []
        self.failed: list[int] = []
        self.parked = -1


def heard(rows: Sequence[Row], messages: Iterable[MessageFacts], at: int) -> Iterator[int]:
    """Where somebody published, or asked for what published, the messages that the process which acts at ``at`` had
    received by then: what those knew is behind them."""
    for message in messages:
        if any(received < at and process == rows[at][PROCESS] for received, process, _ in message.received):
            yield next(
                (
                    sent
                    for sent in range(message.published, -1, -1)
                    if message.cause and rows[sent][MSG] == message.cause and rows[sent][KIND] == SEND
                ),
                message.published,
            )


def on_message(rows: Sequence[Row], messages: Iterable[MessageFacts], position: int) -> str:
    """`` (while handling the message 'order.paid', received 2 times)`` where the request of the event there was sent by
    a process that was handling that message of the saga; else ""."""
    number, saga = rows[position][MSG], rows[position][SAGA]
    sent = next((at for at in range(position, -1, -1) if rows[at][MSG] == number and rows[at][KIND] == SEND), -1)
    if sent < 0:
        return ""
    begun: list[tuple[int, MessageFacts]] = []
    for message in messages:
        ended = [at for at in (*message.handled, *message.failed) if rows[at][PROCESS] == rows[sent][PROCESS]]
        for received, process, _ in message.received:
            under_way = received <= sent and not any(received < at <= sent for at in ended)
            if message.saga == saga and process == rows[sent][PROCESS] and under_way:
                begun.append((received, message))
    if not begun:
        return ""
    _, found = max(begun, key=lambda entry: entry[0])
    times = sum(received <= sent for received, _, _ in found.received)
    return f" (while handling the message {found.topic!r}{f', received {times} times' if times > 1 else ''})"
