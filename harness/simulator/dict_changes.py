"""The number that the interpreter gives a dict whenever something in it changes, where it does (PEP 509): two looks at
a dict that find the same number found the same content."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Mapping
from ctypes import c_uint64
from types import MappingProxyType
from typing import Any, Final

_AT: Final = 24
"""How many bytes of a dict come before its number."""


class Changes:
    """Some dicts, or views of those of classes, and whether they have changed. They are kept alive."""

    __slots__ = ("_as_of", "_dicts", "_numbers")

    def __init__(self, dicts: Iterable[Mapping[str, Any]]) -> None:
        self._dicts = [_dict_of(each) for each in dicts]
        self._numbers = [c_uint64.from_address(id(each) + _AT) for each in self._dicts] if NUMBERED else []
        self._as_of: list[int] = []

    def none_since(self) -> bool:
        """True if none has changed since the last `seen`; False where that cannot be told."""
        return [each.value for each in self._numbers] == self._as_of if self._as_of else False

    def seen(self) -> None:
        """Each was looked at, and is as it was expected to be."""
        self._as_of = [each.value for each in self._numbers]


def _dict_of(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The dict itself; of a view, that which it shows."""
    if type(mapping) is MappingProxyType:
        (mapping,) = gc.get_referents(mapping)
    assert type(mapping) is dict
    return mapping


def _are_numbered() -> bool:
    """True if each way to change a dict gives it another number in this interpreter, and looking at it does not."""
    if sys.implementation.name != "cpython" or object.__basicsize__ != 16 or sys.version_info >= (3, 13):
        return False

    class Kept:
        first: Any = 1

    kept = {"first": 1}
    numbers = [c_uint64.from_address(id(each) + _AT) for each in (kept, _dict_of(vars(Kept)))]
    found = [[each.value for each in numbers]]
    kept["first"] = Kept.first = 2
    found.append([each.value for each in numbers])
    kept["second"] = Kept.second = 1  # type: ignore[attr-defined]
    found.append([each.value for each in numbers])
    del kept["second"], Kept.second  # type: ignore[attr-defined]
    found.append([each.value for each in numbers])
    seen_alike = kept["first"] == Kept.first and [each.value for each in numbers] == found[-1]
    return seen_alike and all(len(set(each)) == len(found) for each in zip(*found, strict=True))


NUMBERED: Final = _are_numbered()
