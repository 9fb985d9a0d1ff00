"""What the words of a command of Redis tell: which saga it is about, and how its site is named."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

_BODY: Final = re.compile(rb'"body": ?"((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)"')
"""The body of a message of kombu, and so of Celery: it is encoded as base64."""

Fields = Sequence[bytes]
"""A command and its arguments."""

_PART: Final = re.compile(r"[^\W_]+")
_ID: Final = re.compile(r"\d+|[0-9a-fA-F]{8,}|(?=.*\d).{12,}")
"""A part of a key that tells one thing of a kind from another."""


@lru_cache(maxsize=64)
def _any_of(sagas: tuple[str, ...]) -> re.Pattern[bytes]:
    longest_first = sorted(sagas, key=len, reverse=True)
    return re.compile(
        rb"(?<![\w-])(?:" + b"|".join(re.escape(each.encode()) for each in longest_first) + rb")(?![\w-])"
    )


def named(texts: Iterable[bytes], known: Iterable[str]) -> str:
    """The one saga that is named in some texts, or in the bodies of kombu's messages there; "" where none is, or
    several are."""
    pattern = _any_of(tuple(known))
    found = {each for text in texts for part in (text, *_bodies(text)) for each in pattern.findall(part)}
    return found.pop().decode() if len(found) == 1 else ""


def _bodies(text: bytes) -> list[bytes]:
    return [b64decode(body) for body in _BODY.findall(text)]


def about(commands: Iterable[Fields], known: Iterable[str], entries: Mapping[tuple[bytes, bytes], str]) -> str:
    """The saga that some commands are about, by what they name: it, or one of the ``entries`` of a stream."""
    for fields in commands:
        saga = named(fields, known) or next(
            (entries[fields[1], id] for id in fields[2:] if (fields[1], id) in entries), ""
        )
        if saga:
            return saga
    return ""


def subject(commands: Iterable[tuple[str, Fields]], saga: str) -> str:
    """How a write is named: ``set price``, ``xadd orders``. What tells one thing from another of its kind is left
    out."""
    return " + ".join(dict.fromkeys(f"{name} {_kind(_key(name, fields), saga)}".rstrip() for name, fields in commands))


def _key(name: str, fields: Fields) -> str:
    """The first key that a command names."""
    at = 1 + name.count(" ")
    if name in ("eval", "evalsha", "fcall"):
        at = 3
    elif name == "xreadgroup":
        at = 1 + [field.lower() for field in fields].index(b"streams")
    return fields[at].decode("utf-8", "replace") if len(fields) > at else ""


def _kind(key: str, saga: str) -> str:
    """A key as far as it is one of its kind: ``order`` of ``order:saga-1`` and of ``order:7f3a04c1``."""
    cut = key.find(saga) if saga else -1
    end = cut if cut >= 0 else len(key)
    for part in _PART.finditer(key, 0, end):
        if _ID.fullmatch(part[0]):
            end = part.start()
            break
    return key[:end].rstrip(":/.-_{@")
