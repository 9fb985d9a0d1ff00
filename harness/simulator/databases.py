"""SQLite files of the code under test: a path that it connects to is a durable database of the world.

It is empty when a run begins, it outlives the processes of the run, and each commit is a crash point. See `sqlite`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from .host import Host
from .incarnation import Incarnation
from .leaving import Way, leave
from .replacing import Served
from .sqlite import connect

_OPTIONS: Final = ("timeout", "detect_types", "isolation_level", "check_same_thread", "factory", "cached_statements")
"""The positional arguments of `sqlite3.connect` after the database."""

_SAME: Final = ("detect_types", "isolation_level", "check_same_thread", "factory", "cached_statements", "autocommit")
"""Those that mean here what they mean there."""

_IN_MEMORY: Final = (":memory:", "mode=memory")

_SHARED: Final = Way(
    "opens a SQLite database in memory that is shared, by one run and the next as well",
    "name a file: the run keeps it, and makes none; pytest-django's is one by "
    "DATABASES['default']['TEST'] = {'NAME': 'test.sqlite3'}",
)


def _connect(sim: Host, original: Callable[..., Any], database: Any, *args: Any, **options: Any) -> Any:
    text = os.fsdecode(database)
    if not text or any(word in text for word in _IN_MEMORY):
        if "cache=shared" in text:
            leave(sim, _SHARED, text)
        return original(database, *args, **options)
    options = dict(zip(_OPTIONS, args, strict=False)) | options
    process = sim.task().process
    assert isinstance(process, Incarnation)
    process.check_alive()
    kept = {name: options[name] for name in _SAME if name in options}
    busy_ms = round(options.get("timeout", 5.0) * 1000)
    path = unquote(urlsplit(text).path) if text.startswith("file:") else text
    folder = "" if process.participant is None else process.participant.folder
    return connect(sim, process, folder + database_name(path), busy_ms=busy_ms, **kept)


def database_name(path: str) -> str:
    """One name for each file, whatever path leads to it: from the current folder, if it is in there."""
    full = Path(path).absolute()
    here = Path.cwd()
    return full.relative_to(here).as_posix() if full.is_relative_to(here) else full.as_posix()


DATABASES: Final = (
    Served(sqlite3, "connect", _connect),
    Served(sqlite3.dbapi2, "connect", _connect),
)
"""What of databases is another thing in the code of a service."""
