"""An event in a few words: what happened, without when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from . import history as h
from .history import Event
from .saga import Saga


def event_in_words(event: Event, saga: Saga, *, several: bool = False, asked: str = "") -> str:
    """``the answer of payment.charge #2 arrives``: what happened, without when. ``asked`` is what its request asked
    for, where it is of no step and does not say so itself."""
    teller = _WORDS.get(event.kind)
    call = event.asks or saga.operation(event.step, event.direction) or asked or "a query"
    if event.attempt > 1:
        call += f" #{event.attempt}"
    if several and event.saga:
        call += f" of {event.saga}"
    return teller(event, call) if teller else f"{event.kind} {' '.join(map(str, event.data))}".rstrip()


def _written(event: Event) -> str:
    return f"{event.get('record')} {event.step}".rstrip()


def _applied(event: Event, call: str) -> str:
    return f"{event.process} applies {call}{'' if event.get('effective') else ', without effect'}"


def _ended(event: Event) -> str:
    return "all is at rest" if event.get("reason") == "quiescent" else f"the run is ended: {event.get('reason')}"


_WORDS: Final[dict[str, Callable[[Event, str], str]]] = {
    h.SUBMIT: lambda event, call: f"the client asks for {event.saga}",
    h.BOOT: lambda event, call: f"{event.process} starts",
    h.LOG: lambda event, call: f'the write "{_written(event)}" is asked for',
    h.LOGACK: lambda event, call: f'the write "{_written(event)}" is durable',
    h.LOGLOST: lambda event, call: f'the write "{_written(event)}" is lost',
    h.SEND: lambda event, call: f"{call} is sent",
    h.DELIVER: lambda event, call: (
        f"{call} reaches {event.process}" + (f" (copy {event.get('nth')})" if (event.get("nth") or 1) > 1 else "")
    ),
    h.APPLY: _applied,
    h.REJECT: lambda event, call: f"{event.process} refuses {call}",
    h.ERROR: lambda event, call: f"{event.process} fails at {call}",
    h.ACK: lambda event, call: f"the answer of {call} arrives: {event.get('answer')}",
    h.LOST: lambda event, call: f"the {event.get('what')} of {call} is lost",
    h.TIMEOUT: lambda event, call: f"the caller of {call} gives up",
    h.CRASH: lambda event, call: (
        f"{event.process} dies" if event.get("reason") != h.FINAL_RESTART else f"{event.process} is started anew"
    ),
    h.DOWN: lambda event, call: f"{event.process} is {event.get('reason')}",
    h.PAUSE: lambda event, call: f"{event.process} stands still",
    h.WAKE: lambda event, call: f"{event.process} wakes",
    h.CLOCK: lambda event, call: f"the wall clock jumps by {event.get('by_s')} s",
    h.TERMINAL: lambda event, call: f"{event.saga} is declared {event.get('outcome')}",
    h.CLIENT_ACK: lambda event, call: f"the client of {event.saga} is told {event.get('outcome')}",
    h.RAISED: lambda event, call: f"{event.get('type')} is raised",
    h.NONSENSE: lambda event, call: f"the answer of {event.saga} makes no sense",
    h.DEAD_LETTER: lambda event, call: f"{event.step or event.saga} is put aside",
    h.ALERT: lambda event, call: f"a person is called to {event.step or event.saga}",
    h.EXPIRE: lambda event, call: f"{event.process} withdraws a reservation",
    h.ENTRY: lambda event, call: f"{event.process} holds {event.get('holds')} on {event.get('account')!r}",
    h.STATE: lambda event, call: f"{event.process} holds {event.get('state')}",
    h.CANCEL: lambda event, call: f"the client cancels {event.saga}",
    h.HEAL: lambda event, call: "an operator repairs what fails",
    h.PUBLISH: lambda event, call: f"{event.process} publishes {event.get('topic')}",
    h.RECEIVE: lambda event, call: f"{event.process} receives {event.get('topic')}",
    h.HANDLED: lambda event, call: f"{event.process} acknowledges {event.get('topic')}",
    h.NACK: lambda event, call: f"{event.process} cannot handle {event.get('topic')}",
    h.PARKED: lambda event, call: f"{event.get('topic')} goes to the dead-letter queue",
    h.REDRIVE: lambda event, call: f"an operator replays {event.get('topic')}",
    h.RUNNING: lambda event, call: f"{event.saga} is said to be running",
    h.END: lambda event, call: _ended(event),
}
