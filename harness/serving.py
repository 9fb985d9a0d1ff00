"""A service as it is, declared as a system under test: an ASGI or WSGI app whose code knows nothing of sagafuzz."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, TypeVar, cast

from .apps import App, checked_apps, django_asks, named
from .asgi import Response, failure
from .effects import Cancel, DelayAnswer
from .errors import UsageError
from .faults import FAULT_KINDS
from .fresh import Fresh, as_at_the_start
from .http_routes import REFUSED, Service, checked
from .inbox import Inbox
from .messages import Message
from .ports import ADAPTER_ATTRIBUTE, Adapter, Unavailable, World, adapter
from .saga import Outcome, Saga
from .scenario import Order
from .wsgi import running

_C = TypeVar("_C", bound=type)

CANNOT_SUFFER: Final = tuple(
    kind.name
    for kind in FAULT_KINDS.values()
    if any(isinstance(effect, Cancel) or (isinstance(effect, DelayAnswer) and effect.late) for effect in kind.effects)
)
"""A client that goes away cancels nothing in a server, and one that hung up is told nothing any more."""

_ANSWERS: Final = {200: True, 201: True, 409: False}


def service(
    *,
    saga: Saga,
    http: Mapping[str, str],
    saga_id: str = "",
    key: str = "",
    code: Iterable[str] = (),
    status: Mapping[int, str] | None = None,
    apps: Mapping[str, App] | None = None,
    operations: Iterable[str] = (),
    cannot_suffer: Iterable[str] = (),
    **declared: Any,
) -> Callable[[_C], _C]:
    """Declare an ASGI or WSGI app to be a system under test, as it is. The class has ``app``, which makes it (or
    names it, as ``"orders.app:app"``), and ``submit(order)``, which gives the method, the path and the JSON body of
    the request that submits an order; with ``answers`` it says which status is which outcome, and with
    ``webhook(message)`` what request a message is, None for one that the app's own consumers have. ``http`` gives the
    operation of each request that the app makes, as ``"POST payment/charge": "payment.charge"``; ``saga_id`` and
    ``key`` say where such a request names its order and its idempotency key, as ``"json:order"``,
    ``"header:Idempotency-Key"`` or ``"query:order"``; ``status`` which status a refusal has. ``code`` names the
    packages of the app, which each process loads anew. ``apps`` are the participants that are apps too, see `App`.
    What else can be declared is what `adapter` takes."""
    listed = (*operations, *(each for each in http.values() if each not in saga.by_operation))
    asked = {operation.partition(".")[0] for operation in (*http.values(), *saga.by_operation)}
    told = checked(
        Service(
            http=dict(http),
            saga_id=saga_id,
            key=key,
            code=_names(code),
            refused=_refused(status),
            apps=checked_apps(apps, asked),
        ),
        saga.by_operation,
    )

    def declare(cls: _C) -> _C:
        _check(cls)
        of = told if told.code else replace(told, code=_package(cls))
        body = {
            "__module__": cls.__module__,
            "__doc__": inspect.getdoc(cls) or _described(cls),
            "of": of,
            "fresh": Fresh(of.code, cls.__module__),
        }
        hears = bool(declared.get("topics")) or hasattr(cls, "webhook")
        if declared.get("emits") and not (hears or hasattr(cls, "receive")):
            raise UsageError(
                f"service {cls.__name__!r}: emits= sends messages, and nobody receives them; add "
                f'\'def webhook(self, message): return "POST", "/webhooks", {{"order": message.saga}}\' to the class'
            )
        serves = Receiving if hears else Serving
        made = cast("_C", type(cls.__name__, (cls,) if issubclass(cls, serves) else (cls, serves), body))
        made.__qualname__ = cls.__qualname__
        barred = (*CANNOT_SUFFER, *cannot_suffer)
        if told.apps or hears:  # what they do meanwhile, and what comes, differs from crash to crash
            declared.setdefault("durable_recovery", False)
        wrapped = adapter(saga=saga, operations=listed, cannot_suffer=barred, **declared)(made)
        found: Adapter = getattr(wrapped, ADAPTER_ATTRIBUTE)
        setattr(wrapped, ADAPTER_ATTRIBUTE, replace(found, service=of))
        return wrapped

    return declare


class Serving:
    """A class that `service` declares: each process loads the code, makes the app and starts it; an order is a request
    to it. The app recovers what it recovers when it starts."""

    of: Service
    fresh: Fresh
    app: Callable[[], Any] | str
    submit: Callable[[Order], tuple[str, str, Any]]
    answers: Mapping[int, bool | Outcome] = _ANSWERS

    async def boot(self, world: World) -> None:
        as_at_the_start()
        with django_asks():
            if self.of.code:
                self.fresh.load()
            app = named(self.app, "app") if isinstance(self.app, str) else self.fresh.renewed(self.app)()
        if inspect.isawaitable(app):
            app = await app
        self.fresh.adopt()
        self._running, self._spawn = running(app), world.spawn
        try:
            await self._running.start()
        except Exception as error:
            raise Unavailable(f"the app does not start: {failure(error)}") from error

    async def run(self, order: Order) -> bool | Outcome:
        asked = self.submit(order)
        response = await self._ask(*asked)
        if response.error is None and response.status in self.answers:
            return self.answers[response.status]
        raise _unexpected(asked, response) from response.error

    async def _ask(self, method: str, target: str, body: Any) -> Response:
        """The app's answer to a request. What it does after that goes on beside."""
        response = await self._running.ask(method, target, body)
        if response.rest is not None:
            self._spawn(_same, response.rest)
        return response

    async def recover(self) -> None:
        """Nothing more: it has started."""


class Receiving(Serving):
    """The same, where messages come: as webhooks, or to consumers of the app's own, see `inbox`."""

    webhook: Callable[[Message], tuple[str, str, Any] | None] | None = None

    @cached_property
    def inbox(self) -> Inbox:
        return Inbox()

    async def receive(self, message: Message) -> None:
        """A webhook that is not answered with 2xx comes again, as any message that was not handled."""
        asked = None if self.webhook is None else self.webhook(message)
        if asked is None:
            await self.inbox.handle(message)
            return
        response = await self._ask(*asked)
        if response.error is not None or not 200 <= response.status < 300:
            raise _unexpected(asked, response) from response.error


def _same(rest: Awaitable[Any]) -> Awaitable[Any]:
    return rest


def _described(cls: Any) -> str:
    return f"a service, {cls.app}" if isinstance(cls.app, str) else "a service"


def _package(cls: Any) -> tuple[str, ...]:
    """The package of an app that is told by its name."""
    return (cls.app.partition(":")[0].partition(".")[0],) if isinstance(cls.app, str) else ()


def _unexpected(asked: tuple[str, str, Any], response: Response) -> Unavailable:
    method, target, _ = asked
    return Unavailable(f"{method} {target} was answered {_shown(response)}")


def _shown(response: Response) -> str:
    page = response.body[:80].decode("utf-8", "replace")
    said = failure(response.error) if response.error is not None else response.logged or page
    return f"{response.status}: {said}"


def _names(code: Iterable[str]) -> tuple[str, ...]:
    if isinstance(code, str):
        raise UsageError(f"service: code={code!r} is a string; write code=[{code!r}]")
    return tuple(code)


def _refused(status: Mapping[int, str] | None) -> int:
    """The status of a refusal: the first that is said to be one."""
    for number, meaning in (status or {409: REFUSED}).items():
        if meaning != REFUSED or not isinstance(number, int):
            raise UsageError(f"service: status has {number!r}: {meaning!r}; write status={{409: {REFUSED!r}}}")
        return number
    raise UsageError(f"service: status is empty; leave it out, or write status={{409: {REFUSED!r}}}")


def _check(cls: object) -> None:
    name = getattr(cls, "__name__", repr(cls))
    for wanted, example in (
        ("app", "app = staticmethod(lambda: create_app())"),
        ("submit", 'def submit(self, order): return "POST", "/orders", {"id": order.id}'),
    ):
        if not callable(found := getattr(cls, wanted, None)) and not (wanted == "app" and isinstance(found, str)):
            raise UsageError(f"service {name!r} has no {wanted!r}; add '{example}' to the class")
