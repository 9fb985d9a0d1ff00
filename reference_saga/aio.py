"""The durable orchestrator for asyncio: every saga is a task, and its parallel steps are asked at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

from ..ports import Conflict, PortError, StoreUnavailable
from ..saga import Outcome
from . import machine
from .definition import Definition
from .owner import STORE_RETRIES, Owner, as_event, overdue, told
from .ports import Ports, SagaStore

_T = TypeVar("_T")


async def in_place(act: Callable[[], _T]) -> _T:
    """Ask the store on the event loop itself: for stores that never wait."""
    return act()


class AsyncOrchestrator(Owner):
    """Runs sagas of one definition on the running event loop. See `Owner` for the parameters.

    ``ask_store`` carries out what blocks; by default in a thread.
    """

    def __init__(
        self,
        *definitions: Definition,
        ports: Ports,
        store: SagaStore,
        lease_s: float = 0.0,
        look_s: float = 1.0,
        ask_store: Callable[[Callable[[], Any]], Awaitable[Any]] = asyncio.to_thread,
    ) -> None:
        super().__init__(*definitions, ports=ports, store=store, lease_s=lease_s, look_s=look_s)
        self._ask_store = ask_store
        self._tasks: set[asyncio.Task[Any]] = set()

    async def execute(self, saga_id: str, request: Mapping[str, Any]) -> Outcome:
        """Run a saga to its end; see `Orchestrator.execute`. Who cancels this only stops waiting: the saga goes on."""
        return await asyncio.shield(self._kept(self._execute(saga_id, request)))

    async def cancel(self, saga_id: str) -> bool:
        """Ask a saga to compensate; see `Orchestrator.cancel`."""
        return await self._durably(partial(self._try_to_cancel, saga_id))

    async def resume_pending(self) -> dict[str, Outcome]:
        """Take up every saga that has no end and no living owner; see `Orchestrator.resume_pending`."""
        seen: dict[str, int] = {}
        driven: dict[str, asyncio.Task[Outcome | None]] = {}
        for look in range(self._looks):
            if look:
                await self._ports.sleep(self._look_s)
            listed = await self._durably(self._store.open)
            for saga_id, revision in listed:
                still = not self._lease_s or seen.get(saga_id) == revision
                if still and saga_id not in self._mine:
                    driven[saga_id] = self._kept(self._adopt(saga_id))
            seen = dict(listed)
        outcomes = {saga_id: await task for saga_id, task in driven.items()}
        return {saga_id: outcome for saga_id, outcome in outcomes.items() if outcome is not None}

    def _kept(self, coroutine: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)  # the loop itself keeps weak references only
        task.add_done_callback(self._tasks.discard)
        return task

    async def _execute(self, saga_id: str, request: Mapping[str, Any]) -> Outcome:
        with self._holding(saga_id) as free:
            outcome = await self._drive(self._current, self._new(saga_id, request)) if free else None
        return outcome or told(await self._durably(partial(self._store.load, saga_id)))

    async def _adopt(self, saga_id: str) -> Outcome | None:
        with self._holding(saga_id) as free:
            taken = self._taken_up(await self._durably(partial(self._store.load, saga_id))) if free else None
            try:
                return None if taken is None else await self._drive(*taken)
            except Exception as error:  # one saga that cannot be handled keeps back no other
                self._ports.alert(saga_id, reason=f"it cannot be handled: {type(error).__name__}: {error}")
                return None

    async def _drive(self, definition: Definition, state: machine.State) -> Outcome | None:
        """To the end; None where another owner has taken the saga over."""
        overdue_at = self._overdue_at(definition, state)
        busy: dict[asyncio.Task[machine.Event], None] = {}  # in the order in which they were begun
        events: list[machine.Event] = [machine.Begin()]
        try:
            while not state.outcome:
                for event in events:
                    state = await self._advance(definition, overdue(state, overdue_at), event, busy)
                if state.outcome:
                    break
                await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)
                done = [task for task in busy if task.done()]
                events = [task.result() for task in done]
                for task in done:
                    del busy[task]
        except machine.Superseded:
            return None
        finally:
            for task in busy:
                task.cancel()
        return Outcome(state.outcome)

    async def _advance(
        self,
        definition: Definition,
        state: machine.State,
        event: machine.Event,
        busy: dict[asyncio.Task[machine.Event], None],
    ) -> machine.State:
        while True:
            after, commands = machine.advance(definition, state, event)
            found = await self._carry_out(definition, after, commands, busy)
            if found is not None:
                return found
            state = state._replace(cancelled=True, revision=state.revision + 1)  # the client was quicker

    async def _carry_out(
        self,
        definition: Definition,
        state: machine.State,
        commands: tuple[machine.Command, ...],
        busy: dict[asyncio.Task[machine.Event], None],
    ) -> machine.State | None:
        for command in commands:
            match command:
                case machine.Save():
                    saved = await self._save(state, command)
                    if saved is None:
                        return None
                    state = saved
                    if command.entries[0][0] in {"create", "adopt"}:
                        self._ports.adopt(state.id, epoch=state.epoch, definition=state.definition)
                case machine.Call():
                    busy[self._kept(self._ask(definition, state, command))] = None
                case machine.Wait():
                    for renewal in self._renewals(command):
                        busy[self._kept(self._after(renewal, machine.Renew()))] = None
                    busy[self._kept(self._after(command.seconds, machine.Due(command.step)))] = None
                case machine.CallPerson():
                    self._ports.dead_letter(state.id, step=command.step, reason=command.reason)
                    self._ports.alert(state.id, step=command.step, reason=command.reason)
        return state

    async def _ask(self, definition: Definition, state: machine.State, call: machine.Call) -> machine.Event:
        try:
            return machine.Answered(call.step, await self._call(definition, state, call))
        except PortError as error:
            return as_event(call.step, error)

    async def _after(self, seconds: float, event: machine.Event) -> machine.Event:
        await self._ports.sleep(seconds)
        return event

    # -- the store -------------------------------------------------------------------------

    async def _durably(self, act: Callable[[], _T]) -> _T:
        failures = 0
        while True:
            try:
                found: _T = await self._ask_store(act)
                return found
            except StoreUnavailable:
                failures += 1
                await self._ports.sleep(STORE_RETRIES.backoff_s(failures))

    async def _save(self, state: machine.State, save: machine.Save) -> machine.State | None:
        try:
            await self._durably(partial(self._store.save, state.record(), save.entries))
        except Conflict:
            return machine.reconcile(state, await self._durably(partial(self._store.load, state.id)))
        return state

    def _try_to_cancel(self, saga_id: str) -> bool:
        while True:
            state = self._cancelled(self._store.load(saga_id))
            if isinstance(state, bool):
                return state
            try:
                self._store.save(state.record(), (("cancel", ""),))
            except Conflict:
                continue  # its owner was quicker: look again
            return True
