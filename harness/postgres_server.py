"""The real PostgreSQL server behind a simulated one: who reaches it, and databases of it that are empty for each run.

A process of the harness makes a database the first time that one is needed, empties it before it is used again, and
drops it in the end. What one that was killed has left, the next one drops.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import select
import shlex
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from multiprocessing.util import Finalize
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from .errors import UsageError
from .postgres import VERSION_3, first_of, message

SERVER: Final = "SAGAFUZZ_POSTGRES"
"""The environment variable that names the server."""

EXAMPLE: Final = f"{SERVER}=postgresql://user:password@localhost:5432/postgres"
PATIENCE_S: Final = 60.0
"""How long the server may take, in real time, for anything that waits for nobody of the run."""

_FAST: Final = {"synchronous_commit": "off", "jit": "off"}
"""Settings of each connection: only processes die here, and no server."""

_EMPTY: Final = """
DO $$ DECLARE one record; BEGIN
  FOR one IN SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() LOOP
    PERFORM pg_terminate_backend(one.pid, 10000);
  END LOOP;
  FOR one IN SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' LOOP
    EXECUTE format('DROP EXTENSION IF EXISTS %I CASCADE', one.extname);
  END LOOP;
  FOR one IN SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', one.nspname);
  END LOOP;
  PERFORM lo_unlink(oid) FROM pg_largeobject_metadata;
  CREATE SCHEMA public;
  GRANT USAGE ON SCHEMA public TO PUBLIC;
END $$
"""

_WAITING: Final = """
SELECT pid, array_to_string(pg_blocking_pids(pid), ' ') FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""

_LEFT: Final = """
SELECT datname FROM pg_database WHERE datname LIKE 'sagafuzz\\_run\\_%' AND NOT EXISTS (
  SELECT FROM pg_stat_activity WHERE application_name <> '' AND datname LIKE application_name || '\\_%')
"""


class Refusal(Exception):
    """The server has refused something; its text says what."""


class Address(NamedTuple):
    """Where the server is, and who asks. ``database`` is one that is there, from which others are made."""

    host: str
    port: int
    user: str
    password: str
    database: str


def address_of(text: str) -> Address:
    """What `SERVER` says: a URL, or words as ``host=localhost user=me``. Raises UsageError where it is neither."""
    try:
        if "://" in text:
            url = urlsplit(text)
            found = {"host": url.hostname, "port": url.port, "user": url.username, "password": url.password}
            said = {name: unquote(str(value)) for name, value in found.items() if value} | {"dbname": url.path[1:]}
        else:
            said = dict(word.split("=", 1) for word in shlex.split(text))
        return Address(
            host=said.get("host") or "localhost",
            port=int(said.get("port") or 5432),
            user=said.get("user") or "postgres",
            password=said.get("password", ""),
            database=said.get("dbname") or "postgres",
        )
    except ValueError:
        raise UsageError(f"{SERVER}={text!r} names no server; write {EXAMPLE}") from None


class Backend:
    """A connection to the server. ``greeting`` are the messages by which it began, ``pid`` is its process."""

    def __init__(self, address: Address, database: str, parameters: Mapping[str, str]) -> None:
        self._buffer = bytearray()
        self._address = address
        self._waiting = select.poll()
        self._sock = _connected(address)
        self._waiting.register(self._sock, select.POLLIN)
        self.pid = 0
        self.greeting: list[tuple[bytes, bytes]] = []
        self.is_superuser = False
        said = {"user": address.user, "database": database, **_FAST, **parameters}
        content = b"".join(f"{name}\0{value}\0".encode() for name, value in said.items()) + b"\0"
        try:
            self.send(struct.pack("!ii", len(content) + 8, VERSION_3) + content)
            self._begin()
        except BaseException:
            self._sock.close()
            raise

    def _begin(self) -> None:
        login = Login(self._address)
        while True:
            letter, content = self.next()
            if letter == b"R":
                if reply := login.answer(content):
                    self.send(message(b"p", reply))
                continue
            if letter == b"E":
                raise Refusal(said_in(content))
            self.greeting.append((letter, content))
            if letter == b"K":
                (self.pid,) = struct.unpack_from("!i", content)
            elif letter == b"S" and content == b"is_superuser\0on\0":
                self.is_superuser = True
            elif letter == b"Z":
                return

    def send(self, data: bytes) -> None:
        """Bring it to the server, which may answer meanwhile."""
        left = memoryview(data)
        both = select.poll()
        both.register(self._sock, select.POLLIN | select.POLLOUT)
        while left:
            ((_, events),) = both.poll()
            if events & select.POLLOUT:
                left = left[self._sock.send(left) :]
            else:
                self._receive()

    def within(self, seconds: float) -> tuple[bytes, bytes] | None:
        """The letter and the content of the next message; None where none comes in that time."""
        while (found := first_of(self._buffer)) is None:
            if not self._waiting.poll(seconds * 1000):
                return None
            self._receive()
        return found

    def next(self) -> tuple[bytes, bytes]:
        """The next message. Raises Refusal where none comes for a long time."""
        found = self.within(PATIENCE_S)
        if found is None:
            raise Refusal(f"it has not answered for {PATIENCE_S:.0f} seconds")
        return found

    def _receive(self) -> None:
        data = self._sock.recv(65_536)
        if not data:
            raise ConnectionResetError("the server has closed the connection")
        self._buffer += data

    def rows(self, sql: str) -> list[list[str | None]]:
        """What a query gives, as text. Raises Refusal where it fails."""
        self.send(message(b"Q", sql.encode() + b"\0"))
        rows: list[list[str | None]] = []
        failed = ""
        while True:
            letter, content = self.next()
            if letter == b"D":
                rows.append(_columns(content))
            elif letter == b"E":
                failed = said_in(content)
            elif letter == b"Z":
                if failed:
                    raise Refusal(failed)
                return rows

    def end(self) -> None:
        """Hang up, and wait until the server's process is gone: it closes the socket as the last that it does."""
        with suppress(OSError):
            self.send(message(b"X", b""))
            self.gone()
        self._sock.close()

    def gone(self) -> None:
        """Wait until the server has closed the connection."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if self._waiting.poll(1000):
                self._receive()


def _connected(address: Address) -> socket.socket:
    if address.host.startswith("/"):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(f"{address.host}/.s.PGSQL.{address.port}")
        return sock
    sock = socket.create_connection((address.host, address.port), timeout=10)
    sock.settimeout(None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _columns(content: bytes) -> list[str | None]:
    (count,) = struct.unpack_from("!h", content)
    found: list[str | None] = []
    at = 2
    for _ in range(count):
        (length,) = struct.unpack_from("!i", content, at)
        at += 4
        found.append(None if length < 0 else content[at : at + length].decode())
        at += max(length, 0)
    return found


def said_in(content: bytes) -> str:
    """What an ErrorResponse says."""
    fields = {part[:1]: part[1:].decode("utf-8", "replace") for part in content.split(b"\0") if part}
    return fields.get(b"M", "it failed")


class Login:
    """Who asks proves who he is: by a password, plain, as MD5, or by SCRAM-SHA-256 (RFC 5802)."""

    def __init__(self, address: Address) -> None:
        self._user, self._password = address.user.encode(), address.password.encode()
        self.first = f"n=,r={base64.b64encode(os.urandom(18)).decode()}"

    def answer(self, content: bytes) -> bytes:
        """What is said to the server's request; nothing where it asks for nothing."""
        (kind,) = struct.unpack_from("!i", content)
        rest = content[4:]
        if kind == 3:
            return self._password + b"\0"
        if kind == 5:
            inner = hashlib.md5(self._password + self._user).hexdigest().encode()
            return b"md5" + hashlib.md5(inner + rest).hexdigest().encode() + b"\0"
        if kind == 10:
            first = f"n,,{self.first}".encode()
            return b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first
        if kind == 11:
            return self._proof(rest.decode())
        if kind in (0, 12):
            return b""
        raise Refusal(f"it asks for a login of kind {kind}, which sagafuzz does not know")

    def _proof(self, challenge: str) -> bytes:
        said = dict(part.split("=", 1) for part in challenge.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(said["s"]), int(said["i"]))
        key = _mac(salted, b"Client Key")
        last = f"c=biws,r={said['r']}"
        signature = _mac(hashlib.sha256(key).digest(), f"{self.first},{challenge},{last}".encode())
        proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        return f"{last},p={base64.b64encode(proof).decode()}".encode()


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


class Database:
    """An empty database. ``control`` is a connection to it that no fault strikes."""

    def __init__(self, address: Address, name: str) -> None:
        self.address = address
        self.name = name
        self.control = Backend(address, name, {"application_name": "sagafuzz"})

    def connect(self, parameters: Mapping[str, str]) -> Backend:
        """A connection of the code under test."""
        quick = {"deadlock_timeout": "10ms"} if self.control.is_superuser else {}
        return Backend(self.address, self.name, quick | dict(parameters))

    def waiting(self) -> dict[int, list[int]]:
        """By each process of the server that waits for a lock, those that it waits for."""
        return {int(pid or 0): [*map(int, (by or "").split())] for pid, by in self.control.rows(_WAITING)}

    def end(self, backend: Backend, *, at_work: bool) -> None:
        """Roll back what a connection has not committed, and wait until it is gone. One that is ``at_work`` hears
        nothing, so it is told by another."""
        if at_work:
            self.control.rows(f"SELECT pg_terminate_backend({backend.pid})")
        backend.end()

    def cancel(self, backend: Backend) -> None:
        """Cancel what a connection does."""
        self.control.rows(f"SELECT pg_cancel_backend({backend.pid})")

    def empty(self) -> None:
        """Leave nothing in it."""
        for (name,) in self.control.rows("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"):
            self.control.rows(f"ROLLBACK PREPARED {_quoted(name or '')}")
        self.control.rows(_EMPTY)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Server:
    """The server, as one process of the harness uses it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._token = f"sagafuzz_run_{os.urandom(6).hex()}"
        self._free: list[Database] = []
        self._made = 0
        self._admin = Backend(address, address.database, {"application_name": self._token})
        for (name,) in self._admin.rows(_LEFT):
            with suppress(Refusal):  # another one is at it
                self._admin.rows(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        Finalize(None, self._close, exitpriority=0)

    def take(self) -> Database:
        """An empty database, until it is given back."""
        if self._free:
            found = self._free.pop()
            found.empty()
            return found
        self._made += 1
        name = f"{self._token}_{self._made}"
        self._admin.rows(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return Database(self._address, name)

    def give_back(self, database: Database) -> None:
        """It may be used for another run."""
        self._free.append(database)

    def _close(self) -> None:
        with suppress(OSError, Refusal):
            for number in range(self._made):
                self._admin.rows(f'DROP DATABASE IF EXISTS "{self._token}_{number + 1}" WITH (FORCE)')


def server(text: str) -> Server:
    """The server of that address. Raises UsageError where it cannot be used."""
    if not hasattr(select, "poll"):
        raise UsageError(f"{SERVER}: services on PostgreSQL are run on Linux and macOS only; take SQLite")
    try:
        return _server(text, os.getpid())
    except (OSError, Refusal) as error:
        raise UsageError(f"{SERVER} names a PostgreSQL server that cannot be used ({error}); write {EXAMPLE}") from None


@cache
def _server(text: str, process: int) -> Server:
    """One for each process of the harness: who is forked makes connections of its own."""
    return Server(address_of(text))
