"""What a store of records does with what it is asked: guards, batches, names. Pure, so that every world does the same.

A record is kept as a JSON text. A batch are the writes of a transaction that is open.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from .errors import UsageError
from .ports import Conflict
from .saga import Outcome

OUTCOMES: Final = frozenset(outcome.value for outcome in Outcome)

UNNAMED: Final = "write"
"""The kind of a record to which nobody has given one."""


class Write(NamedTuple):
    """One write that is asked for: what the record is about, and its text (None: delete the key).

    ``outcome`` is what a "terminal" record declares.
    """

    saga: str
    step: str
    record: str
    key: str = ""
    text: str | None = None
    outcome: str | None = None
    guard: Mapping[str, Any] | None = None
    epoch: int = 0


Plain: TypeAlias = tuple[str, str, str, str, "str | None", "str | None", "Mapping[str, Any] | None", int]
"""A `Write` without names, which Python takes apart several times faster. Whatever takes these takes a `Write` too."""


# -- guards and batches ---------------------------------------------------------------------------


def allows(guard: Mapping[str, Any], text: str | None) -> bool:
    """True if a record (None: there is none) is as the guard says. An empty guard says that there is none; a field
    that the record has not counts as null."""
    if text is None or not guard:
        return text is None and not guard
    record = (_parsed.get(text) or _remember(text))[0]
    if not isinstance(record, dict):
        return False
    for name, value in guard.items():  # noqa: SIM110, a generator costs more than the comparison
        if record.get(name) != value:
            return False
    return True


def check_guards(writes: Iterable[Plain], held: Callable[[str], str | None]) -> None:
    """Raise Conflict where one of them does not hold. All are about what ``held`` has before any of the writes."""
    for _, _, _, key, _, _, guard, _ in writes:
        if guard is not None and not allows(guard, held(key)):
            raise Conflict(f"{key!r} is not as the guard says: {dict(guard)}")


def read(batch: Iterable[Plain], key: str, text: str | None) -> str | None:
    """What a transaction reads under a key that holds ``text``: its own last write, else that."""
    for _, _, _, written, new, _, _, _ in batch:
        if written == key:
            text = new
    return text


def listed(batch: Iterable[Plain], texts: Mapping[str, str], prefix: str) -> list[tuple[str, str]]:
    """What a transaction reads under the keys that start with ``prefix``, sorted by key; ``texts`` is what is kept."""
    seen: dict[str, str | None] = {**texts, **{key: text for _, _, _, key, text, _, _, _ in batch}}
    return sorted([(key, text) for key, text in seen.items() if text is not None and key.startswith(prefix)])


# -- names ----------------------------------------------------------------------------------------


def check_key(key: object) -> None:
    """Raise UsageError for a key that is no string."""
    if not isinstance(key, str):
        raise UsageError(f"world.store: the key {key!r} is no string; write {str(key)!r}")


def saga_in(key: str, orders: Collection[str]) -> str:
    """The saga whose id is a part of a key, as in ``saga/saga-1`` or ``saga-1:state``; "" where none is."""
    for part in key.replace(":", "/").split("/"):
        if part in orders:
            return part
    return ""


def subject_of(writes: Sequence[Plain]) -> str:
    """What a durable write is about, as its site is named."""
    if len(writes) != 1:
        return " + ".join(dict.fromkeys([subject_of([write]) for write in writes]))
    _, step, record, _, _, _, _, _ = writes[0]
    return f"{record} {step}" if step else record


def declared_outcome(value: Any) -> str | None:
    """The outcome that a "terminal" record declares, where it names one that clients know."""
    outcome = value.get("outcome") if isinstance(value, dict) else value
    return outcome if isinstance(outcome, str) and outcome in OUTCOMES else None


# -- JSON texts -----------------------------------------------------------------------------------


def from_text(text: str) -> Any:
    """The value of a JSON text, a fresh copy at each call; each text is parsed once."""
    return marshal.loads((_parsed.get(text) or _remember(text))[1])


def _remember(text: str) -> tuple[Any, bytes]:
    value = json.loads(text)
    if len(_parsed) >= _MAX_TEXTS:
        _parsed.clear()
    found = _parsed[text] = (value, marshal.dumps(value, 2))
    return found


def as_text(key: object, value: Any) -> str:
    """``value`` as JSON, to be kept under ``key``. Raises UsageError where it is no JSON data.

    A search writes the same records again and again, so the texts are kept by the bytes that marshal makes of the
    value, which is several times faster and tells all JSON data apart. Its version 4 is the fastest. The bytes
    show as well which parts of a value are shared, so equal values may have two entries."""
    try:
        shape = marshal.dumps(value, 4)
    except ValueError:
        return _dumped(key, value)
    text = _texts.get(shape)
    if text is None:
        text = _dumped(key, value)
        if len(_texts) >= _MAX_TEXTS:
            _texts.clear()
        _texts[shape] = text
    return text


def _dumped(key: object, value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"world.store.put({key!r}, ...): the value is no JSON data ({error})") from None


_MAX_TEXTS: Final = 4_096
_parsed: Final[dict[str, tuple[Any, bytes]]] = {}  # JSON text -> its value, never handed out, and that as bytes
_texts: Final[dict[bytes, str]] = {}
