"""All that is known of an app after it was run: a value, of which the adapter's text is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..http_routes import USUAL_KEYS, Asked, places_of, value_at
from .endpoints import Endpoint


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request that the app makes: its ``route``, as ``http=`` names it, and the ``operation`` that it is taken for.
    ``where`` is the line of the app that asks; ``saga_at`` and ``key_at`` are the places in it that seem to name the
    order and the idempotency key, as ``json:order``, the likeliest first. ``sure`` is False where the operation is a
    guess."""

    route: str
    operation: str
    where: str
    saga_at: tuple[str, ...]
    key_at: tuple[str, ...]
    sure: bool = True


@dataclass(frozen=True, kw_only=True)
class DraftStep:
    """One step of the saga, by its operations; ``undo`` is "" where none was asked for."""

    name: str
    operation: str
    undo: str = ""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An app, what submits an order to it, and what it asked. ``says_no`` is the status by which a participant refuses,
    ``yes`` and ``no`` are what the client is answered (0: never seen). ``stopped`` says why nothing more was found
    out."""

    app: str
    endpoint: Endpoint
    others: tuple[str, ...] = ()
    steps: tuple[DraftStep, ...] = ()
    seen: tuple[Seen, ...] = ()
    says_no: int = 409
    yes: int = 0
    no: int = 0
    stopped: str = ""

    @property
    def package(self) -> str:
        """The package of the app."""
        return self.app.partition(":")[0].partition(".")[0]

    @property
    def http(self) -> dict[str, str]:
        """The operation of each route."""
        return {each.route: each.operation for each in self.seen}

    @property
    def saga_id(self) -> str:
        """The place that names the order in each request; "" where there is none."""
        return _common(each.saga_at for each in self.seen)

    @property
    def key(self) -> str:
        """The place of the key in each request that has one; "" where it is one of the usual headers, or none has."""
        found = _common(each.key_at for each in self.seen if each.key_at)
        return "" if found in USUAL_KEYS else found


def _common(places: Iterable[tuple[str, ...]]) -> str:
    """The first place that all have in common."""
    first, *rest = [*places] or [()]
    return next((place for place in first if all(place in others for others in rest)), "")


_KEYS: Final = ("idempoten", "request_id", "request-id", "dedup")
"""Parts of the names of those fields and headers that are keys."""


def seen(asked: Asked, operation: str, where: str, saga: str, *, sure: bool = True) -> Seen:
    """All that an adapter says of a request that was made for ``saga``."""
    keys = [place for place in USUAL_KEYS if value_at(place, asked) is not None]
    others = [place for place in places_of(asked) if any(word in place.lower() for word in _KEYS)]
    return Seen(
        route=route_of(asked, saga),
        operation=operation,
        where=where,
        saga_at=tuple(place for place in places_of(asked) if value_at(place, asked) == saga),
        key_at=(*keys, *(place for place in others if place not in map(str.lower, keys))),
        sure=sure,
    )


def route_of(asked: Asked, saga: str) -> str:
    """The route of a request, with names for those parts of its path that differ from one order to another."""
    host = asked.host if asked.port in (80, 443) else f"{asked.host}:{asked.port}"
    parts = ["{id}" if _varies(part, saga) else part for part in asked.path.split("/")]
    return f"{asked.method} {host}{'/'.join(parts)}"


def _varies(part: str, saga: str) -> bool:
    digits = sum(each.isdigit() for each in part)
    return saga in part or (part.isdigit() and bool(part)) or (len(part) >= 16 and digits >= 4)


def operation_of(route: str, taken: Iterable[str]) -> str:
    """A name for what a route asks for: its host, and the last word of its path; no other is called so."""
    method, _, place = route.partition(" ")
    host, _, path = place.partition("/")
    name, _, port = host.partition(":")
    labels = [each for each in name.split(".") if each not in ("www", "api")]
    participant = f"local-{port or 80}" if labels[0] in ("localhost", "127") else labels[0]
    words = [each for each in path.split("/") if each and not each.startswith("{")]
    prefix = [] if method == "POST" else [method.lower()]
    known = set(taken)
    for count in range(1, len(words) + 1):
        found = f"{participant}.{'-'.join([*prefix, *words[-count:]])}"
        if found not in known:
            return found
    found = f"{participant}.{'-'.join([*prefix, *words]) or method.lower()}"
    return found if found not in known else f"{found}-{len(known)}"
