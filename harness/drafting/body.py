"""The body of the request that submits an order: a template, whose places are filled from an order of sagafuzz."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ..scenario import Order


class Place(NamedTuple):
    """A place in a template that an attribute of the order fills."""

    attribute: str


_MEANINGS: Final[Mapping[str, frozenset[str]]] = {
    "item": frozenset({"item", "sku", "product", "article", "ware"}),
    "account": frozenset({"account", "customer", "user", "buyer", "client", "email"}),
    "quantity": frozenset({"quantity", "qty", "count", "pieces", "seats", "units"}),
    "amount": frozenset({"amount", "cents", "price", "total", "cost", "sum"}),
}
"""Words in the name of a field that tell what of an order it is."""

_TEXTS: Final = ("item", "account")
_NUMBERS: Final = ("quantity", "amount")
_STRING: Final[Mapping[str, Any]] = {"type": "string"}
_DEPTH: Final = 8
_CONSTANTS: Final[Mapping[Any, Any]] = {"boolean": True, "null": None, "object": {}, "array": []}


def template_of(schema: Mapping[str, Any], named: Mapping[str, Any]) -> Any:
    """A body that a JSON schema allows. ``named`` are the schemas that it refers to, by their names."""
    return _Template(named).of(schema, "", 0)


def with_field(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A body with one field more, of which nothing is known but its name."""
    words = _words(name)
    numeric = next((each for each in _NUMBERS if words & _MEANINGS[each]), None)
    return {**body, name: Place(numeric) if numeric else _Template({}).text(_STRING, name)}


def filled(template: Any, order: Order) -> Any:
    """The body that is sent for an order."""
    if isinstance(template, Place):
        return getattr(order, template.attribute)
    if isinstance(template, dict):
        return {name: filled(value, order) for name, value in template.items()}
    return [filled(value, order) for value in template] if isinstance(template, list) else template


def written(template: Any) -> str:
    """The same as an expression of Python, with the order as ``order``."""
    if isinstance(template, Place):
        return f"order.{template.attribute}"
    if isinstance(template, dict):
        return "{" + ", ".join(f"{_quoted(name)}: {written(value)}" for name, value in template.items()) + "}"
    if isinstance(template, list):
        return f"[{', '.join(map(written, template))}]"
    return _quoted(template) if isinstance(template, str) else repr(template)


def _quoted(text: str) -> str:
    found = repr(text)
    return f'"{found[1:-1]}"' if found.startswith("'") and '"' not in found else found


def _words(name: str) -> frozenset[str]:
    return frozenset(re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().replace("-", "_").split("_"))


class _Template:
    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._has_id = False

    def of(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        """A value that a schema allows, for a field of that name."""
        while found := self._instead(schema):
            schema = found
        if "enum" in schema or "const" in schema:
            return schema.get("const", [*schema.get("enum", ()), None][0])
        kind = schema.get("type")
        if kind in ("object", "array") and depth < _DEPTH:
            return self._object(schema, depth) if kind == "object" else self._list(schema, name, depth)
        if kind in ("integer", "number"):
            words = _words(name)
            return Place(next((each for each in _NUMBERS if words & _MEANINGS[each]), "quantity"))
        return _CONSTANTS[kind] if kind in _CONSTANTS else self.text(schema, name)

    def _instead(self, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The schema that a schema refers to, or the first that it allows; None where it says so itself."""
        if "$ref" in schema:
            return self._named.get(str(schema["$ref"]).rpartition("/")[2]) or _STRING
        return next((schema[word][0] for word in ("anyOf", "oneOf", "allOf") if schema.get(word)), None)

    def _list(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        return [self.of(schema["items"], name, depth + 1)] if schema.get("items") else []

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        needed = schema.get("required", ())
        fields = {name: value for name, value in schema.get("properties", {}).items() if name in needed}
        return {name: self.of(value, name, depth + 1) for name, value in fields.items()}

    def text(self, schema: Mapping[str, Any], name: str) -> Any:
        """A string: an attribute of the order where the name tells which, and the order's id the first time."""
        words = _words(name)
        meant = next((each for each in _TEXTS if words & _MEANINGS[each]), None)
        if schema.get("format") == "email":
            return "someone@example.com"
        if meant is not None:
            return Place(meant)
        if not self._has_id or "order" in words:
            self._has_id = True
            return Place("id")
        return name
