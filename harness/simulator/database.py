"""An SQLite database of a run: its file, and who uses it."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from typing import Final

from .incarnation import Incarnation
from .retained import Opaque

MOST: Final = 1 << 16
"""So many bytes a database has at most: to look through more costs more than it spares."""

VFS: Final = "?vfs=unix-excl" if os.name == "posix" else ""  # as any other, but no other process comes to these files

_open: Final = os.open  # the machine's own: inside a run, that of code under test goes by that name

_WRITTEN_AHEAD: Final = b"\2\2"
"""In the place of a file that says how it is written: what was committed last may stand in another one."""


class Database:
    """The file at ``path``. ``found`` is what was committed when the process that came last connected, None where that
    cannot be told; ``shared`` says that another one that uses it lived then."""

    __slots__ = ("_users", "found", "path", "shared")

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: bytes | None = None
        self.shared = False
        self._users: list[Incarnation] = []

    def used_by(self, process: Incarnation) -> None:
        """A process connects to it."""
        if process in self._users:
            return
        self._users = [each for each in self._users if not each.dead]
        self.shared = bool(self._users)
        self._users.append(process)
        try:
            self.found = self.content
        except Opaque:
            self.found = None

    @property
    def content(self) -> bytes:
        """What is committed to it, in 16 bytes: that is what its file holds, but where it writes ahead. Raises
        Opaque."""
        held = _read(self.path)
        ahead = held[18:20] == _WRITTEN_AHEAD and len(held) <= MOST
        return digest(self._seen() if ahead else held)

    def _seen(self) -> bytes:
        """What somebody sees who connects now."""
        connection = sqlite3.Connection(f"file:{self.path}{VFS}", uri=True, timeout=0)
        try:
            return connection.serialize()
        except sqlite3.Error as error:  # another connection is alone with it
            raise Opaque from error
        finally:
            connection.close()


def _read(path: str) -> bytes:
    try:
        file = _open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return b""
    try:
        return os.read(file, MOST + 1)
    finally:
        os.close(file)


def digest(content: bytes) -> bytes:
    """16 bytes over a file but for how often it was written, which nobody can ask for. Raises Opaque."""
    if len(content) > MOST:
        raise Opaque
    return hashlib.blake2b(content[:24] + content[28:92] + content[96:], digest_size=16).digest()
