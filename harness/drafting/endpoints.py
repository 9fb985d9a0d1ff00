"""The endpoints of an app: its routes that take a POST, as its framework knows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .body import Place, template_of

_POST: Final = "POST"


@dataclass(frozen=True)
class Endpoint:
    """One request by which an order may be submitted: ``path`` may have ``{names}``, which are the order's id. ``body``
    is a template; ``sure`` says that the app has told what it takes."""

    method: str
    path: str
    body: Any
    sure: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


GUESSED: Final[Mapping[str, Any]] = {"id": Place("id")}
"""The body of a request of which nothing is known."""


def endpoints(app: Any) -> tuple[Endpoint, ...]:
    """Those of FastAPI, Flask and Starlette, and what is like them, with the shortest paths first."""
    if callable(getattr(app, "openapi", None)):
        found: Iterable[Endpoint] = _of_openapi(app.openapi())
    elif hasattr(app, "url_map"):
        paths = [rule.rule for rule in app.url_map.iter_rules() if _POST in (rule.methods or ())]
        found = [Endpoint(_POST, re.sub(r"<(?:[^:<>]+:)?(\w+)>", r"{\1}", path), dict(GUESSED)) for path in paths]
    else:
        routes = [each for each in getattr(app, "routes", ()) if _POST in (getattr(each, "methods", None) or ())]
        found = [Endpoint(_POST, re.sub(r":\w+}", "}", each.path), dict(GUESSED)) for each in routes]
    return tuple(sorted(found, key=lambda each: (each.path.count("{"), each.path.count("/"), each.path)))


def _of_openapi(said: Mapping[str, Any]) -> Iterable[Endpoint]:
    named = said.get("components", {}).get("schemas", {})
    for path, operations in said.get("paths", {}).items():
        if _POST.lower() in operations:
            content = operations[_POST.lower()].get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            yield Endpoint(_POST, path, {} if schema is None else template_of(schema, named), sure=True)


def chosen(text: str, found: Iterable[Endpoint]) -> Endpoint:
    """The one that ``POST /orders`` names: as the app tells of it, else with a body that is guessed."""
    method, _, path = text.partition(" ")
    return next((each for each in found if str(each) == text), Endpoint(method, path, dict(GUESSED)))
