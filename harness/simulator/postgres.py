"""Where PostgreSQL's protocol enters the simulated network: asyncpg, pg8000 and what is built on them.

Behind each connection is one to a real server (see `sagafuzz.postgres_server`), to a database that is empty when the
run begins. Each commit is a crash point of its process. A connection whose process died, or whose client hangs up, is
rolled back by the server before anything else goes on. Whoever waits for another connection's lock waits in virtual
time: the server is asked who waits for whom, and goes on with those whose lock was given back, in that order.

The server answers at once, and by its own clock: ``now()``, ``random()`` and sequences are its own.
"""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, Final, NoReturn, Protocol

from ..errors import UsageError
from ..ports import StoreUnavailable
from ..postgres import CANCEL, ENDS, GATHERED, GSS, SSL, Dialogue, Turn, first_of, message, startup
from ..postgres_server import EXAMPLE, PATIENCE_S, SERVER, Backend, Database, Refusal, Server, server
from ..records import Write
from ..sql import Defined, statements
from .host import Host
from .incarnation import Incarnation
from .inside import enter
from .parking import Waiters
from .store import durable_write
from .wires import End

_RUN: Final = "PostgreSQL of this run"
_LOOK_S: Final = 0.03
"""After so long without an answer it is asked whether the statement waits for a lock: three times as long as the
server takes to look for a deadlock, which so is found by who closed it."""

_FIRST_PID: Final = 1_000
_OF_THE_SERVER: Final = ("database", "role", "user", "group", "tablespace", "system")
"""What a statement makes that outlives the database."""


@contextmanager
def really() -> Iterator[None]:
    """Meanwhile sockets, time and chance are the real ones."""
    running = enter(None)
    try:
        yield
    finally:
        enter(running)


class _NotDurable(Exception):
    """The server has refused what was to be committed."""


class Net(Protocol):
    """What reaches the server: the edges of a process."""

    host: Host
    process: Incarnation

    def refuse(self, does: str, instead: str) -> NoReturn:
        """End the run: the user's code does what it cannot."""


class _Run:
    """The databases of one run, by host, port and name, what is defined in each, and the connections to them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.databases: dict[tuple[str, int, str], Database] = {}
        self.defined: defaultdict[tuple[str, int, str], Defined] = defaultdict(Defined)
        self.talks: list[Talk] = []
        self.held_up: dict[Talk, Callable[[], object]] = {}  # those that wait for a lock, and what is to be done then
        self._settling = False

    def database(self, place: tuple[str, int, str]) -> Database:
        """The database of that place."""
        found = self.databases.get(place)
        if found is None:
            found = self.databases[place] = self._server.take()
        return found

    def settle(self) -> None:
        """Some connection has gone on: let those go on whose lock it may have given back."""
        if self._settling or not self.held_up:
            return
        self._settling = True
        try:
            while goes_on := [talk for talk in self.held_up if talk.listen()]:
                waited = [self.held_up.pop(talk) for talk in goes_on]
                for then in waited:
                    then()
        finally:
            self._settling = False

    def close(self) -> None:
        """The run is over."""
        self.held_up.clear()
        for talk in self.talks:
            talk.close()
        for database in self.databases.values():
            self._server.give_back(database)


def _run_of(host: Host) -> _Run:
    """The same for all connections of a run. Raises UsageError where no server can be used."""
    found = host.resources.get(_RUN)
    if found is None:
        text = os.environ.get(SERVER, "")
        if not text:
            raise UsageError(f"{SERVER} names no server for it; write {EXAMPLE}: sagafuzz makes databases there")
        found = host.resources[_RUN] = _Run(server(text))
        host.on_close.append(found.close)
    return found


class Talk:
    """A server's side of one connection, which began with a message of PostgreSQL's protocol."""

    def __init__(self, net: Net, end: End, name: str, port: int) -> None:
        self._net = net
        self._end = end
        self._host, self._port = name, port
        self._label = ""
        self._run: _Run | None = None
        self._database: Database | None = None
        self._backend: Backend | None = None
        self._number = 0
        self._defined = Defined()
        self._dialogue, self._turn = Dialogue(self._defined), Turn()
        self._flight = bytearray()
        self._letters = bytearray()
        self._changes: list[str] = []
        self._reply = bytearray()
        self._busy = False  # what comes meanwhile waits until the server has answered
        self._cancelled = False
        self._waiters = Waiters()
        end.on_change = self.heard

    # -- from the client ------------------------------------------------------------------------------

    def heard(self) -> None:
        """Something has come, or the client is gone."""
        end = self._end
        if end.error is not None or (end.eof and not end.buffer):
            self._hang_up()
            return
        try:
            while not (self._busy or end.closed) and (self._take() if self._backend is not None else self._begin()):
                pass
        except Refusal as error:
            self._give_up(error)
        except OSError:  # the server has hung up
            self._break()

    def _begin(self) -> bool:
        """Handle what comes before messages have letters."""
        buffer = self._end.buffer
        if len(buffer) < 8:
            return False
        length, code = struct.unpack_from("!ii", buffer)
        if len(buffer) < length:
            return False
        content = bytes(buffer[8:length])
        del buffer[:length]
        if code in (SSL, GSS):
            self._end.send(b"S" if code == SSL else b"N")  # TLS is the identity here: see `tls`
        elif code == CANCEL:
            self._cancel(*struct.unpack_from("!i", content))
            self._end.close()
        else:
            self._connect(startup(content))
        return True

    def _connect(self, said: dict[str, str]) -> None:
        name = said.pop("database", None) or said.get("user", "")
        said.pop("user", None)
        try:
            with really():
                run = self._run = _run_of(self._net.host)
                self._database = run.database((self._host, self._port, name))
            self._defined = run.defined[self._host, self._port, name]
            self._dialogue = Dialogue(self._defined)
        except UsageError as error:
            self._net.refuse(f"connects to PostgreSQL ({name} at {self._host}:{self._port})", str(error))
        self._label = f"{name}: "
        try:
            with really():
                self._backend = self._database.connect(said)
        except Refusal as error:  # a setting that there is not, say
            self._end.send(_error("FATAL", "28000", str(error)))
            self._end.close()
            return
        self._number = len(run.talks) + _FIRST_PID
        run.talks.append(self)
        self._end.send(message(b"R", struct.pack("!i", 0)))
        for letter, content in self._backend.greeting:
            told = struct.pack("!ii", self._number, self._number) if letter == b"K" else content
            self._end.send(message(letter, told))

    def _cancel(self, number: int) -> None:
        """A client asks to cancel what another connection does: only one that waits does something."""
        run = _run_of(self._net.host)
        for talk in run.held_up:
            if talk._number == number and talk._backend is not None and talk._database is not None:
                talk._cancelled = True
                with really():
                    talk._database.cancel(talk._backend)
        run.settle()

    def _take(self) -> bool:
        """Handle the next message of the client; False where it is not all there."""
        found = first_of(self._end.buffer)
        if found is None:
            return False
        letter, content = found
        if letter == b"X":
            self._hang_up()
            return False
        self._changes += self._dialogue.hear(letter, content)
        if letter in b"QP" and (what := _leaves(self._dialogue.said)):
            self._net.refuse(f"says {what} to PostgreSQL, which is not of its database alone", "test it in live mode")
        self._flight += message(letter, content)
        self._letters += letter
        if letter in GATHERED or letter == b"d":
            return True
        flight, letters = bytes(self._flight), bytes(self._letters)
        self._flight.clear()
        self._letters.clear()
        if self._changes and (letter in ENDS or self._dialogue.explicit):
            changes = tuple(dict.fromkeys(self._changes))
            self._changes.clear()
            self._commit(flight, letters, changes)
        else:
            self._ask(flight, letters)
        return True

    # -- to the server, and back ----------------------------------------------------------------------

    def _ask(self, flight: bytes, letters: bytes) -> None:
        """Send what commits nothing."""
        if self._send(flight, letters):
            self._deliver()
        else:
            self._busy = True
            self._of_the_run.held_up[self] = self._goes_on
        self._of_the_run.settle()

    def _goes_on(self) -> None:
        self._busy = False
        self._deliver()
        self.heard()

    def _send(self, flight: bytes, letters: bytes) -> bool:
        """Whether it has been answered: else it waits for a lock."""
        assert self._backend is not None
        self._turn.ask(letters)
        with really():
            self._backend.send(flight)
        return self.listen()

    def listen(self) -> bool:
        """Hear the server out; False where the statement waits for a lock that another connection holds."""
        assert self._backend is not None
        with really():
            return self._listen(self._backend)

    def _listen(self, backend: Backend) -> bool:
        looks = 0
        while not self._turn.over:
            found = backend.within(_LOOK_S)
            if found is None:
                looks += 1
                if self._waits(backend):
                    return False
                if looks * _LOOK_S > PATIENCE_S:
                    raise Refusal(f"it has not answered for {PATIENCE_S:.0f} seconds")
                continue
            letter, content = found
            self._reply += message(letter, content)
            self._turn.hear(letter)
            if letter == b"Z":
                self._dialogue.settle(content)
        self._cancelled = False
        return True

    def _waits(self, backend: Backend) -> bool:
        """True if it waits for others of the run, and they not for it: the server ends that by itself."""
        assert self._database is not None
        if self._cancelled:
            return False
        ours = {talk._backend.pid for talk in self._of_the_run.talks if talk._backend is not None}
        graph = self._database.waiting()
        reached: set[int] = set()
        left = [*graph.get(backend.pid, [])]
        while left:
            pid = left.pop()
            if pid not in reached:
                reached.add(pid)
                left += graph.get(pid, [])
        return bool(reached) and reached <= ours and backend.pid not in reached

    def _deliver(self) -> None:
        reply = bytes(self._reply)
        self._reply.clear()
        if not self._end.closed:
            self._end.send(reply)

    # -- a commit -------------------------------------------------------------------------------------

    def _commit(self, flight: bytes, letters: bytes, changes: tuple[str, ...]) -> None:
        """Send what makes changes durable: in the thread that calls, or beside the event loop that does."""
        host, process = self._net.host, self._net.process
        saga, subject = process.current_saga(), self._label + " + ".join(changes)
        self._busy = True
        make = partial(self._make_durable, saga, subject, partial(self._carry_out, flight, letters, changes))
        if host.task().loop is not None:
            process.spawn("commit", saga, make)
        else:
            make()

    def _make_durable(self, saga: str, subject: str, act: Callable[[], object]) -> None:
        host, process = self._net.host, self._net.process
        try:
            if process.participant is not None:
                process.participant.commit(saga, subject, act)
            else:
                durable_write(host, process, saga, subject, (Write(saga, "", subject),), lambda _: act())
        except _NotDurable:
            pass
        except (StoreUnavailable, OSError):
            self._break()
            return
        except Refusal as error:
            self._give_up(error)
        finally:
            self._busy = False
        self._dialogue.taken()
        self._deliver()
        self.heard()

    def _carry_out(self, flight: bytes, letters: bytes, changes: tuple[str, ...]) -> None:
        host = self._net.host
        if self._backend is None:  # its client has hung up
            raise _NotDurable
        if not self._send(flight, letters):
            self._of_the_run.held_up[self] = self._waiters.all
            self._waiters.wait(host.kernel, host.task())
        if self._backend is None or self._turn.failed:
            raise _NotDurable
        self._defined.committed(changes)
        self._of_the_run.settle()

    # -- its end --------------------------------------------------------------------------------------

    @property
    def _of_the_run(self) -> _Run:
        assert self._run is not None
        return self._run

    def _hang_up(self) -> None:
        """Be done with it: what is not committed is rolled back."""
        self._end.close()
        self.close()
        if self._run is not None:
            self._run.settle()
        self._waiters.all()

    def _break(self) -> None:
        """Break it off: the client is told of a reset."""
        self._end.reset()
        self._hang_up()

    def close(self) -> None:
        """Let the server's process end."""
        backend, self._backend = self._backend, None
        if backend is not None and self._database is not None:
            at_work = self._of_the_run.held_up.pop(self, None) is not None or not self._turn.over
            with really():
                self._database.end(backend, at_work=at_work)

    def _give_up(self, error: Refusal) -> NoReturn:
        self._net.refuse(f"has asked the PostgreSQL server, and {error}", f"look at the server that {SERVER} names")


def speaks(buffer: bytearray) -> bool:
    """True if a connection begins as PostgreSQL's do: by a length, whose first byte is zero."""
    return buffer[0] == 0


def _error(severity: str, code: str, text: str) -> bytes:
    fields: Any = {"S": severity, "V": severity, "C": code, "M": text}
    return message(b"E", b"".join(f"{name}{value}\0".encode() for name, value in fields.items()) + b"\0")


@lru_cache(maxsize=512)
def _leaves(text: str) -> str:
    """The statement of a text that would be heard of outside of its database and its connection; "" for none."""
    for words in statements(text):
        if words[0] == "listen":
            return "LISTEN"
        if words[0] in ("create", "alter", "drop") and words[1:2] and words[1] in _OF_THE_SERVER:
            return f"{words[0]} {words[1]}".upper()
    return ""
