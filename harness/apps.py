"""What is declared of a participant that is an app of its own: who makes it, where it keeps what, what took effect."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from .errors import UsageError
from .fresh import Fresh
from .wsgi import is_wsgi


@dataclass(frozen=True)
class App:
    """An ASGI or WSGI app that is a participant. ``make`` makes it: a function, or ``"payments.app:create_app"``.
    ``db`` is the SQLite file that it connects to, ``effects`` the query that lists what holds there, asked after each
    commit: a row for each effect, with its saga and, where the participant has several steps, the step or its
    operation. A row that comes is an effect, one that goes is undone. ``code`` names its packages, loaded anew in each
    of its processes; left out, it is that of the string."""

    make: str | Callable[[], Any]
    db: str
    effects: str
    code: tuple[str, ...] = ()

    @cached_property
    def fresh(self) -> Fresh:
        """What loads its code."""
        package = (self.make.partition(":")[0].partition(".")[0],) if isinstance(self.make, str) else ()
        return Fresh(self.code or package)

    async def made(self) -> Any:
        """The app, of code that is loaded anew."""
        with django_asks():
            self.fresh.load()
            app = named(self.make, "apps") if isinstance(self.make, str) else self.fresh.renewed(self.make)()
        if inspect.isawaitable(app):
            app = await app
        self.fresh.adopt()
        return app


_DJANGO_ASKS: Final = "DJANGO_ALLOW_ASYNC_UNSAFE"


@contextmanager
def django_asks() -> Iterator[None]:
    """Meanwhile Django may ask its database, although an event loop runs: where an app is made elsewhere, none does."""
    before = os.environ.get(_DJANGO_ASKS)
    os.environ[_DJANGO_ASKS] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_DJANGO_ASKS, None)
        else:
            os.environ[_DJANGO_ASKS] = before


def named(name: str, option: str) -> Any:
    """The app of that name, in a module, or what the function of that name makes: ``"orders.app:create_app"``; where
    the name ends in ``()``, what that makes, whatever it is. Raises UsageError where there is no such thing."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute.removesuffix("()"))
    except (AttributeError, ValueError, ModuleNotFoundError) as error:
        raise UsageError(f'service: {option}={name!r} names no app ({error}); write "orders.app:create_app"') from error
    is_app = is_wsgi(found) or (inspect.iscoroutinefunction(found) and not _takes_nothing(found))
    return found() if (inspect.isroutine(found) and not is_app) or attribute.endswith("()") else found


def _takes_nothing(function: Callable[..., Any]) -> bool:
    """True if it can be called without arguments."""
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True


def checked_apps(apps: Mapping[str, App] | None, participants: Iterable[str]) -> dict[str, App]:
    """The apps by participant. Raises UsageError where one is none, or nobody asks for it."""
    known = sorted(set(participants))
    for name, app in (apps or {}).items():
        where = f"service: apps[{name!r}]"
        if name not in known:
            raise UsageError(f"{where} is a participant that no operation names; there is {', '.join(known)}")
        if not isinstance(app, App):
            raise UsageError(f"{where} is {app!r}; write App('orders.app:create_app', db='orders.db', effects='…')")
        if isinstance(app.make, str) and ":" not in app.make:
            raise UsageError(f"{where} names {app.make!r}; write 'package.module:function'")
    return dict(apps or {})
