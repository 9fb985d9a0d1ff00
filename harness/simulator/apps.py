"""The processes of participants that are apps of their own: each boots, serves what it is asked, dies whole.

To the scheduler one is a process like the orchestrator's; no client knows of it, and no invariant asks what it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, NoReturn

from greenlet import GreenletExit

from ..effects import OUTSIDE
from ..errors import SagafuzzError, UsageError
from ..frames import passed, place, users
from ..http_routes import Answer, Service
from ..ports import ProcessCrashed
from ..scenario import Order
from ..wsgi import running
from .aio import current_saga
from .app_life import AppLife, AppProcess, Then
from .chance import renew
from .edge import Edges
from .host import Host
from .hosted import AppParticipant
from .kernel import Task
from .letter import Letter
from .message import Message
from .network import Network
from .streams import loop_for
from .whose import calling
from .wires import End

_OF_THE_WAY: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})
"""Headers that say how an answer travels: it is said anew."""


class WebProcess(AppProcess):
    """One process of an ASGI or WSGI app: its tasks, its threads, its connections, its copy of the code."""

    def __init__(self, service: Service, life: AppLife, number: int) -> None:
        super().__init__(life.host.kernel, number)
        self._life = life
        self._service = service
        self.label = life.name
        self.participant = life
        self.bars = OUTSIDE
        self.net = _Alone(life.host, life.network, self, service)
        self.replayable = False
        self.serving = 0

    def main(self) -> None:
        """Boot the app, and serve until it dies."""
        host = self._life.host
        renew(host, self.incarnation)
        self.loop = loop_for(self.kernel, host.task(), self.net)
        try:
            self.loop.run_until_dead(self._boot())
        except (ProcessCrashed, SagafuzzError, GreenletExit, KeyboardInterrupt):
            raise
        except Exception as error:
            self._life.not_started(error)
        finally:
            self.loop.close()

    async def _boot(self) -> None:
        try:
            self._running = running(await self._life.participant.app.made())
            await self._running.start()
        except (SagafuzzError, ProcessCrashed):
            raise
        except Exception as error:
            self._life.not_started(error)
            return
        self.booted = True
        self._life.booted(self)

    def take(self, msg: Message, then: Then) -> None:
        """Handle a request beside whatever else it does."""
        assert self.loop is not None
        self.loop.poke(self._begin, msg, then)

    def _begin(self, msg: Message, then: Then) -> None:
        assert self.loop is not None
        token = current_saga.set(msg.saga)
        self.loop.keep(self.loop.create_task(self._serve(msg, then)))
        current_saga.reset(token)

    async def _serve(self, msg: Message, then: Then) -> None:
        asked = msg.http or self._service.request_for(msg.operation, msg.payload, msg.key)
        headers = [(name.encode(), value.encode("latin-1")) for name, value in asked.headers.items()]
        sent = [header for header in headers if header[0] not in _OF_THE_WAY]
        self.serving += 1
        try:
            got = await self._running.serve(asked.method, asked.target, sent, asked.body, (asked.host, asked.port))
        finally:
            self.serving -= 1
        self.check_alive()
        if got.error is not None:
            then(None, f"{type(got.error).__name__} ({place(users(passed(got.error))) or '?'}): {got.error}")
            return
        kept = tuple(header for header in got.headers if header[0].lower() not in _OF_THE_WAY)
        then(Answer(got.status, kept, got.body), "")

    def start_thread(self, saga: str, main: Callable[[], object]) -> Task:
        return self.spawn("thread", saga, partial(_in_thread, main))

    # -- what nobody asks of it ---------------------------------------------------------------------

    def serving_task(self, saga: str) -> asyncio.Task[Any] | None:
        return None

    def spawn_user(self, function: Callable[..., Any], *args: Any) -> None:
        raise NotImplementedError("an app knows no world")

    def receive(self, letter: Letter) -> None:
        raise NotImplementedError("an app is sent no message")

    def cancel(self, order: Order) -> None:
        raise NotImplementedError("an app serves no order")


def _in_thread(main: Callable[[], object]) -> None:
    """Run a thread to its end: what leaves it ends it, and nothing else."""
    with suppress(Exception):
        main()


class _Alone(Edges):
    """The network of a participant, which asks nobody."""

    def address_of(self, name: str) -> str:
        self._refuse(name)

    def connect(self, host: str, port: int) -> End:
        self._refuse(host)

    def _refuse(self, whom: str) -> NoReturn:
        where = calling(self.host).words or "an unknown line"
        name = self.process.label
        self.host.refuse(
            UsageError(
                f"service: apps[{name!r}] at {where} asks {whom}; an app that asks others is no participant here: "
                f"write the saga's steps so that the orchestrator asks"
            )
        )


def apps_of(host: Host, network: Network) -> tuple[AppLife, ...]:
    """The apps of a run, in the order of their names."""
    service = host.setup.adapter.service
    if service is None or not service.apps:
        return ()
    found = [each for _, each in sorted(network.services.items()) if isinstance(each, AppParticipant)]
    return tuple(AppLife(host, network, each, partial(WebProcess, service)) for each in found)
