"""The processes of one case: how they start, how they end, and what a fault does to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .. import __version__
from ..history import BOOT, CRASH, DOWN, FINAL_RESTART, PAUSE, WAKE
from ..scenario import LOST_CONTROL
from .background import Background
from .client import Client
from .control import PROTOCOL, Control, ControlError, HttpControl, StdioControl
from .manifest import Component, Manifest
from .member import Member, Members
from .network import Network
from .record import Record
from .services import Places, Services, launch, too_much
from .supervisor import Blocked, Process, Supervisor

MAX_EXITS: Final = 3
"""How often a component may end by itself before it is said to be unable to run."""

BACKOFF_S: Final = 0.05
"""After how long a worker that ended by itself starts again, the first time; it is twice as long each time."""

LAST_ROUNDS: Final = 4

BEYOND: Final = 1.2
"""By how much a process stands still for longer than its callers wait, where nobody takes over."""

PAUSE_POLL_S: Final = 0.02
"""How often the sagas are asked for while a process stands still."""


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """Starts the processes of one case. ``port`` is the door's; ``id`` and ``token`` are the case's."""

    supervisor: Supervisor
    manifest: Manifest
    background: Background
    port: int
    id: str
    token: str
    folder: Path

    async def launch(self, component: Component, label: str, places: Places) -> Process:
        """Start one, and tell it where it finds the door. Raises Blocked."""
        env = {
            "SAGAFUZZ_URL": f"http://127.0.0.1:{self.port}/{self.id}/{label.replace('#', '-')}",
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
            channel=component.role == "worker" and component.control == "stdio",
            flooded=lambda output: self.background.fail(Blocked(too_much(label, output), output.lines)),
        )


class Processes:
    """Owns the lives of the workers, and lets the services of the case start again. ``engine`` is what a worker says
    that it runs on."""

    def __init__(
        self,
        launcher: Launcher,
        members: Members,
        services: Services,
        network: Network,
        client: Client,
        record: Record,
    ) -> None:
        self._launcher = launcher
        self._supervisor = launcher.supervisor
        self._manifest = launcher.manifest
        self._background = launcher.background
        self._members = members
        self._services = services
        self._network = network
        self._client = client
        self._record = record
        self._strikes = record.setup.scenario.strikes
        self._signal = record.setup.scenario.signal
        self._exits = 0
        self._pauses = 0
        self.engine = ""

    # -- their start ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the services, then the workers, and wait until all are ready. Raises Blocked."""
        await self._services.start()
        for number in range(self._manifest.worker.replicas):
            await self._boot("start" if number == 0 else "replica")

    async def start_beside(self) -> None:
        """Start another worker while those that there are live on: from then on it is the newest."""
        await self._boot("second")

    async def _boot(self, reason: str) -> None:
        """Start an incarnation of the worker and wait until it answers; nothing where the case is over."""
        if self._background.over:
            return
        member = self._members.new()
        if reason not in ("start", "replica") and self._record.recovery < 0:
            self._record.recovery = len(self._record.sites)
        with self._members.one_to_come():
            self._record.add(BOOT, member.label, (len(self._members), reason))
            places = await self._services.places(member.label)
            process = member.process = await self._launcher.launch(self._manifest.worker, member.label, places)
            process.exited.add_done_callback(lambda _: self._exited(member, process))
            await self._greet(member, process)

    async def _greet(self, member: Member, process: Process) -> None:
        within_s = self._manifest.worker.ready_ms / 1000
        try:
            control = member.control = await self._control_of(member, process, within_s)
            known = {"protocol": PROTOCOL, "harness": __version__, "open": self._client.open_orders()}
            hello = await control.ask("hello", within_s, **known)
            if hello.get("protocol") != PROTOCOL:
                raise ControlError(f"it speaks protocol {hello.get('protocol')!r}, and this harness {PROTOCOL}")
            self.engine = str(hello.get("engine", ""))
            member.ready = True
            if self._manifest.resume == "on_poke" and len(self._members) > 1:
                await control.ask("recover", within_s)
            await self._client.offer_waiting(member)
        except ControlError as error:
            if member.dead or member.ending or self._background.failed:
                return
            if not process.alive:
                if self._ended_by_itself(member, process):
                    return
                raise member.blocked(f"{member.label} ended ({process.how_it_ended}) before it was ready") from None
            raise member.blocked(f"{member.label} did not become ready: {error}") from None

    async def _control_of(self, member: Member, process: Process, within_s: float) -> Control:
        """The way to ask a worker, as soon as there is one. Raises ControlError."""
        if self._manifest.worker.control == "stdio":
            return StdioControl(
                process, lambda said: self._client.told(member, said), lambda text: self._garbage(member, text)
            )
        await _first(member.announced.wait(), process.exited, within_s)
        return HttpControl(str(member.said.get("control", "")), self._launcher.token)

    def announced(self, label: str, said: Mapping[str, Any]) -> None:
        """A worker says where it takes commands."""
        member = self._members.named(label)
        if member is not None:
            member.said = said
            member.announced.set()

    def _garbage(self, member: Member, text: str) -> None:
        self._background.fail(member.blocked(f"{member.label} wrote {text!r} where JSON lines of control are expected"))

    # -- their end -----------------------------------------------------------------------------

    def spares(self, label: str) -> bool:
        """True if a crash strikes others than the process that acts: see `Scenario.strikes`."""
        return bool(self._strikes) and label not in self._struck()

    def _struck(self) -> list[str]:
        """The labels of those that a crash strikes in its place; the newest worker stands for all."""
        worker = self._manifest.worker.name
        workers = [member.label for member in self._members.living()[:1]]  # also one that a fault has stopped
        return [
            label
            for name in self._strikes
            for label in (workers if name == worker else [self._services.known_as(name)])
        ]

    async def crash(self, label: str, reason: str) -> None:
        """kill -9, and another incarnation starts: of the process of that label, or of what is struck in its place."""
        struck = self._struck() if self._strikes else [label]
        await asyncio.gather(*(self._crash_one(each, reason) for each in struck))

    async def _crash_one(self, label: str, reason: str) -> None:
        if label in self._services:
            await self._crash_service(label, reason)
            return
        member = self._members.named(label)
        if member is None or member.process is None:
            return
        if member.dead or member.ending:
            await member.process.ended()
            return
        if not member.stopped:
            await self._network.writes.none_under_way(label)
        with self._members.one_to_come():
            await self._end(member, member.process)
            self._network.admission.let_all_in()
            await _hear_the_last()
            self._record.add(CRASH, label, (reason,))
            self._replace(member)

    async def _crash_service(self, label: str, reason: str) -> None:
        def killed() -> None:
            self._network.admission.let_all_in()
            self._record.add(CRASH, label, (reason,))

        def begins(again: str, lives: int) -> None:
            self._record.restarted()
            self._record.add(BOOT, again, (lives, "crash"))

        await self._restart_service(label, killed, begins)

    async def _end(self, member: Member, process: Process) -> None:
        """kill -9, or what the scenario or the manifest sends instead: then it may act until it ends."""
        component = self._manifest.worker
        name = self._signal or component.signal
        member.silence()
        if name != "KILL":
            member.ending = True
            if name == LOST_CONTROL and member.control is not None:
                member.control.lose()
            await self._supervisor.signal(
                process, *(() if name == LOST_CONTROL else (name,)), "CONT"
            )  # it may have been stopped
            await asyncio.wait([process.exited], timeout=component.stop_ms / 1000)
        member.dead = True
        await self._supervisor.kill(process)

    async def gone(self, label: str) -> None:
        """Wait until a process that is dead, or about to be, has ended: it is to learn nothing more."""
        member = self._members.named(label)
        if member is not None and member.dead and member.process is not None:
            await member.process.ended()
        await self._services.gone(label)

    def known_as(self, label: str) -> str:
        """The incarnation that speaks where a process of that label does."""
        return self._services.known_as(label)

    def dead(self, label: str) -> bool:
        """True if the process of that label is dead, or about to be."""
        member = self._members.named(label)
        return self._services.dead(label) if member is None else member.dead

    async def _boot_again(self, after_s: float) -> None:
        await asyncio.sleep(max(after_s, self._manifest.restart_ms / 1000))
        await self._services.until_up()
        await self._boot("crash")

    def _exited(self, member: Member, process: Process) -> None:
        """A worker ended; where nobody killed it, it failed, and starts again a few times."""
        self._record.changed.set()
        if member.dead or member.ending or self._background.over or not member.ready:
            return
        if not self._ended_by_itself(member, process):
            self._background.fail(member.blocked(f"{member.label} keeps ending by itself ({process.how_it_ended})"))

    def _ended_by_itself(self, member: Member, process: Process) -> bool:
        """True if another is to take its place, as a supervisor of processes would see to: not for ever, and not
        where it cannot even start without a fault."""
        member.dead = True
        self._exits += self._services.up  # without them it cannot live
        if self._exits > MAX_EXITS or not (member.ready or self._record.fired):
            return False
        self._record.add(CRASH, member.label, (f"it ended by itself: {process.how_it_ended}",))
        self._replace(member, BACKOFF_S * 2**self._exits)
        return True

    def _replace(self, dead: Member, after_s: float = 0.0) -> None:
        """Start another worker in its place, unless one lives that stands for it."""
        if not self._replaced(dead):
            self._members.starting += 1  # before the task begins: nobody may ask in between
            self._background.start(self._boot_again(after_s)).add_done_callback(lambda _: self._members.came())

    def _replaced(self, dead: Member) -> bool:
        """True if another worker lives that stands for the dead one: one that was started because it paused."""
        return any(not member.dead and not member.stopped for member in self._members if member is not dead) and (
            self._manifest.worker.replicas == 1
        )

    # -- what else a fault does ----------------------------------------------------------------

    async def restart(self, component: str) -> None:
        """A store is killed, and starts again."""
        now = self._services.known_as(component)
        await self._restart_service(now, lambda: self._record.add(DOWN, component, ("restart",)))

    async def _restart_service(
        self, name: str, killed: Callable[[], object], begins: Callable[[str, int], object] = lambda *_: None
    ) -> None:
        # In a task of its own, since the connection that it strikes ends while it goes on.
        work = self._services.restart(name, killed, self._kill_service, begins)
        await asyncio.shield(self._background.start(work))

    async def _kill_service(self, process: Process) -> None:
        """kill -9, or the signal of the scenario: then it may act until it ends."""
        if self._signal and self._signal != LOST_CONTROL:
            await self._supervisor.terminate(process, self._manifest.worker.stop_ms / 1000, self._signal)
        else:
            await self._supervisor.kill(process)

    async def stop(self, label: str) -> None:
        """SIGSTOP: it makes no step."""
        await self._services.signal(label, "STOP", self._supervisor.signal)
        member = self._members.named(label)
        if member is not None and member.process is not None:
            await self._network.writes.none_under_way(label)
            member.stopped = True
            await self._supervisor.signal(member.process, "STOP")

    async def pause(self, label: str) -> None:
        """Let it stand still while another one starts and does what there is to do; then let it go on."""
        member = self._members.named(label)
        if label in self._services:
            await self._pause_service(label)
        if member is None or member.process is None:
            return
        await self.stop(label)
        self._record.add(PAUSE, label, (self._manifest.standing_ms,))
        self._pauses += 1
        another = self._background.start(self._boot("pause"))
        up, _ = await asyncio.wait([another], timeout=self._manifest.max_recovery_ms / 1000)
        began = time.monotonic()
        # One that does not come up may need what this one holds, such as the lock of a transaction.
        while up and not (self._background.failed or self._stood_enough(member, time.monotonic() - began)):
            await self._client.ask_for_statuses()
            await asyncio.sleep(PAUSE_POLL_S)
        self._pauses -= 1
        member.stopped, member.paused = False, True
        if not member.dead:
            self._record.add(WAKE, label)
        await self._supervisor.signal(member.process, "CONT")

    async def _pause_service(self, label: str) -> None:
        """Let a service stand still for longer than its callers wait; nobody takes over from it."""
        manifest = self._manifest
        for_ms = manifest.pause_ms or max(2 * manifest.lease_ms, int(BEYOND * manifest.call_timeout_ms))
        await self._services.signal(label, "STOP", self._supervisor.signal)
        self._record.add(PAUSE, label, (for_ms,))
        await asyncio.sleep(for_ms / 1000)
        if not self._services.dead(label):
            self._record.add(WAKE, label)
        await self._services.signal(label, "CONT", self._supervisor.signal)

    def _stood_enough(self, member: Member, for_s: float) -> bool:
        """True if the others have done what there was to do, or nobody takes over from one that stands still."""
        if for_s > self._manifest.standing_ms / 1000:
            return True
        if self._network.active > self._pauses:
            return False
        noticed = for_s > BEYOND * self._manifest.call_timeout_ms / 1000  # by who waits for it, and by itself
        in_vain = noticed and self._manifest.alone and self._members.wait_for_others(member)
        return in_vain or self._client.all_ended()

    # -- all of them ---------------------------------------------------------------------------

    async def restart_all(self) -> None:
        """Kill every worker, and start one."""
        for member in self._members:
            if not member.dead and member.process is not None:
                member.dead = True
                member.silence()
                await self._supervisor.kill(member.process)
                self._record.add(CRASH, member.label, (FINAL_RESTART,))
        await self._boot("heal")

    async def stop_gently(self) -> None:
        """Ask every worker to end. Raises Blocked where one does not."""
        stop_ms = self._manifest.worker.stop_ms
        for member in self._members.able():
            member.dead = True
            assert member.process is not None
            if not await self._supervisor.terminate(member.process, stop_ms / 1000):
                raise member.blocked(f"{member.label} ignored SIGTERM for {stop_ms} ms")

    @property
    def all(self) -> list[Process]:
        """Every process that the case has started, services first."""
        return [*self._services.processes, *(member.process for member in self._members if member.process is not None)]

    async def bury(self) -> None:
        """Leave nothing behind."""
        for member in self._members:
            member.dead = True
        await self._services.close(self._supervisor.terminate)
        try:
            await self._supervisor.sweep(self._launcher.id, self.all)
        finally:
            self._services.give_back()
        for member in self._members:
            if member.control is not None:
                member.control.close()


async def _first(wanted: Coroutine[Any, Any, Any], ended: asyncio.Future[int], within_s: float) -> None:
    """Wait for what is wanted, or for the end of the process. Raises ControlError for anything else."""
    task = asyncio.ensure_future(wanted)
    await asyncio.wait([task, ended], timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        raise ControlError(f"it did not say hello within {within_s * 1000:g} ms")


async def _hear_the_last() -> None:
    """Let what a dead process had sent before be received before its death is noted: connections are accepted, read
    and served in a few rounds of the loop."""
    for _ in range(LAST_ROUNDS):
        await asyncio.sleep(0.001)
