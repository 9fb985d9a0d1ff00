"""One plan on a live system: set up, drive with faults, heal, wait, settle, and give the history.

Nothing is waited for blindly: each wait ends with the event that it is for, and is bounded by what the
manifest says that the system needs at most.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .. import __version__
from ..errors import UsageError
from ..faults import Plan
from ..history import ALERT, BOOT, CLIENT_ACK, CRASH, DEAD_LETTER, DOWN, END, HEAL, PAUSE, RAISED, SUBMIT
from ..saga import Outcome
from ..scenario import Order
from ..simulator import Run, Setup
from .control import PROTOCOL, STATUSES, ControlError, HttpControl, StdioControl
from .ledger import Books
from .manifest import Component, Manifest, manifest_of
from .member import Member, step_of
from .network import Network
from .record import Record
from .server import Server
from .services import Places, RunningComponent, Services, launch, too_much
from .supervisor import Blocked, Process, Supervisor

POLL_S: Final = (0.02, 0.2)
"""How soon a worker is asked for a status that it does not tell of by itself, at first and in the end."""

MAX_EXITS: Final = 3
"""How often a component may end by itself before it is said to be unable to run."""

LAST_ROUNDS: Final = 4

FACTOR: Final = 2
"""A system gets so much more time than it says that it needs, since the machine may be slow."""

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "completed": Outcome.COMPLETED,
    "compensated": Outcome.COMPENSATED,
    "failed_stuck": Outcome.STUCK,
}


@dataclass(frozen=True, kw_only=True)
class LiveRun:
    """What a case left: its run, what each process wrote last, and why it could not be run ("" where it could).
    ``disturbed``: a caller gave up although no fault was done to its request, since the machine was too slow."""

    run: Run
    output: tuple[tuple[str, tuple[str, ...]], ...] = ()
    blocked: str = ""
    disturbed: bool = False
    engine: str = ""
    seconds: float = 0.0


class Case:
    """One run of one plan, in a folder of its own. ``gentle``: the worker is asked to end before it is made to."""

    def __init__(
        self,
        supervisor: Supervisor,
        server: Server,
        setup: Setup,
        plan: Plan,
        folder: Path,
        *,
        shared: Mapping[str, RunningComponent],
        gentle: bool,
    ) -> None:
        manifest = manifest_of(setup.adapter)
        if manifest is None:
            raise UsageError(f"adapter {setup.adapter.name!r} is no live system; name the manifest of one, a .toml")
        self.manifest: Manifest = manifest
        self.supervisor = supervisor
        self.server = server
        self.setup = setup
        self.folder = folder
        self.shared = shared
        self.gentle = gentle
        self.id = secrets.token_hex(8)
        self.token = secrets.token_urlsafe(24)
        self.record = Record(setup=setup, faults=plan.faults)
        self.members: list[Member] = []
        self.status: dict[str, str] = {}
        self.accepted: dict[str, Member] = {}
        self.engine = ""
        self._failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self._exits = 0
        self._pauses = 0
        self._starting = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._healed = False
        self._over = False

    # -- the phases --------------------------------------------------------------------------

    async def run(self) -> LiveRun:
        """All of it. What cannot be run is said in the result; a defect of ours is raised."""
        began, blocked = time.monotonic(), ""
        books = Books(self.folder / "participants.sqlite", self.setup.services, self.setup.scenario, self.setup.orders)
        self.network = Network(self.manifest, self.record, books, self, self.token)
        self.services = Services(self.manifest, self.network.writes, self, self._spawn, self.shared)
        self.server.doors[self.id] = self.network
        try:
            await self._unless_failed(self._phases())
        except Blocked as error:
            blocked = str(error)
        finally:
            self._over = True
            output = tuple((process.name, process.output.lines) for process in self._processes())
            await self._bury()
            del self.server.doors[self.id]
            books.close()
        return LiveRun(
            run=self.record.run(),
            output=output,
            blocked=blocked,
            disturbed=self.record.disturbed,
            engine=self.engine,
            seconds=time.monotonic() - began,
        )

    async def _unless_failed(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it, and leave off as soon as something beside it fails."""
        task = asyncio.create_task(work)
        ends: tuple[asyncio.Future[Any], ...] = (task, self._failed)
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._failed.done():
            raise self._failed.result()
        task.result()

    async def _phases(self) -> None:
        await self.services.start()
        for number in range(self.manifest.worker.replicas):
            await self._boot("start" if number == 0 else "replica")
        for number, order in enumerate(self.setup.scenario.orders):
            if number and self.setup.scenario.gap_ms:
                await asyncio.sleep(self.setup.scenario.gap_ms / 1000)
            await self._submit(order)
        reason = await self._to_rest()
        if self.gentle and reason == "quiescent":
            await self._stop_gently()
        self.record.add(END, "harness", (reason,))

    async def _to_rest(self) -> str:
        """Let everything come to its end: what is held arrives, what fails is repaired, who died starts again."""
        bound = time.monotonic() + FACTOR * self.manifest.max_recovery_ms / 1000
        while True:
            quiet = await self._until_quiet(bound)
            if await self.network.flush():
                continue
            if any([self.network.heal(), self.services.heal()]):
                self.record.add(HEAL, "harness")
                bound = time.monotonic() + FACTOR * self.manifest.max_recovery_ms / 1000
                continue
            if not quiet and self._worth_a_restart():
                self._healed = True
                bound = time.monotonic() + FACTOR * self.manifest.max_recovery_ms / 1000
                await self._restart_all()
                continue
            if not quiet:
                return "still busy"
            if await self._settled():
                return "quiescent"

    async def _settled(self) -> bool:
        """Whether nothing happens for longer than a lease, so that late zombies are seen."""
        before = len(self.record.rows)
        if self.manifest.lease_ms:
            await asyncio.sleep(1.2 * self.manifest.lease_ms / 1000)
        return len(self.record.rows) == before and not self.network.waiting

    async def _until_quiet(self, bound: float) -> bool:
        """Until nothing is in flight and every saga has come to its end; False where the time ran out."""
        wait_s = POLL_S[0]
        while True:
            self.record.changed.clear()
            if self._quiet():
                return True
            left = bound - time.monotonic()
            if left <= 0:
                return False
            try:
                async with asyncio.timeout(min(wait_s, left)):
                    await self.record.changed.wait()
            except TimeoutError:
                wait_s = min(2 * wait_s, POLL_S[1])
                await self._ask_for_statuses()

    def _quiet(self) -> bool:
        if self.network.waiting or self._starting or self._tasks:
            return False
        return all(self.ended(order.id) for order in self.setup.scenario.orders)

    def ended(self, saga: str) -> bool:
        """Whether nothing more is to be expected of a saga."""
        status = self.status.get(saga, "")
        if status in _OUTCOMES or status == "unknown":
            return True
        driver = self.accepted.get(saga)
        return self.manifest.resume == "none" and status == "running" and driver is not None and driver.dead

    # -- what a fault does to a process --------------------------------------------------------

    def dead(self, label: str) -> bool:
        return any(member.label == label and member.dead for member in self.members)

    async def gone(self, label: str) -> None:
        """Wait until a process that is dead, or about to be, has ended: it is to learn nothing more."""
        member = self._member(label)
        if member is not None and member.dead and member.process is not None:
            await member.process.ended()

    async def crash(self, label: str, reason: str) -> None:
        """kill -9, and another incarnation starts."""
        if label in self.services:
            await self._restart_service(label, lambda: self.record.add(CRASH, label, (reason,)))
            return
        member = self._member(label)
        if member is None or member.process is None:
            return
        if member.dead or member.ending:
            await member.process.ended()
            return
        if not member.stopped:
            await self.network.writes.none_under_way(label)
        await self._end(member, member.process)
        self.network.admission.let_all_in()
        await self._hear_the_last_of()
        self.record.add(CRASH, label, (reason,))
        if not self._alone_of(member):
            self._start_task(self._boot_again("crash"))

    async def _end(self, member: Member, process: Process) -> None:
        """kill -9, or the signal that the manifest names: then it may act until it ends."""
        component = self.manifest.worker
        if component.signal != "KILL":
            member.ending = True
            await self.supervisor.signal(process, component.signal, "CONT")  # it may have been stopped
            await asyncio.wait([process.exited], timeout=component.stop_ms / 1000)
        member.dead = True
        await self.supervisor.kill(process)

    async def restart(self, component: str) -> None:
        """A store is killed, and starts again."""
        await self._restart_service(component, lambda: self.record.add(DOWN, component, ("restart",)))

    async def _restart_service(self, name: str, killed: Callable[[], object]) -> None:
        # In a task of its own, since the connection that it strikes ends while it goes on.
        await asyncio.shield(self._start_task(self.services.restart(name, killed, self.supervisor.kill)))

    @staticmethod
    async def _hear_the_last_of() -> None:
        """Let what a dead process had sent before be received before its death is noted: connections are
        accepted, read and served in a few rounds of the loop."""
        for _ in range(LAST_ROUNDS):
            await asyncio.sleep(0.001)

    async def stop(self, label: str) -> None:
        """SIGSTOP: it makes no step."""
        member = self._member(label)
        if member is not None and member.process is not None:
            await self.network.writes.none_under_way(label)
            member.stopped = True
            await self.supervisor.signal(member.process, "STOP")

    async def pause(self, label: str) -> None:
        """Let it stand still while another one starts and does what there is to do; then let it go on."""
        member = self._member(label)
        if member is None or member.process is None:
            return
        await self.stop(label)
        bound_ms = self.manifest.pause_ms or max(2 * self.manifest.lease_ms, self.manifest.max_recovery_ms // 4)
        self.record.add(PAUSE, label, (bound_ms,))
        self._pauses += 1
        await self._boot_again("pause")
        bound = time.monotonic() + bound_ms / 1000
        while time.monotonic() < bound and not self._failed.done():
            await self._ask_for_statuses()
            if self.network.active <= self._pauses and all(self.ended(o.id) for o in self.setup.scenario.orders):
                break
            await asyncio.sleep(POLL_S[0])
        self._pauses -= 1
        member.stopped = False
        await self.supervisor.signal(member.process, "CONT")

    async def cancel(self, saga: str) -> None:
        """The client asks to cancel."""
        for member in self._able():
            try:
                assert member.control is not None
                await member.control.ask("cancel", 1.0, saga_id=saga)
                return
            except ControlError as error:
                if error.definite:
                    return

    async def announced(self, label: str, said: Mapping[str, Any]) -> None:
        """A worker says where it takes commands."""
        member = self._member(label)
        if member is not None:
            member.said = said
            member.announced.set()

    def fail(self, error: BaseException) -> None:
        if not self._failed.done():
            self._failed.set_result(error)

    # -- processes -----------------------------------------------------------------------------

    async def _spawn(self, component: Component, label: str, places: Places) -> Process:
        channel = component.role == "worker" and component.control == "stdio"
        env = {
            "SAGAFUZZ_URL": f"http://127.0.0.1:{self.server.port}/{self.id}/{label.replace('#', '-')}",
            "SAGAFUZZ_TOKEN": self.token,
            "SAGAFUZZ_DIR": str(self.folder),
            "SAGAFUZZ_CALL_TIMEOUT_MS": str(self.manifest.call_timeout_ms),
        }
        return await launch(
            self.supervisor,
            self.manifest,
            component,
            label,
            {**places, "dir": self.folder, "build": self.folder.parent},
            env=env,
            case=self.id,
            channel=channel,
            flooded=lambda output: self.fail(Blocked(too_much(label, output), output.lines)),
        )

    async def _boot(self, reason: str) -> None:
        """Start an incarnation of the worker and wait until it answers."""
        component = self.manifest.worker
        number = len(self.members) + 1
        member = Member(label="orchestrator" if number == 1 else f"orchestrator#{number}")
        self.members.append(member)
        if reason not in ("start", "replica") and self.record.recovery < 0:
            self.record.recovery = len(self.record.sites)
        self._starting += 1
        try:
            self.record.add(BOOT, member.label, (number, reason))
            member.process = await self._spawn(component, member.label, await self.services.places(member.label))
            member.process.exited.add_done_callback(lambda _: self._exited(member))
            await self._greet(member, component)
        finally:
            self._starting -= 1
            self.record.changed.set()

    async def _greet(self, member: Member, component: Component) -> None:
        process = member.process
        assert process is not None
        within_s = component.ready_ms / 1000
        try:
            if component.control == "stdio":
                member.control = StdioControl(
                    process, lambda said: self._told(member, said), lambda text: self._garbage(member, text)
                )
            else:
                await self._first(member.announced.wait(), process.exited, within_s)
                member.control = HttpControl(str(member.said.get("control", "")), self.token)
            hello = await member.control.ask("hello", within_s, protocol=PROTOCOL, harness=__version__)
            if hello.get("protocol") != PROTOCOL:
                raise ControlError(f"it speaks protocol {hello.get('protocol')!r}, and this harness {PROTOCOL}")
            self.engine = str(hello.get("engine", ""))
            member.ready = True
            if self.manifest.resume == "on_poke" and len(self.members) > 1:
                await member.control.ask("recover", within_s)
            await self._start_waiting(member)
        except ControlError as error:
            if member.dead or member.ending or self._failed.done():
                return
            if not process.alive:
                if self._ended_by_itself(member, process):
                    return
                said = f"{member.label} ended ({process.how_it_ended}) before it was ready"
                raise Blocked(said, process.output.lines) from None
            raise Blocked(f"{member.label} did not become ready: {error}", process.output.lines) from None

    async def _first(self, wanted: Coroutine[Any, Any, Any], ended: asyncio.Future[int], within_s: float) -> None:
        """Wait for what is wanted, or for the end of the process. Raises ControlError for anything else."""
        task = asyncio.ensure_future(wanted)
        await asyncio.wait([task, ended], timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            raise ControlError(f"it did not say hello within {within_s * 1000:g} ms")

    async def _boot_again(self, reason: str) -> None:
        if reason == "crash" and self.manifest.restart_ms:
            await asyncio.sleep(self.manifest.restart_ms / 1000)
        if not self._over:
            await self._boot(reason)

    def _exited(self, member: Member) -> None:
        """A worker ended; where nobody killed it, it failed, and starts again a few times."""
        self.record.changed.set()
        if member.dead or member.ending or self._over or not member.ready or member.process is None:
            return
        if not self._ended_by_itself(member, member.process):
            how = member.process.how_it_ended
            self.fail(Blocked(f"{member.label} keeps ending by itself ({how})", member.process.output.lines))

    def _ended_by_itself(self, member: Member, process: Process) -> bool:
        """Whether another is to take its place, as a supervisor of processes would see to: not for ever, and not
        where it cannot even start without a fault."""
        member.dead = True
        self._exits += 1
        if self._exits > MAX_EXITS or not (member.ready or self.record.fired):
            return False
        self.record.add(CRASH, member.label, (f"it ended by itself: {process.how_it_ended}",))
        if not self._alone_of(member):
            self._start_task(self._boot_again("crash"))
        return True

    def _alone_of(self, dead: Member) -> bool:
        """Whether another worker lives that stands for the dead one: one that was started because it paused."""
        return any(not member.dead and not member.stopped for member in self.members if member is not dead) and (
            self.manifest.worker.replicas == 1
        )

    def _garbage(self, member: Member, text: str) -> None:
        lines = member.process.output.lines if member.process is not None else ()
        self.fail(Blocked(f"{member.label} wrote {text!r} where JSON lines of control are expected", lines))

    async def _restart_all(self) -> None:
        for member in self.members:
            if not member.dead and member.process is not None:
                member.dead = True
                await self.supervisor.kill(member.process)
                self.record.add(CRASH, member.label, ("final restart",))
        await self._boot("heal")

    def _worth_a_restart(self) -> bool:
        """Liveness is judged after a restart without a fault; one is due where a fault struck since the last."""
        return self.manifest.resume != "none" and bool(self.record.fired) and not self._healed

    async def _stop_gently(self) -> None:
        component = self.manifest.worker
        for member in self._able():
            member.dead = True
            assert member.process is not None
            if not await self.supervisor.terminate(member.process, component.stop_ms / 1000):
                lines = member.process.output.lines
                raise Blocked(f"{member.label} ignored SIGTERM for {component.stop_ms} ms", lines)

    def _processes(self) -> list[Process]:
        return [*self.services.processes, *(member.process for member in self.members if member.process is not None)]

    async def _bury(self) -> None:
        """Leave nothing behind."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for member in self.members:
            member.dead = True
        await self.services.close()
        await self.supervisor.sweep(self.id, self._processes())
        for member in self.members:
            if member.control is not None:
                member.control.close()

    # -- the client ----------------------------------------------------------------------------

    async def _submit(self, order: Order) -> None:
        self.record.add(SUBMIT, "client", (order.item, order.quantity, order.amount), saga=order.id)
        self.status[order.id] = "submitted"
        await self._retry(order)

    async def _start_saga(self, member: Member, order: Order) -> None:
        """Ask a worker for a saga; one that does not take it leaves it to the next."""
        assert member.control is not None
        values = {
            "item": order.item,
            "quantity": order.quantity,
            "amount": order.amount,
            "account": order.account,
            "data": dict(order.data),
        }
        self.accepted[order.id] = member
        steps = [step_of(self.setup, name) for name in self.setup.adapter.saga.sequence]
        try:
            await member.control.ask("start", self._patience_s, saga_id=order.id, order=values, steps=steps)
        except ControlError as error:
            if error.definite:
                raise Blocked(f"{member.label} refused to start {order.id}: {error}", self._lines(member)) from None
            if not (member.dead or member.ending):
                raise Blocked(f"{member.label}: {error}", self._lines(member)) from None
            if self.status[order.id] == "submitted":
                del self.accepted[order.id]
                await self._retry(order)
            return
        if self.status[order.id] == "submitted":
            self.status[order.id] = "running"

    async def _retry(self, order: Order) -> None:
        """Ask the newest worker; while there is none the order waits."""
        for member in self._able():
            await self._start_saga(member, order)
            return

    async def _start_waiting(self, member: Member) -> None:
        """Orders that nobody has taken yet."""
        for order in self.setup.scenario.orders:
            if self.status.get(order.id) == "submitted" and order.id not in self.accepted:
                await self._start_saga(member, order)

    async def _ask_for_statuses(self) -> None:
        """Ask for what was not told. A worker that has just died will be asked in its next incarnation."""
        for saga, status in list(self.status.items()):
            if status not in ("running", "submitted") or (status == "submitted" and saga not in self.accepted):
                continue
            for member in self._able():
                said = await self._status_by(member, saga)
                if said is None:
                    continue
                if said.get("status") == "unknown" and (self._starting or self._able()[-1:] != [member]):
                    continue  # another may know
                self._told(member, {**said, "event": "status", "saga_id": saga})
                break

    async def _status_by(self, member: Member, saga: str) -> Mapping[str, Any] | None:
        """What a worker says of a saga; None where it can say nothing any more."""
        assert member.control is not None
        try:
            return await member.control.ask("status", self._patience_s, saga_id=saga)
        except ControlError as error:
            if not (member.dead or member.ending or member.stopped or self._over):
                self.fail(Blocked(f"{member.label}: {error}", self._lines(member)))
            return None

    def _told(self, member: Member, said: Mapping[str, Any]) -> None:
        """A worker says how a saga stands."""
        saga, status = str(said.get("saga_id", "")), said.get("status")
        if saga not in self.status:
            return
        if status not in STATUSES:
            what = f"{member.label} calls {saga} {status!r}; a status is {', '.join(STATUSES)}"
            self.fail(Blocked(what, self._lines(member)))
            return
        before, self.status[saga] = self.status[saga], str(status)
        if status == "failed_stuck":
            step, reason = str(said.get("step", "")), str(said.get("reason", "its compensation keeps failing"))
            if before != status:
                self.record.add(DEAD_LETTER, member.label, (reason,), saga=saga, step=step)
                self.record.add(ALERT, member.label, (reason,), saga=saga, step=step)
        if status in _OUTCOMES and before != status:
            self.record.add(CLIENT_ACK, "client", (_OUTCOMES[str(status)].value,), saga=saga)
        elif status == "unknown" and before != status and self.accepted.get(saga) is member:
            reason = str(said.get("reason", "it does not know how the saga ended"))
            raised = ("unknown", reason, "its driver", not said.get("stray", False))
            self.record.add(RAISED, member.label, raised, saga=saga)
        elif status == "running" and before in _OUTCOMES:
            self.status[saga] = before  # an end is an end; what it does beside shows in its requests
        self.network.admission.look()
        self.record.changed.set()

    # -- small things --------------------------------------------------------------------------

    @property
    def _patience_s(self) -> float:
        return self.manifest.worker.ready_ms / 1000

    def _lines(self, member: Member) -> tuple[str, ...]:
        return member.process.output.lines if member.process is not None else ()

    def _member(self, label: str) -> Member | None:
        return next((member for member in self.members if member.label == label), None)

    def _able(self) -> list[Member]:
        """The workers that can be asked, the newest first."""
        return [m for m in reversed(self.members) if m.ready and not (m.dead or m.ending or m.stopped)]

    def _start_task(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self.record.changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)
