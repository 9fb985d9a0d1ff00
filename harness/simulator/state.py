"""The state of a run, as far as its future depends on it, in a few bytes.

A deterministic process is what its inputs made it: its volatile state is a function of the answers
that it has had since it started. So two runs whose durable state, messages in flight, timers
(relative to now) and answers agree have the same futures, whatever struck them before.
"""

from __future__ import annotations

import hashlib
import marshal
from typing import TYPE_CHECKING, Any, Final

from ..history import APPLY, BOOT, CLOCK, DELIVER, DOWN, LOG, LOST, PAUSE, Row
from .network import MAX_ATTEMPT, Message
from .participants import Ledger, UserParticipant

if TYPE_CHECKING:
    from .simulation import Simulation

_SPARE: Final = 3
"""Attempts that must be left to be struck for their number not to matter."""


_TIMED: Final = frozenset({"deadline_ms", "min_backoff_ms"})
"""Promises on which the time of each event is judged."""


class _Opaque(Exception):
    """Something whose state cannot be told: then no two states are called equal."""


def state_key(sim: Simulation) -> bytes | None:
    """16 bytes that two runs share only if their futures, and what the invariants know of their
    pasts, are the same. None where that cannot be told."""
    hidden = sim.databases or sim.resources or "random" in vars(sim)
    if hidden or sim.setup.is_async or _TIMED & sim.setup.adapter.declared.keys():
        return None
    try:
        parts = (_processes(sim), _durable(sim), _services(sim), _network(sim), _timers(sim), past(sim.rows))
        return hashlib.blake2b(marshal.dumps(parts, 2), digest_size=16).digest()
    except (_Opaque, ValueError):
        return None


def _processes(sim: Simulation) -> tuple[Any, ...]:
    now = sim.kernel.now_us
    current = sim.kernel.current
    return tuple(
        (
            process is sim.process,
            process.booted,
            process.upgraded,
            max(process.paused_until_us - now, 0),
            tuple(process.inputs),
            tuple((t.label, t.saga, t is current, t.waiting) for t in process.tasks if not t.finished),
        )
        for process in sim.living
    )


def _durable(sim: Simulation) -> tuple[Any, ...]:
    durable = sim.durable
    stale = durable.stale is not None and durable.stale[2]()
    if stale:
        raise _Opaque
    texts = tuple(sorted(durable.texts.items()))
    return texts, tuple(sorted(durable.files.items())), tuple(durable.before), sim.wall_offset_s


def _services(sim: Simulation) -> tuple[Any, ...]:
    return tuple((name, _service(service)) for name, service in sim.services.items())


def _service(service: Any) -> Any:
    if isinstance(service, Ledger):
        rows = tuple((row.saga, row.step, row.key, row.subject, row.amount, row.confirmed) for row in service.rows)
        counters = (
            tuple(sorted(getattr(service, "free", {}).items())),
            tuple(sorted(getattr(service, "taken", {}).items())),
        )
        memory = sorted((key, answer[0], repr(answer[1])) for key, answer in service.memory.items())
        if service.since:
            raise _Opaque  # keys that age: then the time of each matters
        return rows, counters, tuple(memory), tuple(sorted(service.closed))
    if isinstance(service, UserParticipant):
        if vars(service.volatile):
            raise _Opaque
        durable = service.durable
        refusals = sorted((*key, reason) for key, reason in service.refusals.items())
        kept = (durable.state, durable.memory, durable.versions, durable.locks)
        return kept, tuple(refusals), tuple(sorted(service.applied))
    raise _Opaque


def _network(sim: Simulation) -> tuple[Any, ...]:
    network, now = sim.network, sim.kernel.now_us
    lasting = tuple(
        tuple(sorted((service, until - now) for service, until in table.items() if until > now))
        for table in (network._cut, network._mute, network._down)
    )
    spent = sorted((*call, count) for call, count in network._attempts.items() if count > MAX_ATTEMPT - _SPARE)
    held = tuple(_message(sim, msg) for msg in (*network._held, *network._late))
    waiting = tuple((_message(sim, entry[0]), entry[1]) for entry in network._waiting)
    return lasting, tuple(sorted(network.stuck)), tuple(spent), held, waiting


def _message(sim: Simulation, msg: Message) -> tuple[Any, ...]:
    waits = not (msg.done or msg.deaf or msg.process.dead)
    due = msg.due_us - sim.kernel.now_us if waits else 0
    payload = tuple(sorted((name, repr(value)) for name, value in msg.payload.items()))
    return msg.operation, msg.saga, msg.step, msg.direction, msg.key, payload, waits, due, min(msg.deliveries, 2)


def _timers(sim: Simulation) -> tuple[Any, ...]:
    """What will still happen by itself, in order, relative to now."""
    found = []
    for at, _, function, argument in sorted(sim.kernel._heap, key=lambda entry: entry[:2]):
        shown = _timer(sim, function.__name__, argument)
        if shown is not None:
            found.append((at - sim.kernel.now_us, function.__name__, shown))
    waiting = tuple(order.id for order in sim._waiting)
    return tuple(found), waiting, sim.kernel.horizon_us - sim.kernel.now_us < 10**10


def _timer(sim: Simulation, name: str, argument: Any) -> Any:
    """A timer as a value; None for one that will do nothing."""
    shown: Any = None
    if name in {"deliver", "_run_out"}:
        shown = _message(sim, argument)
    elif name in {"_answer", "_arrive"}:
        msg, reply = argument[0], argument[1]
        if not (msg.done or msg.process.dead):
            shown = (_message(sim, msg), reply.answer, repr(reply.value), msg.deaf)
    elif name in {"_expire", "_wait_no_more"}:
        if not (argument.done or argument.process.dead):
            shown = _message(sim, argument)
    elif name in {"wake", "_resume"}:
        if not (argument.finished or argument.process.dead):
            shown = (argument.label, argument.saga)
    elif name in {"start", "submit"}:
        shown = str(getattr(argument, "id", argument))
    else:
        raise _Opaque
    return shown


_UNSEEN: Final = frozenset({LOG, LOST, DELIVER, DOWN, PAUSE, CLOCK})


def past(rows: list[Row]) -> tuple[Any, ...]:
    """What happened so far, as far as an invariant can ask: the order of events without their times,
    messages numbered as they come, without what only the network knew. A participant's second, idle
    handling of what it had applied, and further boots, tell nothing that is asked either."""
    numbers: dict[int, int] = {}
    names: dict[str, int] = {}
    applied: set[tuple[str, str, str]] = set()
    seen = []
    for _, kind, process, saga, step, direction, _, key, msg, data in rows:
        if kind in _UNSEEN:
            continue
        if kind == APPLY:
            if data[0]:
                applied.add((saga, step, direction))
            elif (saga, step, direction) in applied:
                continue
        told = data[1:] if kind == BOOT else data
        number = numbers.setdefault(msg, len(numbers)) if msg else -1
        process_number = names.setdefault(process, len(names))
        seen.append((kind, process_number, saga, step, direction, key, number, told))
    return tuple(seen)
