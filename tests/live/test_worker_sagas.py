"""The plan of a saga as the workers of engines carry it out, and what else these share."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from sagafuzz import worker
from sagafuzz.errors import UsageError
from sagafuzz.live.held_ports import hold_port
from sagafuzz.worker_service import listen

CHILD = worker.SagaRequest(id="saga-1.ship", steps=("parcel", "pickup"), after={"parcel": (), "pickup": ("parcel",)})


def saga(**more: Any) -> dict[str, Any]:
    after = {"order": (), "ship": ("order",), "payment": ("ship",)}
    return worker.SagaRequest(id="saga-1", steps=tuple(after), after=after, **more).plain


class Engine:
    """Notes what it is asked for; ``fails`` are the requests that it cannot do."""

    def __init__(self, *fails: str) -> None:
        self.told: list[str] = []
        self.fails = fails

    def _one(self, said: str) -> str:
        self.told.append(said)
        if said in self.fails:
            raise LookupError(said)
        return f"receipt of {said}"

    def wait(self, what: Any) -> None:
        self.told.append(f"wait {what}")

    async def wait_async(self, what: Any) -> None:
        self.wait(what)

    def ask(self, saga: Any, step: str, verb: str, receipt: Any) -> Any:
        if child := saga["children"].get(step):
            return self.in_turn(child)
        return self._one(f"{verb} {step}")

    async def begin(self, saga: Any, step: str, verb: str, receipt: Any, attempts: int) -> Any:
        if child := saga["children"].get(step):
            return await self.carried_out(child)
        await asyncio.sleep(0)
        return self._one(f"{verb} {step}")

    def in_turn(self, saga: Mapping[str, Any]) -> dict[str, Any]:
        return worker.in_turn(saga, sleep=self.wait, hear=self.wait, ask=self.ask, unknown=LookupError)

    async def carried_out(self, saga: Mapping[str, Any]) -> dict[str, Any]:
        kit: Any = {"sleep": self.wait_async, "hear": self.wait_async, "begin": self.begin}
        return await worker.carried_out(saga, failed=LookupError, **kit)

    def run(self, how: str, saga: Mapping[str, Any]) -> dict[str, Any]:
        return self.in_turn(saga) if how == "in turn" else asyncio.run(self.carried_out(saga))


either = pytest.mark.parametrize("how", ["in turn", "async"])


@either
def test_steps_are_done_one_after_the_other_with_what_they_wait_for(how: str) -> None:
    engine = Engine()
    begun = engine.run(how, saga(waits={"ship": 300}, signals={"payment": "approved"}))
    assert engine.told == ["do order", "wait 0.3", "do ship", "wait approved", "do payment"]
    assert begun == {step: f"receipt of do {step}" for step in ("order", "ship", "payment")}


@either
def test_where_one_fails_what_was_begun_is_undone_the_last_first(how: str) -> None:
    engine = Engine("do payment")
    assert engine.run(how, saga()) == {}
    assert engine.told == ["do order", "do ship", "do payment", "undo payment", "undo ship", "undo order"]


@either
def test_a_saga_that_is_a_step_of_another_one_is_undone_with_it(how: str) -> None:
    engine = Engine("do payment")
    assert engine.run(how, saga(children={"ship": CHILD})) == {}
    assert engine.told[:4] == ["do order", "do parcel", "do pickup", "do payment"]
    assert engine.told[4:] == ["undo payment", "undo pickup", "undo parcel", "undo order"]


@either
def test_one_that_fails_undoes_itself_and_then_the_other_is_undone(how: str) -> None:
    engine = Engine("do pickup")
    assert engine.run(how, saga(children={"ship": CHILD})) == {}
    assert engine.told == ["do order", "do parcel", "do pickup", "undo pickup", "undo parcel", "undo order"]


def test_steps_of_a_layer_are_all_over_before_anything_is_undone() -> None:
    at_once = {**saga(), "after": {"order": [], "ship": ["order"], "payment": ["order"]}}
    engine = Engine("do ship")
    assert engine.run("async", at_once) == {}
    assert engine.told[:3] == ["do order", "do ship", "do payment"]
    assert set(engine.told[3:5]) == {"undo ship", "undo payment"} and engine.told[5:] == ["undo order"]


def test_what_cannot_be_undone_is_told_when_the_rest_is() -> None:
    engine = Engine("do payment", "undo ship")
    with pytest.raises(worker.Stuck, match=r"^ship$"):
        engine.in_turn(saga())
    assert engine.told[-2:] == ["undo ship", "undo order"]


def test_a_step_that_was_refused_is_not_undone_and_one_that_was_given_up_is() -> None:
    for answer, undone in ((worker.REFUSED, []), (worker.GIVEN_UP, ["payment"])):
        told: list[str] = []

        def ask(
            saga: Any, step: str, verb: str, receipt: Any, told: list[str] = told, answer: Any = answer
        ) -> dict[str, Any]:
            if verb == "undo":
                told.append(step)
            return answer if (verb, step) == ("do", "payment") else {"of": step}

        assert worker.in_turn(saga(), sleep=print, hear=print, ask=ask) == {}
        assert told == [*undone, "ship", "order"]


# -- attempts --------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Exception | None]:
    """What the next calls come to, in order: None for a receipt."""
    ends: list[Exception | None] = []

    def call(*_: Any, **__: Any) -> Any:
        if (end := ends.pop(0)) is not None:
            raise end
        return {"id": 1}

    monkeypatch.setattr(worker, "call", call)
    return ends


def test_an_attempt_gives_the_receipt_or_says_that_it_was_refused(calls: list[Exception | None]) -> None:
    calls += [None, worker.Rejected("no"), worker.Rejected("no")]
    assert worker.attempt(saga(), "order", "do") == {"id": 1}
    assert worker.attempt(saga(), "order", "do") == worker.REFUSED
    with pytest.raises(KeyError, match="order is refused"):
        worker.attempt(saga(), "order", "do", refused=KeyError)


def test_what_is_not_known_is_tried_so_often_and_then_fails_or_is_given_up(calls: list[Exception | None]) -> None:
    away = worker.Unavailable("away")
    calls += [away, away, None, away, away, away]
    assert worker.attempt(saga(), "order", "do", attempts=3) == {"id": 1}
    with pytest.raises(worker.Failed, match="away"):
        worker.attempt(saga(), "order", "do", attempts=2)
    assert worker.attempt(saga(), "order", "do", gives_up=True) == worker.GIVEN_UP
    assert calls == []


# -- over HTTP -------------------------------------------------------------------------------------


def test_a_server_is_asked_until_it_is_there_and_knows() -> None:
    statuses = [404, 503, 200]

    class Late(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.pop(0))
            self.end_headers()
            self.wfile.write(b'{"known": true}')

        def log_message(self, *_: object) -> None:
            """Nothing."""

    held = hold_port()
    held.close()
    address = ("127.0.0.1", held.number)
    servers: list[HTTPServer] = []

    def open_late() -> None:
        servers.append(HTTPServer(address, Late))
        servers[0].serve_forever()

    threading.Timer(0.2, open_late).start()
    assert worker.fetch(f"http://127.0.0.1:{held.number}/") == {"known": True}
    servers[0].shutdown()
    servers[0].server_close()
    assert statuses == []


def test_a_server_is_asked_by_a_method_with_headers_and_may_answer_in_text() -> None:
    class Coordinator(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"{self.path} {self.headers['link']}".encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Coordinator) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/close"
        assert worker.fetch(url, method="PUT", headers={"Link": "<after>"}) == "/close <after>"


def test_a_server_that_is_away_is_asked_until_that_is_over() -> None:
    held = hold_port()
    held.close()
    asked = iter([False, False, True])
    assert worker.fetch(f"http://127.0.0.1:{held.number}/", over=lambda: next(asked)) is None
    assert list(asked) == []


def test_what_another_thread_is_told_is_waited_for() -> None:
    told = iter([None, None, "Closed"])
    assert worker.until(lambda: next(told)) == "Closed"


def test_a_saga_that_waits_for_messages_is_refused_where_they_are_not_heard() -> None:
    engine, waiting = Engine(), saga(signals={"payment": "approved"})
    kit: dict[str, Any] = {"sleep": engine.wait_async, "begin": engine.begin, "failed": LookupError}
    with pytest.raises(UsageError, match="approved"):
        asyncio.run(worker.carried_out(waiting, **kit))


def test_a_service_answers_what_it_is_asked_and_503_or_500_where_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(path: str, query: Mapping[str, str], content: bytes) -> int:
        if path == "/order/undo":
            raise worker.Failed("nobody answered")
        return int({"/order/do": query["status"]}[path]) + len(json.loads(content))

    held = hold_port()
    held.close()
    listen(held.number, answer)

    def asked(path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{held.number}{path}", b"{}") as found:
                return int(found.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert [asked("/order/do?status=200"), asked("/order/do?status=409")] == [200, 409]
    assert [asked("/order/undo"), asked("/elsewhere")] == [503, 500]


def test_what_fails_for_a_while_is_done_again_and_another_error_is_raised() -> None:
    ends: list[Exception | None] = [ConnectionError(), ConnectionError(), None, KeyError("other")]

    async def work() -> str:
        if (end := ends.pop(0)) is not None:
            raise end
        return "connected"

    assert asyncio.run(worker.again(work, ConnectionError)) == "connected"
    with pytest.raises(KeyError):
        asyncio.run(worker.again(work, ConnectionError))
