"""The stores and servers of a system: started before its workers, with a port each, and a proxy where one is asked for.

Those that are ``shared`` are started once for all cases, by the world; the others anew for each case.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from .held_ports import HeldPort, hold_port
from .manifest import Component, Manifest
from .proxy import StoreHost, StoreProxy
from .stillness import runs
from .supervisor import Blocked, Output, Process, Start, Supervisor, nobody
from .writes import Writes

AGAIN_S: Final = 0.02
"""After how long a store that could not be started again is tried once more."""

END_S: Final = 0.5
"""So long a store may take to end by itself: PostgreSQL, killed, leaves shared memory behind."""

Places = dict[str, object]
"""What is put in for what stands in braces."""

Launch = Callable[[Component, str, Places], Awaitable[Process]]
"""Starts a component under a label."""


@dataclass(eq=False)
class RunningComponent:
    """A store or server that runs, or is about to: ``process`` is None for one that the harness does not start, or
    that is about to start. ``ports`` are its further ones, by the word that stands in {port.WORD}; those that are
    ``held`` are given back when it ends. ``lives`` counts its incarnations; ``down`` says that the last is to die, or
    did, ``paused`` that it stood still."""

    component: Component
    port: int
    process: Process | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    held: tuple[HeldPort, ...] = ()
    lives: int = 1
    down: bool = False
    paused: bool = False
    launched: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def label(self) -> str:
        """By which its present incarnation is known."""
        return self.component.name if self.lives == 1 else f"{self.component.name}#{self.lives}"

    def give_back(self) -> None:
        """Leave its ports to others."""
        for port in self.held:
            port.close()

    @property
    def own_places(self) -> Places:
        """What is put in for its own ports."""
        return {"port": self.port, **{f"port.{word}": port for word, port in self.ports.items()}}


class Services:
    """Those of one case. ``shared`` are the ones that run already."""

    def __init__(
        self,
        manifest: Manifest,
        writes: Writes,
        host: StoreHost,
        launch: Launch,
        shared: Mapping[str, RunningComponent],
    ) -> None:
        self._host = host
        self._launch = launch
        self._shared = shared
        self._expected: set[Process] = set()  # whose end is no surprise
        self._killed: set[Process] = set()  # by faults
        self._started: list[Process] = []
        self._restart_s = manifest.restart_ms / 1000
        self._own = [
            with_ports(component)
            for component in manifest.components
            if component.role != "worker" and component.name not in shared
        ]
        self._worker = with_ports(manifest.worker)
        self._proxies = {
            service.component.name: StoreProxy(service.component, service.port, writes, host, manifest)
            for service in self._all
            if service.component.proxy
        }

    @property
    def _all(self) -> list[RunningComponent]:
        return [*self._shared.values(), *self._own]

    @property
    def processes(self) -> Iterable[Process]:
        """Those that the case has started."""
        return self._started

    def __contains__(self, label: str) -> bool:
        return self._named(label) is not None

    def _named(self, label: str) -> RunningComponent | None:
        """The one of which this is an incarnation; None for a worker, and for what all cases share."""
        name = label.partition("#")[0]
        return next((service for service in self._own if service.component.name == name), None)

    def known_as(self, label: str) -> str:
        """The incarnation that speaks where a process of that label does: a service tells its name alone."""
        service = self._named(label)
        return label if service is None or label != service.component.name else service.label

    def dead(self, label: str) -> bool:
        """True if that incarnation is dead, or about to be."""
        service = self._named(label)
        return service is not None and (service.down or service.label != label)

    async def gone(self, label: str) -> None:
        """Wait until an incarnation that is to die has ended."""
        if self.dead(label):
            for process in self._started:
                if process.name == label:
                    await process.ended()

    @property
    def up(self) -> bool:
        """True if each that the case starts is ready."""
        return all(each.ready.is_set() for each in self._own if each.component.argv)

    async def until_up(self) -> None:
        """Wait until each that the case starts is ready."""
        for each in self._own:
            if each.component.argv:
                await each.ready.wait()

    def wake(self) -> bool:
        """True if one that stood still is at work, or waits for its turn on a busy machine."""
        return any(each.paused and each.process is not None and runs(each.process.pid) for each in self._own)

    async def signal(self, label: str, name: str, send: Callable[..., Awaitable[Any]]) -> None:
        """Send it SIG``name``; nothing where it is dead."""
        service = self._named(label)
        if service is not None and not self.dead(label):
            service.paused = True
            await send(await self._launched(service), name)

    async def _launched(self, service: RunningComponent) -> Process:
        """Its process, which may have acted before we are told that it runs."""
        await service.launched.wait()
        assert service.process is not None
        return service.process

    async def start(self) -> None:
        """Start each and wait until it is ready, stores first. Raises Blocked."""
        for service in self._shared.values():
            if service.process is not None:
                service.process.exited.add_done_callback(self._shared_ended)
        for service in self._own:
            await self._start(service)

    async def places(self, label: str) -> Places:
        """Where the process of that label finds each: ``NAME.port``, through the proxy where it has one, and
        ``NAME.direct``."""
        found: Places = {}
        for service in self._all:
            name = service.component.name
            proxy = self._proxies.get(name) if name != label else None
            found |= {f"{name}.{word}": port for word, port in service.own_places.items()}
            found[f"{name}.port"] = await proxy.open(label) if proxy is not None else service.port
            found[f"{name}.direct"] = service.port
        return self._worker.own_places | found

    async def restart(
        self,
        label: str,
        killed: Callable[[], object],
        kill: Callable[[Process], Awaitable[Any]],
        begins: Callable[[str, int], object],
    ) -> None:
        """Kill an incarnation, say so by ``killed``, and start it again at the same port: ``begins`` is told as what.
        Nothing where it is dead already. Raises Blocked."""
        service = self._named(label)
        if service is None or self.dead(label):
            return
        service.down = True
        service.ready.clear()
        process = await self._launched(service)
        self._expected.add(process)
        self._killed.add(process)
        await kill(process)
        killed()
        await asyncio.sleep(self._restart_s)
        service.launched.clear()
        service.process, service.lives = None, service.lives + 1
        service.down = service.paused = False
        begins(service.label, service.lives)
        until = time.monotonic() + service.component.ready_ms / 1000
        while True:
            try:
                await self._start(service)
                return
            except Blocked:  # what its children hold may not be free yet
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(AGAIN_S)

    def heal(self) -> bool:
        """End what lasts; False when nothing did."""
        healed = [proxy.heal() for proxy in self._proxies.values()]
        return any(healed)

    async def close(self, end: Callable[[Process, float, str], Awaitable[Any]]) -> None:
        """Stop the proxies, and let the stores end; the other processes are swept with the case."""
        self._expected.update(self.processes)
        for service in self._shared.values():
            if service.process is not None:
                service.process.exited.remove_done_callback(self._shared_ended)
        for proxy in self._proxies.values():
            await proxy.close()
        await asyncio.gather(*(end_store(service, end) for service in self._own))

    def give_back(self) -> None:
        """Leave the ports to others, when all processes have ended."""
        for service in (*self._own, self._worker):
            service.give_back()

    async def _start(self, service: RunningComponent) -> None:
        name = service.component.name
        if not service.component.argv:
            return
        places = await self.places(name) | service.own_places
        process = service.process = await self._launch(service.component, name, places)
        process.name = service.label
        service.launched.set()
        self._started.append(process)
        self._expected.add(process)
        try:
            await until_ready(process, service.component, places)
        except Blocked:
            if process not in self._killed:
                raise
            await service.ready.wait()  # a fault struck while it started: it starts again
            return
        self._expected.discard(process)
        service.ready.set()
        process.exited.add_done_callback(lambda _: self._ended(process))

    def _shared_ended(self, _: object) -> None:
        for service in self._shared.values():
            if service.process is not None and not service.process.alive:
                self._ended(service.process)

    def _ended(self, process: Process) -> None:
        if process not in self._expected:
            why = f"{process.name} ended by itself ({process.how_it_ended})"
            self._host.fail(Blocked(why, process.output.lines))


async def end_store(service: RunningComponent, end: Callable[[Process, float, str], Awaitable[Any]]) -> None:
    """Let a store that the harness has started end by itself; nothing where it is another component."""
    if service.component.role == "store" and service.process is not None and service.process.alive:
        await end(service.process, END_S, "INT")


async def launch(
    supervisor: Supervisor,
    manifest: Manifest,
    component: Component,
    label: str,
    places: Mapping[str, object],
    *,
    env: Mapping[str, str],
    case: str,
    channel: bool = False,
    flooded: Callable[[Output], None] = nobody,
) -> Process:
    """Start one process of a component, with ``places`` put in for what stands in braces. What it writes to temporary
    files goes with the folder in which it stands."""
    fill = partial(manifest.fill, places=places)
    argv, script = [fill(word) for word in component.argv], ""
    if component.prefork:
        script, argv = str(manifest.folder / argv[1]), argv[2:]
    own = {name: fill(value) for name, value in component.env.items()}
    start = Start(
        name=label,
        argv=argv,
        script=script,
        env={"TMPDIR": str(places["dir"]), **own, **env},
        cwd=manifest.folder,
        case=case,
        channel=channel,
        limit=component.max_output_kb * 1024,
        flooded=flooded,
    )
    return await (supervisor.take_ahead if component.ahead else supervisor.spawn)(start)


async def until_ready(process: Process, component: Component, places: Places) -> None:
    """Wait for the line by which it says so, and until it answers where it is to be asked. Raises Blocked where it ends
    before, or takes too long."""
    name, output = component.name, process.output
    url, missing = component.ready_url, f"write {component.ready!r}"
    for place, value in places.items():
        url = url.replace(f"{{{place}}}", str(value))
    try:
        async with asyncio.timeout(component.ready_ms / 1000):
            while component.ready not in output:
                _check_lives(process)
                output.changed.clear()
                await output.changed.wait()
            missing = f"answer at {url}"
            while url and not await _answers(url):
                _check_lives(process)
                await asyncio.sleep(AGAIN_S)
    except TimeoutError:
        raise Blocked(f"{name} did not {missing} within {component.ready_ms} ms", output.lines) from None


def _check_lives(process: Process) -> None:
    output = process.output
    if not process.alive:
        raise Blocked(f"{process.name} ended ({process.how_it_ended}) before it was ready", output.lines)
    if output.total > output.limit:
        raise Blocked(too_much(process.name, output), output.lines)


async def _answers(url: str) -> bool:
    """True if its port is open, and for http:// if what is there answers with 200."""
    parts = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except OSError:
        return False
    try:
        if parts.scheme == "tcp":
            return True
        writer.write(f"GET {parts.path or '/'} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
        return (await reader.readline()).split()[1:2] == [b"200"]
    except OSError:
        return False
    finally:
        writer.transport.abort()


def too_much(name: str, output: Output) -> str:
    """That a process floods its output."""
    return f"{name} wrote more than {output.limit // 1024} kB"


async def until_reached(component: Component, port: int) -> None:
    """See that a store which the harness does not start is there. Raises Blocked."""
    try:
        async with asyncio.timeout(component.ready_ms / 1000):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
    except (OSError, TimeoutError) as error:
        raise Blocked(f"{component.name} cannot be reached at 127.0.0.1:{port} ({error}); start it first") from None


def with_ports(component: Component) -> RunningComponent:
    """A component, before its start, with free ports for all that its texts name."""
    words = sorted(set(re.findall(r"\{port\.([^}]+)\}", component.words)))
    named = {word: hold_port() for word in words}
    own = None if component.port else hold_port()
    held = (*([own] if own is not None else []), *named.values())
    ports = {word: port.number for word, port in named.items()}
    return RunningComponent(component, component.port if own is None else own.number, ports=ports, held=held)
