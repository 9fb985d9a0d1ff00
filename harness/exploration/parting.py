"""A run that is not deterministic: where two runs of one plan parted, on which line, and what may be the cause."""

from __future__ import annotations

import datetime as dt
import functools
import random
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import count, islice
from typing import Any, Final

from ..faults import Plan
from ..frames import is_own
from ..history import DATA_FIELDS, KIND, PROCESS, SAGA, Event, History, Row, rows_digest
from ..simulator import Run, Setup, caller_of, simulate


class NotDeterministic(ValueError):
    """The adapter did one thing and then, where the same was asked, another. Its text says what."""


USUAL_CAUSES: Final = (
    "a counter, a cache or a generator that a module or a class keeps and that so outlives boot",
    "the order of a set",
    "an id() or a default repr in what is sent or stored",
    "a clock or randomness that a library in C asks for by itself",
)
_OF_A_LIBRARY: Final = (
    "where a library keeps what the app gives it, routes, jobs or handlers, name it in code=[...] beside the app's "
    "packages: then each process loads it anew"
)
_USUALLY: Final = f"the usual causes are {'; '.join(USUAL_CAUSES)}"


def first_difference(one: Run | History, other: Run | History) -> str:
    """The first event in which two runs of one plan differ, in words; "" where they are equal."""
    number = _parted_at(one.rows, other.rows)
    if number is None:
        return ""
    if number < min(len(one.rows), len(other.rows)):
        a, b = one.rows[number], other.rows[number]
        return f"event {number} is {_in_words(a, b)} in one run, {_in_words(b, a)} in the other"
    return f"one run has {len(one.rows)} events, the other {len(other.rows)}"


def parted(setup: Setup, plan: Plan, one: Run | History, other: Run | History) -> str:
    """How two runs of ``plan`` differ (see `told`); "" where they are equal."""
    return told(setup, one, other, lambda number: caller_of(setup, plan, number).words, lambda: simulate(setup, plan))


def told(
    setup: Setup,
    one: Run | History,
    other: Run | History,
    line_at: Callable[[int], str],
    run: Callable[[], object],
) -> str:
    """The first event in which two runs differ, with the line that recorded it (``line_at`` its position); then, each
    in a line of its own, what the versions, and a further ``run``, tell of the cause, and the usual causes. "" where
    the two are equal."""
    found = first_difference(one, other)
    if not found:
        return ""
    number = _parted_at(one.rows, other.rows) or 0
    if line := line_at(number):
        found = found.replace(f"event {number} ", f"event {number}, recorded by {line}, ", 1)
    pair = [repr(row) for rows in (one.rows, other.rows) for row in rows[number : number + 1]]
    signs = [sentence for test, sentence in _SIGNS if len(pair) == 2 and test(*pair)]
    names = islice(_left_behind(run, setup), 3)
    kept = [f"{name} is another after a run than before it: make it in boot" for name in names]
    of_a_library = [_OF_A_LIBRARY] if setup.adapter.service is not None else []
    return "\n".join([found, *kept, *signs, *of_a_library, _USUALLY])


def difference(setup: Setup, plan: Plan, *, runs: int = 5) -> str:
    """How runs of one plan differ, where they were seen to; in words even if it does not happen again."""
    first = simulate(setup, plan)
    for _ in range(runs - 1):
        if found := parted(setup, plan, first, simulate(setup, plan)):
            return found
    return f"it did not behave again as it had; {runs} more runs were equal\n{_USUALLY}"


def _parted_at(rows: tuple[Row, ...], others: tuple[Row, ...]) -> int | None:
    if rows_digest(rows) == rows_digest(others):
        return None
    differing = (number for number, (a, b) in enumerate(zip(rows, others, strict=False)) if repr(a) != repr(b))
    return next(differing, min(len(rows), len(others)))


def _in_words(row: Row, other: Row) -> str:
    """``SEND of orchestrator, saga saga-1, payload (('number', 1),)``: the event, and in what it differs."""
    event, beside = _fields(row), _fields(other)
    words = [f"{row[KIND]} of {row[PROCESS]}", *([f"saga {row[SAGA]}"] if row[SAGA] else [])]
    words += [f"{name} {value!r}" for name, value in event.items() if repr(value) != repr(beside.get(name))]
    return ", ".join(words)[:200]


def _fields(row: Row) -> dict[str, Any]:
    """All of an event that its kind, actor and saga do not say."""
    event = Event._make(row)._asdict()
    data = event.pop("data")
    return {
        **{name: value for name, value in event.items() if name not in ("kind", "actor", "saga")},
        **dict(zip(DATA_FIELDS[row[KIND]], data, strict=False)),
    }


# -- signs of a cause in the two versions of an event ----------------------------------------------

_WORD: Final = re.compile(r"[\w.:+-]+")
_ADDRESS: Final = re.compile(r"\b0x[0-9a-f]{6,}\b")
_RANDOM: Final = re.compile(r"\b[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\b")
_DAY_S: Final = 86_400.0


def _reordered(one: str, other: str) -> bool:
    return sorted(_WORD.findall(one)) == sorted(_WORD.findall(other))


def _differing(one: str, other: str) -> list[str]:
    """The words of each that the other has not."""
    a, b = _WORD.findall(one), _WORD.findall(other)
    return [*(word for word in a if word not in b), *(word for word in b if word not in a)]


def _of_now(word: str) -> bool:
    """True if a word is a moment of today in the real world."""
    if word.startswith(str(dt.datetime.now(dt.UTC).date())):
        return True
    try:
        number = float(word)
    except ValueError:
        return False
    return any(abs(number / scale - time.time()) < _DAY_S for scale in (1, 1e3, 1e6, 1e9))


_SIGNS: Final[tuple[tuple[Callable[[str, str], bool], str], ...]] = (
    (_reordered, "both have the same values in another order: sort what comes of a set"),
    (
        lambda one, other: any(map(_of_now, _differing(one, other))),
        "it holds the real time: ask time, datetime or world.now() for it",
    ),
    (
        lambda one, other: any(map(_ADDRESS.search, _differing(one, other))),
        "it holds an address: give the object a name, or its class a __repr__",
    ),
    (
        lambda one, other: any(map(_RANDOM.search, _differing(one, other))),
        "it holds an identifier that is drawn anew each time: draw it by uuid, secrets or random, in code under test",
    ),
)
"""A test of the two versions, and what it tells."""


# -- what a run leaves behind in the user's modules -------------------------------------------------


def _left_behind(run: Callable[[], object], setup: Setup) -> Iterator[str]:
    """The names in the user's modules, and of the adapter's class, that ``run`` leaves with other values."""
    run()
    before = dict(_kept(setup))
    run()
    after = dict(_kept(setup))
    yield from (name for name, value in after.items() if name in before and before[name] != value)


def _kept(setup: Setup) -> Iterator[tuple[str, str]]:
    for name, module in list(sys.modules.items()):
        if is_own(getattr(module, "__file__", None) or "<"):
            yield from _named(name, vars(module))
    factory = setup.adapter.factory
    if "<locals>" in getattr(factory, "__qualname__", ""):  # no module holds it
        yield from _named(factory.__name__, vars(factory), inner=False)


def _named(path: str, values: Mapping[str, Any], *, inner: bool = True) -> Iterator[tuple[str, str]]:
    """What is kept under names of a module, and of its classes, in words that change when it does."""
    for name, value in list(values.items()):
        if name.startswith("__"):
            continue
        if inner and isinstance(value, type) and value.__module__ == path:
            yield from _named(f"{path}.{name}", vars(value), inner=False)
        elif (told := _state(value)) is not None:
            yield f"{path}.{name}", told


def _state(value: Any, depth: int = 2) -> str | None:
    """A value that can change in its place, or be replaced, in words; None for what is no state."""
    if isinstance(value, random.Random):
        return str(hash(value.getstate()))
    if isinstance(value, functools._lru_cache_wrapper):
        return str(value.cache_info()) if is_own(_file_of(value)) else None
    if value is None or isinstance(value, _PLAIN):
        try:
            return repr(value)
        except Exception:
            return None
    own = is_own(_file_of(type(value)))  # what stands for something else may raise when it is asked for more
    held = getattr(value, "__dict__", None) if own else None
    if depth and held is not None and not callable(value):
        return repr({name: _state(each, depth - 1) for name, each in held.items()})
    return None


_PLAIN: Final = (
    bool,
    int,
    float,
    str,
    bytes,
    list,
    dict,
    set,
    tuple,
    deque,
    bytearray,
    count,
)


def _file_of(made: Any) -> str:
    """Where a class or function was written."""
    return getattr(sys.modules.get(made.__module__), "__file__", None) or "<"
