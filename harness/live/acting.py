"""Actors in the live world: a thread for each script, which asks at the participants' door as a worker does.

What a script sleeps away passes at once where all else has come to rest: nothing would happen meanwhile.
"""

from __future__ import annotations

import asyncio
import http.client
import inspect
import json
import math
import threading
import time
from typing import Any, Final

from ..actors import Script
from ..errors import UsageError, nearest
from ..frames import passed, place, users
from ..history import CLIENT_ACK, DATA, KIND, OUTCOME, SAGA
from ..ports import CallTimeout, PortError, ProcessCrashed, Rejected, Unavailable
from ..saga import FORWARD, Outcome, problem_with_part
from ..scenario import Order
from .background import Background
from .manifest import Manifest
from .record import Record

GLANCE_S: Final = 0.005
"""How soon it is seen that a client was told something."""


class LiveActor:
    """See `sagafuzz.Actor`. Used by the thread of its script alone, but for ``rests`` and ``wake``."""

    def __init__(self, name: str, manifest: Manifest, record: Record, address: tuple[int, str], token: str) -> None:
        self.name = name
        self._setup = record.setup
        self._scale = manifest.actor_scale
        self._record = record
        self._loop = asyncio.get_running_loop()
        self._port, self._case = address
        self._token = token
        self._timeout_ms = manifest.call_timeout_ms
        self._awake = threading.Event()
        self._closed = False
        self.rests = ""  # "asleep", "waiting" or "over" where nothing comes of it by itself
        self._awaited: str | None = None  # the saga whose end it waits for
        self.due = 0.0  # until when it sleeps

    @property
    def orders(self) -> tuple[Order, ...]:
        return tuple(self._setup.orders.values())

    def call(
        self,
        operation: str,
        /,
        *,
        saga: str | None = None,
        key: str | None = None,
        timeout_ms: float | None = None,
        part: str | None = None,
        **payload: Any,
    ) -> Any:
        self._alive()
        saga, routes = self._saga(saga), self._setup.routes
        if operation not in routes:
            raise UsageError(
                f"actor {self.name!r} calls {operation!r}, which is not declared{nearest(operation, routes)}"
            )
        asked_in_parts = part is not None or operation in self._setup.adapter.known.in_parts
        if asked_in_parts and (problem := problem_with_part(self._setup.adapter.known, operation, part, "actor.call")):
            raise UsageError(problem)
        route = routes[operation]
        verb = "do" if route.direction == FORWARD else "undo"
        headers = {"Saga-Id": saga, "content-type": "application/json", "authorization": f"Bearer {self._token}"}
        headers |= {name: value for name, value in (("Idempotency-Key", key), ("Saga-Part", part)) if value is not None}
        path = f"/{self._case}/{self.name}/{f'{route.step}/{verb}' if route.step else operation}"
        within_ms = self._timeout_ms if timeout_ms is None else timeout_ms
        status, answer = self._post(operation, path, json.dumps(payload), headers, within_ms / 1000)
        self._alive()
        if status == 200:
            return answer.get("receipt")
        raise (Rejected if status in (409, 422) else Unavailable)(f"{operation}: {answer.get('error')}")

    def _post(
        self, operation: str, path: str, body: str, headers: dict[str, str], within_s: float
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=within_s)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise CallTimeout(f"{operation}: {type(error).__name__}: {error}") from None
        finally:
            connection.close()

    def signal(
        self, topic: str, /, *, saga: str | None = None, key: str = "", delay_ms: float = 0, **payload: Any
    ) -> None:
        self._alive()
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._token}"}
        content = {"topic": topic, "saga": self._saga(saga), "key": key, "payload": payload}
        body = json.dumps({**content, "delay_ms": delay_ms / self._scale})
        path = f"/{self._case}/{self.name}/publish"
        status, answer = self._post(f"signal({topic!r}, ...)", path, body, headers, self._timeout_ms / 1000)
        self._alive()
        if status != 200:
            raise UsageError(f"actor {self.name!r}: signal({topic!r}, ...): {answer.get('error')}")

    def sleep(self, seconds: float) -> None:
        self._alive()
        if seconds < 0:
            raise ValueError(f"actor.sleep({seconds}): a time cannot be negative")
        self.due = time.monotonic() + seconds / self._scale
        self._awake.clear()
        self._rest("asleep")
        self._awake.wait(seconds / self._scale)
        self.rests = ""
        self._alive()

    def now(self) -> float:
        self._alive()
        return time.time()

    def outcome(self, saga: str | None = None) -> Outcome | None:
        self._alive()
        return self._told(self._saga(saga))

    def _told(self, saga: str) -> Outcome | None:
        told = [row[DATA][OUTCOME] for row in tuple(self._record.rows) if row[KIND] == CLIENT_ACK and row[SAGA] == saga]
        return Outcome(told[-1]) if told else None

    def wait(self, saga: str | None = None) -> Outcome:
        self._alive()
        self._awaited = self._saga(saga)
        while True:
            found = self.outcome(saga)
            if found is not None and found is not Outcome.PENDING:
                self.rests = ""
                return found
            self._rest("waiting")
            time.sleep(GLANCE_S)

    @property
    def goes_on(self) -> bool:
        """True if it is about to do something, also where it does not know yet that what it waits for has come."""
        if self.rests != "waiting" or self._awaited is None:
            return not self.rests
        return self._told(self._awaited) not in (None, Outcome.PENDING)

    def wake(self) -> None:
        """End its sleep."""
        self.rests = ""
        self._awake.set()

    def close(self) -> None:
        """End its script at the next thing that it does."""
        self._closed = True
        self._awake.set()

    def _rest(self, how: str) -> None:
        self.rests = how
        self._loop.call_soon_threadsafe(self._record.changed.set)

    def over(self) -> None:
        """Its script has ended."""
        if not self._closed:
            self._rest("over")

    def _alive(self) -> None:
        if self._closed:
            raise ProcessCrashed

    def _saga(self, saga: str | None) -> str:
        orders = self._setup.orders
        if saga is None and len(orders) == 1:
            return next(iter(orders))
        known = self._setup.known
        if saga not in known:
            raise UsageError(f"actor {self.name!r}: saga={saga!r} is none of {', '.join(known)}; pass saga=order.id")
        return str(saga)


class Actors:
    """Those of one case."""

    def __init__(
        self, manifest: Manifest, record: Record, background: Background, address: tuple[int, str], token: str
    ) -> None:
        names = record.setup.scenario.actors
        self._scripts = record.setup.adapter.actors
        self._loop = asyncio.get_running_loop()
        self._background = background
        self._all = [LiveActor(name, manifest, record, address, token) for name in names]

    @property
    def busy(self) -> bool:
        """True if one is about to do something."""
        return any(actor.goes_on for actor in self._all)

    def begin(self) -> None:
        """Start each script."""
        for actor in self._all:
            script = self._scripts[actor.name]
            threading.Thread(target=self._perform, args=(actor, script), daemon=True, name=actor.name).start()

    def go_on(self, before: float = math.inf) -> bool:
        """All else is at rest: wake who would wake first, by the monotonic clock. False where nobody would by then."""
        asleep = [actor for actor in self._all if actor.rests == "asleep" and actor.due < before]
        if asleep:
            min(asleep, key=lambda actor: actor.due).wake()
        return bool(asleep)

    def close(self) -> None:
        """Nobody acts any more."""
        for actor in self._all:
            actor.close()

    def _perform(self, actor: LiveActor, script: Script) -> None:
        try:
            done: Any = script(actor)
            if inspect.iscoroutine(done):
                done.close()
                raise UsageError(f"the script of actor {actor.name!r} is async; write def {actor.name}(actor)")
        except (PortError, ProcessCrashed):
            pass
        except BaseException as error:
            where = place(users(passed(error))) or "?"
            text = str(error) if isinstance(error, UsageError) else f"it raised {type(error).__name__}: {error}"
            mistake = UsageError(f"the script of actor {actor.name!r}: {text} ({where})")
            self._loop.call_soon_threadsafe(self._background.fail, mistake)
        finally:
            actor.over()
