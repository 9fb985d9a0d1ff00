"""The contents of moto's queues, as values: to tell whether something has changed, and to go back to it."""

from __future__ import annotations

from typing import Any, NamedTuple

Backends = Any
"""moto's: a backend for each account and region."""


class KeptQueue(NamedTuple):
    """The contents of a queue: its settings, and its messages with theirs. ``taken`` are those that somebody has
    received and neither deleted nor let go, ``gone`` the receipts of those that are deleted."""

    settings: dict[str, Any]
    messages: list[tuple[Any, dict[str, Any]]]
    taken: frozenset[Any]
    gone: frozenset[str]


Kept = list[tuple[Any, dict[str, Any], list[tuple[Any, KeptQueue]]]]
"""For each backend its queues by name, and what they hold."""

_HELD = ("_messages", "_pending_messages", "deleted_messages", "_messages_lock")


def backends_in(backends: Backends) -> list[Any]:
    """Each backend of each account and region that somebody has used."""
    return [backend for account in backends.values() for backend in account.values()]


def keep(backends: Backends) -> Kept:
    """The contents of all queues."""
    return [
        (backend, dict(backend.queues), [(queue, _kept(queue)) for queue in backend.queues.values()])
        for backend in backends_in(backends)
    ]


def _kept(queue: Any) -> KeptQueue:
    return KeptQueue(
        settings={name: value for name, value in vars(queue).items() if name not in _HELD},
        messages=[(message, _plain(message)) for message in queue._messages],
        taken=frozenset(queue._pending_messages),
        gone=frozenset(queue.deleted_messages),
    )


def _plain(message: Any) -> dict[str, Any]:
    return {**vars(message), "_old_receipt_handles": [*message._old_receipt_handles]}


def put_back(kept: Kept) -> None:
    """Let the queues hold what was kept."""
    for backend, queues, held in kept:
        backend.queues = dict(queues)
        for queue, of in held:
            queue.__dict__.update(of.settings)
            queue._messages = [message for message, _ in of.messages]
            for message, fields in of.messages:
                vars(message).clear()
                vars(message).update(fields | {"_old_receipt_handles": [*fields["_old_receipt_handles"]]})
            queue._pending_messages = set(of.taken)
            queue.deleted_messages = set(of.gone)


def next_change(backends: Backends, now_ms: float) -> float | None:
    """When the next message comes to be seen that is not now, in Unix milliseconds; None where there is none."""
    moments = [
        moment
        for backend in backends_in(backends)
        for queue in backend.queues.values()
        for message in queue._messages
        for moment in (message.visible_at, message.delayed_until)
        if moment >= now_ms
    ]
    return min(moments, default=None)
