"""The protocol of Redis, RESP 2 and 3: what a client asks, and what it is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

BEGINS: Final = b"*"
"""With what each request of a client of Redis begins."""

_END: Final = b"\r\n"


class Status(NamedTuple):
    """A reply that is a word, as ``OK`` is."""

    text: bytes


class Failure(NamedTuple):
    """A reply that is an error."""

    text: bytes


class Pushed(NamedTuple):
    """What is told without having been asked: a message to a subscriber."""

    parts: tuple[Any, ...]


def next_request(buffer: bytearray) -> list[bytes] | None:
    """Take the first request out of what a client has sent: the command and its arguments. None, and nothing is taken,
    where it is not all there. Raises ValueError where it is none."""
    head = _line(buffer, 0, BEGINS)
    if head is None:
        return None
    count, at = head
    fields: list[bytes] = []
    for _ in range(count):
        found = _line(buffer, at, b"$")
        if found is None or len(buffer) < found[1] + found[0] + len(_END):
            return None
        length, begin = found
        fields.append(bytes(buffer[begin : begin + length]))
        at = begin + length + len(_END)
    del buffer[:at]
    return fields


def _line(buffer: bytearray, at: int, sign: bytes) -> tuple[int, int] | None:
    """The number of a line that begins with ``sign``, and where the next one begins; None where it is not there."""
    end = buffer.find(_END, at)
    if end < 0:
        return None
    if buffer[at : at + 1] != sign:
        raise ValueError(f"{bytes(buffer[at:end])!r} is no request of Redis")
    return int(buffer[at + 1 : end]), end + len(_END)


def encoded(value: Any, version: int) -> bytes:  # noqa: PLR0911, one for each type of the protocol
    """A reply as it travels, in that version of the protocol."""
    new = version >= 3
    match value:
        case None:
            return b"_\r\n" if new else b"$-1\r\n"
        case Status(text):
            return b"+" + text + _END
        case Failure(text):
            return b"-" + text + _END
        case Pushed(parts):
            return _listed(b">" if new else b"*", parts, version)
        case bool():
            return (b"#t\r\n" if value else b"#f\r\n") if new else b":%d\r\n" % value
        case int():
            return b":%d\r\n" % value
        case float() if new:
            return b",%s\r\n" % repr(value).encode()
        case dict():
            flat = [part for item in value.items() for part in item]
            return b"%%%d\r\n" % len(value) + _parts(flat, version) if new else _listed(b"*", flat, version)
        case set() | frozenset():
            return _listed(b"~" if new else b"*", sorted(value), version)
        case list() | tuple():
            return _listed(b"*", value, version)
    data = value if isinstance(value, bytes) else str(value).encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


def _listed(sign: bytes, values: Any, version: int) -> bytes:
    return sign + b"%d\r\n" % len(values) + _parts(values, version)


def _parts(values: Iterable[Any], version: int) -> bytes:
    return b"".join(encoded(each, version) for each in values)
