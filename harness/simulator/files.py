"""`world.file()`: an append-only file whose bytes are durable as far as they were synced.

Unlike the key-value store it keeps what half a write leaves: a torn tail is there to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..errors import UsageError
from ..records import Plain, Write
from .host import Host
from .incarnation import Incarnation
from .store import durable_write

_CAN_TEAR: Final = 0


class FilePort:
    """`sagafuzz.DurableFile` for one incarnation of a process. What it appended and did not sync is its own."""

    __slots__ = ("_durable", "_host", "_name", "_pending", "_process", "_written")

    def __init__(self, host: Host, process: Incarnation, name: str) -> None:
        self._host = host
        self._durable = host.durable
        self._process = process
        self._name = name
        self._pending = b""
        self._written = 0  # how many bytes of what it appended are durable

    def append(self, data: bytes) -> None:
        self._process.check_alive()
        if not isinstance(data, (bytes, bytearray)):
            self._host.refuse(UsageError(f"world.file({self._name!r}).append({data!r}): write bytes, str.encode() it"))
        self._pending += bytes(data)

    def read(self) -> bytes:
        self._process.check_alive()
        content = self._durable.files.get(self._name, b"") + self._pending
        self._process.inputs.append(content)
        return content

    def sync(self, *, record: str | None = None, saga: str | None = None, step: str = "") -> None:
        self._process.check_alive()
        if not self._pending:
            return
        about = self._process.current_saga() if saga is None else saga
        write = Write(about, step, record or f"file {self._name}")
        subject = f"{write.record} {step}".rstrip()
        files, name, before = self._durable.files, self._name, b""
        until = self._written + len(self._pending)  # what is appended while it is written is the next sync's

        def commit(writes: Sequence[Plain]) -> None:
            """What was asked for and is not durable yet; half of it where the write is torn."""
            nonlocal before
            before = files.get(name, b"")
            asked = self._pending[: max(until - self._written, 0)]
            torn = Write(*writes[0]).text == "torn"
            files[name] = before + (asked[: len(asked) // 2] if torn else asked)
            self._pending = self._pending[len(asked) :]
            self._written += len(asked)

        def undo() -> None:
            files[name] = before

        durable_write(self._host, self._process, about, subject, (write,), commit, _CAN_TEAR, undo)
