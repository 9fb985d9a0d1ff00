"""Values as plain data, for files: what `to_plain` makes of a value is what JSON can hold, and `from_plain` makes the
value of it again, by the annotations of its class. No code is run but the constructors of this package's values."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import UsageError
from .history import History, saga_from_json, saga_to_json
from .saga import Saga


def to_plain(value: Any) -> Any:  # noqa: PLR0911
    """Lists, objects, strings, numbers, None. A value of any other kind becomes its repr."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Saga):
        return saga_to_json(value)
    if isinstance(value, History):
        return value.to_ndjson()
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: to_plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(inner) for key, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(to_plain, value))
    return [to_plain(inner) for inner in value] if isinstance(value, (tuple, list)) else repr(value)


def from_plain(kind: Any, data: Any) -> Any:
    """The value of type ``kind``. Raises UsageError for data that is not of its form."""
    try:
        return _value(kind, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"no {getattr(kind, '__name__', kind)}: {type(error).__name__} {error}") from None


def _value(kind: Any, data: Any) -> Any:  # noqa: PLR0911
    if isinstance(kind, type) and get_origin(kind) is None:
        return _instance(kind, data)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if data is None else _value(next(one for one in inner if one is not type(None)), data)
    if origin is Literal:
        if data not in inner:
            raise ValueError(f"{data!r} is none of {', '.join(map(repr, inner))}")
        return data
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return tuple(_value(inner[0], entry) for entry in data)
        return tuple(_value(one, entry) for one, entry in zip(inner, data, strict=True))
    if origin is frozenset:
        return frozenset(_value(inner[0], entry) for entry in data)
    if origin is not None and issubclass(origin, Mapping):
        return {key: _value(inner[1], entry) for key, entry in data.items()}
    return _frozen(data)


def _instance(kind: type, data: Any) -> Any:
    if kind is Saga:
        return saga_from_json(data)
    if kind is History:
        return History.from_ndjson(data)
    if is_dataclass(kind):
        known = _hints(kind)
        return kind(**{name: _value(known[name], entry) for name, entry in data.items()})
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return kind(*data)
    if kind in (bool, int, float, str) and type(data) is not kind and not (kind is float and type(data) is int):
        raise ValueError(f"{data!r} is no {kind.__name__}")
    return _frozen(data)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _frozen(data: Any) -> Any:
    return tuple(map(_frozen, data)) if isinstance(data, list) else data
