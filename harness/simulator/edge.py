"""Where HTTP/1.1 enters the simulated network: the servers that a service asks. A request becomes one of
`Network.request`, so that every fault strikes it; its answer becomes a response. What speaks Redis's protocol goes to
`resp`, what speaks PostgreSQL's to `postgres`, what asks for a queue of Amazon's to `sqs`.

Each connection takes one request after the other. What the client does not read, or hangs up on, it has not been told.
"""

from __future__ import annotations

import json
import socket
import weakref
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Final, NoReturn

from ..effects import NEW_CONNECTION
from ..errors import UsageError
from ..http_routes import Answer, Asked, Service, Unrouted
from ..ports import CallTimeout, PortError, Rejected
from ..resp_text import BEGINS
from .host import Host
from .incarnation import Incarnation
from .inside import enter
from .message import CLOSED, GATEWAY, HALVED, RESET, STALLED, Broken, Message
from .network import Network
from .participants import ERROR, OK, REJECTED
from .postgres import Talk, speaks
from .whose import calling
from .wires import Address, End, connection

HERE: Final = "10.8.0.1"
"""Where the service itself is; the hosts that it asks are at 10.9.0.1 and on."""

_FIRST_PORT: Final = 40_000
_FIRST_NUMBER: Final = 1_000_000
_SQS: Final = "AmazonSQS."
_METADATA: Final = "169.254.169.254"
"""Whom a machine of Amazon's asks for its credentials, where nobody has given it any."""

_LEFT_OUT: Final = "leave it out when the app is made"
_SPEAK_FIRST: Final = {
    21: ("FTP", _LEFT_OUT),
    **dict.fromkeys((25, 465, 587), ("SMTP", _LEFT_OUT)),
    3306: ("MySQL's protocol", "connect to SQLite or PostgreSQL where the app is tested"),
}
"""Ports of servers that begin to speak themselves, so that what comes on a connection does not tell what is spoken
there; and what to do in its place."""

FAILED: Final = 503
"""The status of an answer that says neither yes nor no."""

_PAGE: Final = Answer(
    502,
    ((b"content-type", b"text/html"),),
    b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>",
)


class Edges:
    """The servers that one process reaches. It is its `wires.Net`."""

    def __init__(self, host: Host, network: Network, process: Incarnation, service: Service) -> None:
        try:
            self.h11: Any = import_module("h11")
        except ModuleNotFoundError:
            raise UsageError("a service as it is needs h11; install it with: pip install 'sagafuzz[service]'") from None
        self.host = host
        self.network = network
        self.process = process
        self.service = service
        self._names: dict[str, str] = {}  # by address
        self._open: list[End] = []
        self._numbered: dict[int, End] = {}
        self._sockets: list[weakref.ref[socket.socket]] = []
        process.on_death.append(self._break_off)
        host.on_close.append(self._close_sockets)

    def address_of(self, name: str) -> str:
        """The address of a host of that name: whether somebody is there, its first request tells."""
        if name in self._names or name == HERE:
            return name
        for address, known in self._names.items():
            if known == name:
                return address
        address = f"10.9.0.{len(self._names) + 1}"
        self._names[address] = name
        return address

    def connect(self, host: str, port: int) -> End:
        """A connection to a host, by its name or address."""
        self.process.check_alive()
        name = self._names.get(host, host)
        if port in _SPEAK_FIRST:
            spoken, instead = _SPEAK_FIRST[port]
            self.refuse(f"connects to {name}:{port}, where {spoken} is spoken", f"{instead}, or test it in live mode")
        here: Address = (HERE, _FIRST_PORT + len(self._open))
        mine, theirs = connection(here, (self.address_of(name), port))
        theirs.on_change = partial(self._answer_call, theirs, name, port)
        self._open.append(mine)
        return mine

    def _answer_call(self, end: End, name: str, port: int) -> None:
        """Something has come on a new connection, which tells what is spoken there."""
        if not end.buffer:
            end.close()
        elif end.buffer[:1] == BEGINS:
            redis = self.server("resp", "Redis", "service-redis")
            end.on_change = redis.connected(self.host, self.process, end, name, port)
            end.on_change()
        elif spoken := _foreign(end.buffer):
            self.refuse(f"speaks {spoken} with {name}:{port}", "test it in live mode")
        elif speaks(end.buffer):
            Talk(self, end, name, port).heard()
        else:
            Conversation(self, end, name, port).heard()

    def server(self, module: str, whom: str, extra: str) -> Any:
        """The module of a server that is not installed with sagafuzz itself."""
        running = enter(None)  # what is imported is no doing of the run
        try:
            return import_module(f".{module}", __package__)
        except ModuleNotFoundError as error:
            missing = error.name
        finally:
            enter(running)
        return self.refuse(f"speaks with {whom}, for which {missing} is needed", f"pip install 'sagafuzz[{extra}]'")

    def refuse(self, does: str, instead: str) -> NoReturn:
        """End the run: the user's code does what it cannot, and what is to be done in its place is said."""
        self.host.refuse(UsageError(self.line(does, instead)))

    def line(self, does: str, instead: str) -> str:
        """What is said of it."""
        where = calling(self.host).words or "an unknown line"
        return f"adapter {self.host.setup.adapter.name!r} at {where} {does}; {instead}"

    def number(self, end: End) -> int:
        """A number for a connection that has no socket."""
        found = _FIRST_NUMBER + len(self._numbered)
        self._numbered[found] = end
        return found

    def known(self, sock: socket.socket, end: End) -> None:
        """A socket has connected."""
        self._numbered[sock.fileno()] = end
        self._sockets.append(weakref.ref(sock))

    def end_numbered(self, number: int) -> End | None:
        """The open connection of that number; None where there is none."""
        end = self._numbered.get(number)
        return None if end is None or end.closed else end

    def _break_off(self) -> None:
        for end in self._open:
            end.reset()
        self._close_sockets()

    def _close_sockets(self) -> None:
        """Close what is real of the sockets: who is dead closes nothing."""
        for reference in self._sockets:
            if (sock := reference()) is not None and (number := sock.detach()) >= 0:
                socket.close(number)  # its own close waits for files that were made of it
        self._sockets.clear()


_OF_MONGO: Final = (b"\xd4\x07\0\0", b"\xdd\x07\0\0")
"""The numbers of what a client of MongoDB sends first."""


def _foreign(buffer: bytearray) -> str:
    """The protocol that a connection begins with, of a broker or a database, which nobody speaks here; "" for
    others."""
    if buffer.startswith(b"AMQP"):
        return "AMQP"
    if bytes(buffer[12:16]) in _OF_MONGO:
        return "MongoDB's protocol"
    return "Kafka's protocol" if buffer[0] == 0 and buffer[4:6] == b"\0\x12" else ""  # it asks for versions first


class Conversation:
    """A server's side of one connection."""

    def __init__(self, edges: Edges, end: End, name: str, port: int) -> None:
        self._edges = edges
        self._end = end
        self._name = name
        self._port = port
        self._h11 = edges.h11
        self._http = edges.h11.Connection(edges.h11.SERVER)
        self._request: Any = None
        self._body = bytearray()
        self._asked: Message | None = None  # the request whose answer is awaited
        self._leave: Callable[[], None] | None = None  # what else is awaited, and how not to do so any more
        self._used = False  # whether it has had an answer before
        self._begun_us = -1  # when half of an answer was sent
        end.on_change = self.heard

    def heard(self) -> None:
        """Something has come, or the client is gone."""
        end = self._end
        if end.error is not None or (end.eof and not end.buffer):
            asked, self._asked = self._asked, None
            end.close()
            if asked is not None and asked.broken is not None and self._edges.host.kernel.now_us == self._begun_us:
                self._edges.network.told(asked, asked.broken.answer)  # it has hung up on seeing the status
            elif asked is not None:
                self._edges.network.give_up(asked)
            if self._leave is not None:
                self._leave()
            return
        self._http.receive_data(bytes(end.buffer))
        end.buffer.clear()
        self._read()

    def _read(self) -> None:
        h11 = self._h11
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                self._edges.refuse(
                    f"speaks no HTTP/1.1 with {self._name}:{self._port} ({error})", "test it in live mode"
                )
            if isinstance(event, h11.Request):
                self._request = event
                self._body.clear()
                if self._http.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    self._end.send(self._http.send(go_on))
            elif isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self._ask()
                return
            else:  # more is to come
                return

    def _ask(self) -> None:
        edges, service = self._edges, self._edges.service
        asked = Asked.of(
            self._request.method.decode(),
            self._name,
            self._port,
            self._request.target.decode(),
            {name.decode().lower(): value.decode("latin-1") for name, value in self._request.headers},
            bytes(self._body),
        )
        operation = service.operation(asked)
        if operation is None and (self._name == _METADATA or asked.headers.get("x-amz-target", "").startswith(_SQS)):
            sqs = edges.server("sqs", "SQS", "service-sqs")
            self._leave = sqs.ask(edges.host, edges.process, asked, self._told)
            return
        if operation is None:
            text = edges.line(f"asks {asked.line}, which no route names", f'add to http={{...}}: "{asked.route}": "…"')
            edges.host.refuse(Unrouted(text, asked, calling(edges.host).words))
        saga = service.saga_of(asked) or edges.process.current_saga()
        setup = edges.host.setup
        if saga not in setup.known:
            told = f"saga {saga!r}, which is none of {', '.join(setup.known)}" if saga else "no saga"
            self._edges.refuse(
                f"asks {asked.line} for {told}",
                'say where a request names its order: saga_id="json:order", "header:X-Order" or "query:order"',
            )
        timeout_us = setup.call_timeout_us
        message = edges.network.request(
            edges.process,
            operation,
            saga,
            service.key_of(asked),
            timeout_us,
            asked.payload,
            self._answered,
            http=asked,
            bars=0 if self._used else NEW_CONNECTION,
        )
        if not message.done:
            self._asked = message

    def _answered(self, value: Any, error: PortError | None) -> None:
        asked, self._asked = self._asked, None
        if isinstance(error, CallTimeout):  # nobody has hung up
            self._end.reset()
        elif asked is not None and asked.broken is not None:
            _BREAKING[asked.broken.how](self, asked, asked.broken)
        elif error is None:
            self._send(self._answer(OK, value))
        elif isinstance(error.told, Answer):
            self._send(error.told)
        else:
            self._send(self._answer(REJECTED if isinstance(error, Rejected) else ERROR, str(error)))

    def _told(self, answer: Answer | None) -> None:
        """What a server of the world says that is no participant."""
        self._leave = None
        if answer is None:
            self._end.reset()
        else:
            self._send(answer)

    def _reset(self, asked: Message, broken: Broken) -> None:
        self._end.reset()

    def _close(self, asked: Message, broken: Broken) -> None:
        self._end.close()

    def _halve(self, asked: Message, broken: Broken) -> None:
        self._begin(broken)
        self._end.close()

    def _stall(self, asked: Message, broken: Broken) -> None:
        self._asked = asked  # until its client hangs up
        self._begin(broken)

    def _begin(self, broken: Broken) -> None:
        """Send half of the answer that would have come."""
        answer = self._answer(broken.answer, broken.value)
        head, half = self._head(answer), answer.body[: len(answer.body) // 2]
        self._begun_us = self._edges.host.kernel.now_us
        if not self._end.closed:
            self._end.send(head + self._http.send(self._h11.Data(data=half)))

    def _show_page(self, asked: Message, broken: Broken) -> None:
        self._send(_PAGE)

    def _answer(self, answer: str, value: Any) -> Answer:
        """What is said of a reply: as an app said it, or as JSON."""
        if isinstance(value, Answer):
            return value
        status = {OK: 200, REJECTED: self._edges.service.refused}.get(answer, FAILED)
        body = json.dumps(value if answer == OK else {"error": value}, default=str).encode()
        return Answer(status, ((b"content-type", b"application/json"),), body)

    def _head(self, answer: Answer) -> bytes:
        headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
        head: bytes = self._http.send(self._h11.Response(status_code=answer.status, headers=headers))
        return head

    def _send(self, answer: Answer) -> None:
        end, h11 = self._end, self._h11
        if end.closed:
            return
        self._used = True
        out = self._head(answer)
        out += self._http.send(h11.Data(data=answer.body)) + self._http.send(h11.EndOfMessage())
        end.send(out)
        if self._http.our_state is h11.MUST_CLOSE or self._http.their_state is h11.MUST_CLOSE:
            end.close()
            return
        self._http.start_next_cycle()
        self._read()


_BREAKING: Final = {
    RESET: Conversation._reset,
    CLOSED: Conversation._close,
    HALVED: Conversation._halve,
    STALLED: Conversation._stall,
    GATEWAY: Conversation._show_page,
}
"""What is done to a connection in the place of an answer."""
