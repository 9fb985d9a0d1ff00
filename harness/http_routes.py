"""What is declared of a service as it is: which HTTP request is which operation, and what it says of saga and key."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from .apps import App
from .errors import UsageError, nearest

REFUSED: Final = "refused"
"""What a status can mean: the participant says no, and nothing was applied."""

USUAL_KEYS: Final = ("header:Idempotency-Key", "header:X-Idempotency-Key")
"""Where an idempotency key is looked for, where nothing is said."""

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_PLACES: Final = ("json", "header", "query")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One HTTP request: ``payload`` is its JSON object, or what it says otherwise; ``target`` and ``body`` are as they
    came."""

    method: str
    host: str
    port: int
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    payload: dict[str, Any]
    target: str
    body: bytes

    @classmethod
    def of(cls, method: str, host: str, port: int, target: str, headers: Mapping[str, str], body: bytes) -> Asked:
        """A request as it came; the names of ``headers`` are in lower case."""
        split = urlsplit(target)
        query = dict(parse_qsl(split.query))
        return cls(
            method=method,
            host=host,
            port=port,
            path=split.path or "/",
            query=query,
            headers=headers,
            payload=_said(body) if body else dict(query),
            target=target,
            body=body,
        )

    @property
    def route(self) -> str:
        """As ``http=`` names it: ``POST payment/charge``."""
        return f"{self.method} {self.host}{self.path}"

    @property
    def line(self) -> str:
        """The same with its port."""
        return f"{self.method} {self.host}:{self.port}{self.path}"


@dataclass(frozen=True)
class Answer:
    """What an app answers to one. ``headers`` are (name, value), without those that say how long the body is."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        """Its JSON object, or what it says otherwise."""
        return _said(self.body) if self.body else {}

    def __str__(self) -> str:
        return f"{self.status} {self.body[:80].decode('utf-8', 'replace')}".strip()


def _said(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = body.decode("latin-1")
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {"body": found}


@dataclass(frozen=True, kw_only=True)
class Service:
    """What `sagafuzz.service` was told. ``http`` has the operation of each route; ``saga_id`` and ``key`` are places in
    a request, as ``json:order``; ``code`` are the names of its packages, loaded anew in each process; ``refused`` is
    the status of an answer that says no; ``apps`` are the participants that are apps too."""

    http: Mapping[str, str]
    saga_id: str = ""
    key: str = ""
    code: tuple[str, ...] = ()
    refused: int = 409
    apps: Mapping[str, App] = field(default_factory=dict)

    @cached_property
    def _patterns(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        return tuple((_pattern(route), operation) for route, operation in self.http.items())

    def operation(self, asked: Asked) -> str | None:
        """What a request asks for; None where no route names it."""
        for host in (asked.host, f"{asked.host}:{asked.port}"):
            line = f"{asked.method} {host}{asked.path}"
            for pattern, operation in self._patterns:
                if pattern.fullmatch(line):
                    return operation
        return None

    def request_for(self, operation: str, payload: Mapping[str, Any], key: str | None) -> Asked:
        """The HTTP request for an operation that was asked for otherwise, by the first of its routes."""
        route = next(route for route, found in self.http.items() if found == operation)
        method, _, place = route.partition(" ")
        host, _, path = place.partition("/")
        target = re.sub(r"\{(\w+)\}", lambda name: str(payload.get(name[1], "")), f"/{path}")
        headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
        return Asked.of(method, host, 80, target, headers, json.dumps(dict(payload), default=str).encode())

    def saga_of(self, asked: Asked) -> str:
        """The order that a request names; "" where it names none."""
        return value_at(self.saga_id, asked) or "" if self.saga_id else ""

    def key_of(self, asked: Asked) -> str | None:
        """The idempotency key of a request; None where it has none."""
        for place in (self.key,) if self.key else USUAL_KEYS:
            if (found := value_at(place, asked)) is not None:
                return found
        return None


def _pattern(route: str) -> re.Pattern[str]:
    """``POST payment/charges/{id}/refund``: a name in braces stands for any one part of a path."""
    method, _, place = route.partition(" ")
    if method not in _METHODS or "/" not in place or place.startswith(("/", "http:", "https:")):
        raise UsageError(f'service: http has {route!r}; write a method, a host and a path, as in "POST payment/charge"')
    parts = re.split(r"(\{\w+\})", route)
    return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts))


def value_at(place: str, asked: Asked) -> str | None:
    """The value in a request at a place, as ``json:order``; None where nothing does."""
    where, _, name = place.partition(":")
    if where == "header":
        return asked.headers.get(name.lower())
    if where == "query":
        return asked.query.get(name)
    value: Any = asked.payload
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return None if value is None else str(value)


def places_of(asked: Asked) -> tuple[str, ...]:
    """The places in a request at which something stands: first in its JSON, then in its query and its headers."""
    named = {"query": asked.query, "header": asked.headers}
    return (*_below(asked.payload, "json:"), *(f"{where}:{name}" for where, found in named.items() for name in found))


def _below(value: Mapping[str, Any], before: str) -> Iterator[str]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _below(inner, f"{before}{name}.")
        else:
            yield f"{before}{name}"


class Unrouted(UsageError):
    """A service makes a request that no route names. ``asked`` is the request, ``where`` the line that makes it."""

    def __init__(self, text: str, asked: Asked, where: str) -> None:
        super().__init__(text)
        self.asked = asked
        self.where = where


def checked(service: Service, operations: Collection[str]) -> Service:
    """The same. Raises UsageError where something in it is no route, no place or no operation; ``operations`` are those
    of the saga, which others may join."""
    if not service.http:
        raise UsageError('service: http={} names no route; write http={"POST payment/charge": "payment.charge", ...}')
    for route, operation in service.http.items():
        _pattern(route)
        if "." not in operation:
            raise UsageError(
                f"service: http[{route!r}] is {operation!r}, which is no operation"
                f"{nearest(operation, operations)}; write PARTICIPANT.WHAT"
            )
    for option, place in (("saga_id", service.saga_id), ("key", service.key)):
        where, _, name = place.partition(":")
        if place and (where not in _PLACES or not name):
            raise UsageError(
                f"service: {option}={place!r} is no place in a request; "
                f'write "json:name", "header:Name" or "query:name"'
            )
    return service
