"""A server of Redis in the simulated world, which fakeredis is, with a crash point at each write.

What changes something is one durable write: a command, or all that stands between MULTI and EXEC. What finds nothing to
change is none, so that a consumer may poll. Where the store fails, the connection breaks off. Time is virtual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import lupa  # noqa: F401, without which fakeredis knows no scripts, and so redis-py no locks
import redis
from fakeredis import FakeServer
from fakeredis._commands import Signature
from fakeredis._helpers import NoResponse, SimpleError, SimpleString
from fakeredis._socket._fakesocket import FakeSocket
from fakeredis._socket._resp import extract_command
from fakeredis.model._command_info import is_write_command
from redis.asyncio.connection import AbstractConnection

from ..ports import StoreUnavailable
from ..records import Write
from ..resp_text import Failure, Pushed, Status, encoded, next_request
from .clocks import wall_s
from .host import Host
from .incarnation import Incarnation
from .kernel import Task
from .parking import expect
from .redis_names import about, named, subject
from .redis_state import Kept, keep, put_back
from .server_code import serving
from .store import durable_write
from .streams import NetLoop
from .threads import works_for
from .wires import End

_complain: Final = AbstractConnection.__del__


def _complain_unless_dead(connection: Any) -> None:
    """A connection that died with its process is not to complain, when it is collected, that it is open."""
    if not isinstance(getattr(getattr(connection, "_writer", None), "_loop", None), NetLoop):
        _complain(connection)


AbstractConnection.__del__ = _complain_unless_dead  # type: ignore[assignment]

_ANSWER_US: Final = 100
"""How long the server takes to answer what is no write."""

_NAME: Final = "redis"

_TAKES: Final = frozenset(
    """
    blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin lmove lmpop lpop rpop rpoplpush spop xautoclaim xclaim
    xreadgroup zmpop zpopmax zpopmin
    """.split()  # noqa: SIM905
)
"""The commands by which a consumer takes what somebody has left there."""

_TELLS: Final = frozenset(["publish", "spublish"])
"""Those that change nothing which is kept, and yet are heard."""

_RUNS: Final = frozenset(["eval", "evalsha", "fcall"])
"""Those that may do anything."""


def connected(host: Host, process: Incarnation, end: End, name: str, port: int) -> Callable[[], None]:
    """Let ``end`` be that of a server of Redis; what to call when something has come."""
    servers: dict[Any, Server] = host.remembered.setdefault(_NAME, {})
    server = servers.get((name, port))
    if server is None:
        server = servers[name, port] = Server(host, name)
    return Conversation(server, process, end).heard


class Server:
    """One database server of a run: it outlives the processes of the run."""

    def __init__(self, host: Host, name: str) -> None:
        host.resources[f"redis://{name}"] = self  # which says that runs share more than their ports tell
        self.host = host
        self.name = name
        self.entries: dict[tuple[bytes, bytes], str] = {}  # the saga of each entry of a stream, by that and its id
        self.blocked: list[Blocked] = []
        with serving(host):
            self.fake = FakeServer()
            self._rehearsal = _Rehearsal(FakeServer())
        host.on_close.append(self.blocked.clear)

    def kept(self) -> Kept:
        """What it holds now."""
        with serving(self.host):
            return keep(self.fake, wall_s(self.host))

    def go_back(self, kept: Kept) -> None:
        """Hold what it held."""
        put_back(self.fake, kept)

    def rehearsed(self, of: Conversation, fields: list[bytes]) -> bytes | None:
        """What a command would be answered now; None where it would change nothing."""
        with serving(self.host):
            before = keep(self.fake, wall_s(self.host))
            answer = self._rehearsal.act(self.fake, before, of, fields)
            return None if keep(self._rehearsal.server, wall_s(self.host)) == before else answer

    def changed(self, fields: list[bytes], by: Conversation) -> None:
        """Let those look again who wait for something that these words name, and send what subscribers are told; who
        has changed it hears of that later."""
        words = set(fields)
        for blocked in self.blocked[:]:
            if not words.isdisjoint(blocked.fields):
                blocked.look()
        for sock in self.fake.sockets[:]:
            if sock is not by:
                sock.flush()


class Blocked:
    """A command that waits: ``act(False)`` gives what it waits for, or None; ``shape`` makes its answer. ``task`` has
    asked for it. As a `Waiting` it is told when its time is over."""

    def __init__(
        self,
        of: Conversation,
        fields: list[bytes],
        task: Task,
        act: Callable[[bool], Any],
        shape: Callable[[Any], Any] | None,
    ) -> None:
        self.fields = fields
        self.task = task
        self.over = False
        self._of = of
        self._act = act
        self._shape = shape
        self._looks = self._late = False

    def look(self) -> None:
        """Something has changed: go on, if that is what it waits for. One that would change something itself does so in
        a task of its own, since a fault may strike it."""
        if may_write(self.fields):
            if not self._looks:
                self._looks = True
                self._of.process.spawn(_NAME, self.task.saga, self._again)
            return
        with serving(self._of.server.host):
            found = self._act(False)
        if found is not None:
            self._end(found)

    def _again(self) -> None:
        if not self.over:
            self._of.try_again(self)
        self._looks = False
        if self._late and not self.over:
            self._end(None)

    def go(self, *, in_time: bool) -> None:
        """It has waited for as long as it was to."""
        self._late = True
        if not (self.over or self._looks):
            self._end(None)

    def _end(self, found: Any) -> None:
        of = self._of
        self.ends()
        with serving(of.server.host):
            of.reply(found if self._shape is None else self._shape(found))
        of.flush()
        if of.has_more:
            of.process.spawn(_NAME, self.task.saga, of.go_on)

    def ends(self) -> None:
        """It waits no longer."""
        self.over = True
        self._of.blocked = None
        self._of.server.blocked.remove(self)


_INFO: Final = Signature("info", "_info", (), (bytes,))  # type: ignore[arg-type]


class _Result:
    """What a command gives, as told apart from what is pushed."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Answering(FakeSocket):
    """What a connection and a rehearsal have in common: answers are gathered until somebody takes them."""

    def __init__(self, fake: FakeServer) -> None:
        super().__init__(fake, 0, client_class=redis.Redis)
        self._out = bytearray()

    def __hash__(self) -> int:  # sets of them are to have one order
        return int(self._client_info["id"])

    def __eq__(self, other: object) -> bool:
        return self is other

    def _name_to_func(self, cmd_name: str) -> tuple[Callable[..., Any] | None, Signature]:
        if cmd_name == _INFO.name:
            return self._info, _INFO
        found: tuple[Callable[..., Any] | None, Signature] = super()._name_to_func(cmd_name)
        return found

    def _info(self, *sections: bytes) -> bytes:
        """What a server says of itself, which fakeredis does not: as far as clients ask for it."""
        keys = {"keys": len(self._db), "expires": 0, "avg_ttl": 0}
        told: dict[str, dict[str, object]] = {
            "Server": {"redis_version": ".".join(map(str, (*self.version, 0, 0)[:3])), "redis_mode": "standalone"},
            "Clients": {"connected_clients": len(self._server.sockets), "blocked_clients": 0},
            "Memory": {"used_memory": 0, "used_memory_human": "0B", "maxmemory": 0},
            "Replication": {"role": "master", "connected_slaves": 0},
            "Keyspace": {f"db{self._db_num}": ",".join(f"{name}={count}" for name, count in keys.items())},
        }
        asked = {section.decode().lower() for section in sections} - {"all", "default", "everything"}
        parts = [name for name in told if name.lower() in asked or not asked]
        lines = [line for name in parts for line in (f"# {name}", *(f"{k}:{v}" for k, v in told[name].items()), "")]
        return "\r\n".join(lines).encode()

    def _decode_result(self, result: Any) -> Any:
        return _Result(result)

    def put_response(self, msg: Any) -> None:
        if isinstance(msg, _Result):
            self.reply(msg.value)
        else:
            self._out += encoded(Pushed(tuple(map(_plain, msg))), self._client_info.protocol_version)

    def reply(self, value: Any) -> None:
        """Answer a command."""
        if not isinstance(value, NoResponse):
            self._out += encoded(_plain(value), self._client_info.protocol_version)

    def taken(self) -> bytes:
        """What is to be sent."""
        out = bytes(self._out)
        self._out.clear()
        return out


class _Rehearsal(_Answering):
    """A connection to a copy of a server, on which is tried what a command would do."""

    def __init__(self, fake: FakeServer) -> None:
        super().__init__(fake)
        self.server = fake

    def act(self, fake: FakeServer, kept: Kept, of: Conversation, fields: list[bytes]) -> bytes:
        """Do a command of the connection ``of`` on a copy of what is ``kept`` of its server."""
        put_back(self.server, kept)
        self.server.script_cache = fake.script_cache
        self._db_num, self._db = of._db_num, self.server.dbs[of._db_num]
        self._client_info["resp"] = of._client_info.protocol_version
        self._process_command(fields)
        return self.taken()

    def _blocking(self, timeout: float | None, func: Any, shape: Any = None) -> Any:
        found = func(True)
        return found if shape is None else shape(found)


class Conversation(_Answering):
    """The server's side of one connection."""

    def __init__(self, server: Server, process: Incarnation, end: End) -> None:
        with serving(server.host):
            super().__init__(server.fake)
        self.server = server
        self.process = process
        self.blocked: Blocked | None = None
        self._end = end
        self._read = bytearray()
        self._busy = False
        self._task = server.host.task()  # who has asked last
        self._fields: list[bytes] = []  # for what
        self._asked: list[list[bytes]] = []  # the writes of the transaction that is open

    # -- what comes and goes ----------------------------------------------------------------------

    def heard(self) -> None:
        """Something has come from the client."""
        end = self._end
        self._read += end.buffer
        end.buffer.clear()
        if end.error is None and self._read:
            self.go_on()
        if end.error is not None or end.eof:
            end.close()
            self._leave()

    def _leave(self) -> None:
        """The connection is no more."""
        if self.blocked is not None:
            self.blocked.ends()
        if self._server is not None:
            self.close()

    @property
    def has_more(self) -> bool:
        """True if something has come that was not looked at."""
        return bool(self._read)

    def go_on(self) -> None:
        """Do what the client has asked for, one after the other, until one waits."""
        if self._busy:
            return
        self._busy = True
        try:
            while self.blocked is None and not self._end.closed and (fields := next_request(self._read)) is not None:
                if fields:
                    self._do(fields)
        finally:
            self._busy = False

    def flush(self) -> None:
        """Send what is answered."""
        out = self.taken()
        if out and not self._end.closed and not self._end.peer.closed:
            self._end.send(out)

    # -- commands ---------------------------------------------------------------------------------

    def _do(self, fields: list[bytes]) -> None:
        host = self.server.host
        self.process.check_alive()
        self._task, self._fields, name = host.task(), fields, name_of(fields)
        if name in _TAKES:
            works_for(self._task, "")
        asked, tried = self._asks(name, fields)
        if tried is not None:
            self._write(fields, asked, tried)
        else:
            if not host.manual:
                host.kernel.sleep(self._task, _ANSWER_US)
            self._act(fields)
        self.flush()

    def _asks(self, name: str, fields: list[bytes]) -> tuple[list[list[bytes]], bytes | None]:
        """The writes that a command asks for, and what it would be answered; None where it would change nothing, or
        does not do so now."""
        if name in ("multi", "discard", "reset"):
            self._asked = []
        if name == "exec":
            asked, self._asked = self._asked, []
            return asked, b"" if asked and not self._watch_notified else None
        if self._queueing:
            if may_write(fields):
                self._asked.append(fields)
            return [], None
        if name in _TELLS:
            return [fields], b""
        return [fields], self.server.rehearsed(self, fields) if may_write(fields) else None

    def try_again(self, blocked: Blocked) -> None:
        """Do what has waited, if now it would change something."""
        tried = self.server.rehearsed(self, blocked.fields)
        if tried is not None:
            self._write(blocked.fields, [blocked.fields], tried)
            self.flush()
            self.go_on()

    def _write(self, fields: list[bytes], asked: list[list[bytes]], tried: bytes) -> None:
        """One durable write."""
        server, process = self.server, self.process
        host, known = server.host, server.host.setup.known
        takes = name_of(fields) in _TAKES
        saga = about(asked, known, server.entries) or (takes and named([tried], known)) or process.current_saga()
        what = f"{server.name}: {subject([(name_of(each), each) for each in asked], saga)}"
        kept: list[Kept] = []

        def commit(_: object) -> None:
            kept.append(server.kept())
            self._act(fields)
            for each in asked:
                server.changed(each, self)

        try:
            durable_write(
                host, process, saga, what, (Write(saga, "", what),), commit, undo=lambda: server.go_back(kept[-1])
            )
        except StoreUnavailable:
            self.taken()
            self._end.reset()
            self._leave()
            return
        if takes and self.blocked is None:
            works_for(self._task, saga)

    def _act(self, fields: list[bytes]) -> None:
        """Do a command."""
        begins = len(self._out)
        with serving(self.server.host):
            self._process_command(fields)
        if name_of(fields) == "xadd":
            known = self.server.host.setup.known
            saga = named(fields, known) or self.process.current_saga()
            self.server.entries[fields[1], bytes(self._out[begins:]).split(b"\r\n")[1]] = saga

    def _blocking(self, timeout: float | None, func: Any, shape: Any = None) -> Any:
        found = func(True)
        if found is not None or self._in_transaction:
            if self.blocked is not None:
                self.blocked.ends()
            return found if shape is None else shape(found)
        if self.blocked is None:
            self.blocked = Blocked(self, self._fields, self._task, func, shape)
            self.server.blocked.append(self.blocked)
            if timeout:
                expect(self.server.host.kernel, max(1, round(timeout * 1e6)), self.blocked)
        return NoResponse()


def name_of(fields: list[bytes]) -> str:
    """The name of a command, with that of its part: ``xgroup create``."""
    name: str = extract_command(fields)[0]
    return name


def may_write(fields: list[bytes]) -> bool:
    """True if a command may change something, or tell somebody."""
    name = name_of(fields)
    return name in _RUNS or name in _TELLS or is_write_command(name.encode())


def _plain(value: Any) -> Any:
    """A reply of fakeredis as one of `resp_text`."""
    if isinstance(value, SimpleString):
        return Status(value.value)
    if isinstance(value, SimpleError):
        return Failure(value.value.encode())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value
