"""What a live worker in Python takes from the harness: the commands, the sagas that they ask for, and how these are
driven."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import IO, Any, Final

from .messages import Message
from .ports import PortError
from .saga import Outcome

PROTOCOL: Final = 1

STATUSES: Final[Mapping[object, str]] = {
    True: "completed",
    False: "compensated",
    Outcome.COMPLETED: "completed",
    Outcome.COMPENSATED: "compensated",
    Outcome.PENDING: "running",
    Outcome.STUCK: "failed_stuck",
    Outcome.COMPLETED.value: "completed",
    Outcome.COMPENSATED.value: "compensated",
    Outcome.STUCK.value: "failed_stuck",
}
"""How the protocol calls what a driver may return."""


@dataclass(frozen=True, kw_only=True)
class SagaRequest:
    """The saga that a client asks for. ``order`` has item, quantity, amount, account and data; ``steps`` are in
    order, and ``after`` has the predecessors of each. ``children`` are, by the step, the sagas that are steps of
    it. ``waits`` says for how many real milliseconds the saga is to wait before a step, ``signals`` for a message of
    which topic, ``attempts`` after how many a step is given up (0: never). ``lazy``: how far it has come is
    to lie in the engine's state. ``again``: an earlier process had taken it, and it had not come to its end."""

    id: str
    order: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    children: Mapping[str, SagaRequest] = field(default_factory=dict)
    waits: Mapping[str, float] = field(default_factory=dict)
    signals: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 0
    lazy: bool = False
    again: bool = False

    @property
    def payload(self) -> dict[str, Any]:
        """What a participant is told of the order."""
        return {name: self.order[name] for name in ("item", "quantity", "amount", "account") if name in self.order}

    @property
    def plain(self) -> dict[str, Any]:
        """The saga as JSON can hold it: the input of a workflow. `of_plain` reads it."""
        return {
            "id": self.id,
            "order": dict(self.order),
            "steps": list(self.steps),
            "after": {step: list(earlier) for step, earlier in self.after.items()},
            "children": {step: child.plain for step, child in self.children.items()},
            "waits": dict(self.waits),
            "signals": dict(self.signals),
            "attempts": self.attempts,
            "lazy": self.lazy,
        }

    @staticmethod
    def of_plain(plain: Mapping[str, Any]) -> SagaRequest:
        """The saga of which `plain` was made."""
        after = {step: tuple(earlier) for step, earlier in plain["after"].items()}
        children = {step: SagaRequest.of_plain(child) for step, child in plain["children"].items()}
        return SagaRequest(**{**plain, "steps": tuple(plain["steps"]), "after": after, "children": children})


def requested(command: Mapping[str, Any]) -> SagaRequest:
    """The saga of a command to start it."""
    return replace(_saga(command["saga_id"], command["order"], command["steps"]), lazy=command.get("lazy", False))


def _saga(saga: str, order: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> SagaRequest:
    children = {
        step["id"]: _saga(step["child"]["saga_id"], order, step["child"]["steps"]) for step in steps if "child" in step
    }
    after = {step["id"]: tuple(step.get("after", ())) for step in steps}
    waits = {step["id"]: step["wait_ms"] for step in steps if "wait_ms" in step}
    return SagaRequest(
        id=saga,
        order=order,
        steps=tuple(after),
        after=after,
        children=children,
        waits=waits,
        signals={step["id"]: step["waits_for"] for step in steps if "waits_for" in step},
        attempts=max((step.get("max_attempts", 0) for step in steps), default=0),
    )


@dataclass(frozen=True, eq=False)
class Driving:
    """How a worker drives and answers; see `sagafuzz.worker.serve` for what each means. ``begin`` has a saga driven by
    calling ``run`` with it, somewhere."""

    drive: Callable[[SagaRequest], Any]
    _: KW_ONLY
    pending: Callable[[], Iterable[SagaRequest]] = tuple
    status: Callable[[str], Mapping[str, Any] | str] | None = None
    cancel: Callable[[str], object] | None = None
    receive: Callable[[Message], object] | None = None
    engine: str = ""
    each_request: bool = False
    takes_up: bool = False
    statuses: Mapping[Any, bool | Outcome] = field(default_factory=dict)


class Commands:
    """Takes commands from standard input and answers them on standard output, which from then on nothing else of the
    process, nor of its children, can write to."""

    def __init__(self, driving: Driving, begin: Callable[[SagaRequest], object]) -> None:
        self.driving = driving
        self.begin = begin
        self.known: dict[str, dict[str, Any]] = {}
        self.lock = threading.Lock()
        self.lines, self.out = _kept_apart()

    def serve(self) -> None:
        """Until standard input ends; then the process ends."""
        self._begin(self.driving.pending())
        for line in self.lines:
            request = json.loads(line)
            if request["op"] == "receive" and self.driving.receive is not None:
                in_a_thread(self._receive, request)
                continue
            taken: list[SagaRequest] = []
            try:
                answer = self._answer(request["op"], request, taken)
            except Exception as error:  # told to the harness, which says it to a person
                answer = {"error": f"{type(error).__name__}: {error}", "definite": False}
            self._say({"id": request["id"], **answer})
            # after the answer, so that a crash in its first step finds it taken
            self._begin(taken, asked=request["op"] == "start")
        os._exit(0)

    def _answer(self, operation: str, request: Mapping[str, Any], taken: list[SagaRequest]) -> dict[str, Any]:
        saga, driving = request.get("saga_id", ""), self.driving
        if operation == "hello":
            if driving.takes_up:
                taken.extend(replace(requested(order), again=True) for order in request.get("open", ()))
            return {"protocol": PROTOCOL, "engine": driving.engine}
        if operation == "start":
            taken.append(requested(request))
            return {}
        if operation == "status":
            return self._status(saga)
        if operation == "cancel" and driving.cancel is not None:
            driving.cancel(saga)
            return {}
        if operation == "recover":
            taken.extend(driving.pending())
            return {}
        return {"error": f"{operation} is not among hello, start, status, cancel, recover", "definite": True}

    def _receive(self, request: Mapping[str, Any]) -> None:
        """Handle a message; to answer is to acknowledge it."""
        assert self.driving.receive is not None
        message = Message(
            topic=request["topic"],
            saga=request["saga_id"],
            key=request["key"],
            payload=request["payload"],
            id=request["message_id"],
            delivery=request["delivery"],
        )
        try:
            self.driving.receive(message)
            answer: dict[str, Any] = {}
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}", "definite": False}
        self._say({"id": request["id"], **answer})

    def _status(self, saga: str) -> dict[str, Any]:
        found, status = self.known.get(saga), self.driving.status
        waits = found is None or (self.driving.receive is not None and found["status"] == "running")
        if waits and status is not None:
            said = status(saga)
            told = dict(said) if isinstance(said, Mapping) else {"status": said}
            if found is None or told["status"] != "unknown":  # else it waits for a message
                return told
        return found or {"status": "unknown"}

    def _begin(self, sagas: Iterable[SagaRequest], *, asked: bool = False) -> None:
        for saga in sagas:
            with self.lock:
                if saga.id in self.known and not (asked and self.driving.each_request):
                    continue
                self.known[saga.id] = {"status": "running"}
            self.begin(saga)

    def ended(self, saga: SagaRequest, outcome: Any) -> None:
        """Tell how the driver of a saga has ended: what it returned, or the error that it raised."""
        told = self._failed(outcome) if isinstance(outcome, BaseException) else self._returned(outcome)
        self.known[saga.id] = told
        self._say({"event": "status", "saga_id": saga.id, **told})

    def _returned(self, outcome: Any) -> dict[str, Any]:
        try:
            return {"status": STATUSES[self.driving.statuses.get(outcome, outcome)]}
        except (KeyError, TypeError):  # no status, or nothing that a mapping can hold
            known = ", ".join(map(str, (*STATUSES, *self.driving.statuses)))
            return self._failed(ValueError(f"drive returned {outcome!r}; return one of {known}"))

    def _failed(self, error: BaseException) -> dict[str, Any]:
        told = {"status": "unknown", "reason": f"{type(error).__name__}: {error}"}
        if isinstance(error, PortError):
            return told
        sys.excepthook(type(error), error, error.__traceback__)
        return {**told, "stray": True}

    def _say(self, content: Mapping[str, Any]) -> None:
        with self.lock:
            self.out.write(json.dumps(content) + "\n")
            self.out.flush()


def _kept_apart() -> tuple[IO[str], IO[str]]:
    """Standard input and output of the protocol's own, which no child inherits. Descriptor 0 then reads nothing, and
    what is written to descriptor 1, by whatever library, goes to standard error."""
    sys.stdout.flush()
    ours = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return ours


def in_a_thread(work: Callable[..., object], *arguments: object) -> None:
    """Call it in a thread that ends with the process."""
    threading.Thread(target=work, args=arguments, daemon=True).start()


def in_a_child(work: Callable[[], object]) -> None:
    """Do it in a child process, which ends with this one as this one ends with it, and which does not speak with the
    harness. To be called before any thread is started and any connection is made."""
    if pid := os.fork():
        in_a_thread(_end_with, pid)
        return
    _kept_apart()
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def _end_with(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) or 1)


def serve_in_threads(driving: Driving) -> None:
    """Drive each saga in a thread of its own; never returns."""
    commands = Commands(driving, lambda saga: in_a_thread(_drive, commands, saga))
    commands.serve()


def serve_in_main_thread(driving: Driving) -> None:
    """Drive one saga after the other in the thread that calls it, the main one; never returns."""
    waiting: queue.SimpleQueue[SagaRequest] = queue.SimpleQueue()
    commands = Commands(driving, waiting.put)
    in_a_thread(commands.serve)
    while True:
        _drive(commands, waiting.get())


def _drive(commands: Commands, saga: SagaRequest) -> None:
    try:
        outcome = commands.driving.drive(saga)
    except BaseException as error:
        outcome = error
    commands.ended(saga, outcome)


async def serve_in_loop(driving: Driving, receive: Callable[[Message], Coroutine[Any, Any, Any]] | None = None) -> None:
    """Drive each saga as a task of the event loop that runs, where ``receive`` handles messages; never returns."""
    import asyncio

    loop, tasks = asyncio.get_running_loop(), set[Any]()
    if receive is not None:
        handle = receive
        driving = replace(driving, receive=lambda got: asyncio.run_coroutine_threadsafe(handle(got), loop).result())

    async def drive(saga: SagaRequest) -> None:
        try:
            outcome = await driving.drive(saga)
        except BaseException as error:
            outcome = error
        commands.ended(saga, outcome)

    def begin(saga: SagaRequest) -> None:
        tasks.add(asyncio.run_coroutine_threadsafe(drive(saga), loop))

    commands = Commands(driving, begin)
    in_a_thread(commands.serve)
    await asyncio.Event().wait()
