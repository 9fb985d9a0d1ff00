"""A service as it is: an ASGI app whose clients, databases and threads are those of the world."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import socket
import sqlite3
import sys
import threading
import traceback
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import FunctionType
from typing import Any

import aiosqlite
import httpx
import pytest
from greenlet import greenlet
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse
from starlette.routing import Route

from sagafuzz import Adapter, ProcessCrashed, Saga, Step, UsageError, service
from sagafuzz.fresh import Fresh, put_back
from sagafuzz.loading import load
from sagafuzz.ports import ADAPTER_ATTRIBUTE
from sagafuzz.simulator.edge import Edges

from .conftest import Laboratory, Trial, assert_repeats
from .http_clients import CLIENTS, by_async_httpx, by_urllib

EXAMPLE = Path(__file__).parents[2] / "examples/service/tours_adapter.py:Tours"

PAIR = Saga("pair", [Step("order", "order.create", undo="order.cancel"), Step("pay", "payment.charge")])
ROUTES = {
    "POST order/create": "order.create",
    "POST order/cancel": "order.cancel",
    "POST payment/charge": "payment.charge",
    "GET payment/charges/{id}": "payment.charge",
}
Handler = Callable[[str], Any]


def app_of(handler: Handler, start: Callable[[], Any] | None = None) -> Any:
    """An ASGI app whose answer to an order is what ``handler(id)`` gives: a status."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            if start is not None:
                await start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        order = json.loads((await receive())["body"])["id"]
        status = await handler(order)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


def declared(handler: Handler, start: Callable[[], Any] | None = None, **options: Any) -> Adapter:
    class Small:
        app = staticmethod(lambda: app_of(handler, start))

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

    made = service(saga=PAIR, **{"http": ROUTES, "saga_id": "json:order", **options})(Small)
    found: Adapter = getattr(made, ADAPTER_ATTRIBUTE)
    return found


def trial(adapter: Adapter, *faults: str) -> Trial:
    """A run in which each of the faults strikes."""
    return Laboratory().trial(adapter, *faults)


# -- clients -----------------------------------------------------------------------------------------


@pytest.fixture(params=CLIENTS, ids=lambda client: client.__name__)
def client(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def asking(client: Any, said: list[Any], scheme: str = "http") -> Handler:
    """A handler that charges by ``client`` and keeps what came of it."""

    async def handler(order: str) -> int:
        try:
            answer = client(f"{scheme}://payment", ["/charge"], order)
            said.extend(await answer if asyncio.iscoroutine(answer) else answer)
        except Exception as error:
            said.append(type(error))
        return 200

    return handler


def test_a_request_of_any_client_is_one_of_the_world(client: Any, scheme: str) -> None:
    said: list[Any] = []
    seen = trial(declared(asking(client, said, scheme)))
    assert seen.story("pay") == ["SEND", "DELIVER", "APPLY", "ACK"]
    assert said == [200] and seen.answers == ["completed"] and seen.end == "quiescent"
    assert {event.key for event in seen.of("SEND")} == {"k"}


def test_a_refusal_has_the_status_that_was_declared(client: Any) -> None:
    said: list[Any] = []
    trial(declared(asking(client, said), status={422: "refused"}), "reject pay F")
    assert said == [422]


def test_a_failure_is_a_503(client: Any) -> None:
    said: list[Any] = []
    trial(declared(asking(client, said)), "error-before-effect pay F")
    assert said == [503]


@pytest.mark.parametrize("kind", ["lost-request", "lost-ack", "timeout"])
def test_a_client_gives_up_at_its_own_time_with_its_own_exception(client: Any, kind: str) -> None:
    said: list[Any] = []
    seen = trial(declared(asking(client, said)), f"{kind} pay F")
    assert said == [CLIENTS[client].silent]
    (given_up,) = seen.of("TIMEOUT")
    assert 1_999 <= given_up.data[0] <= 2_001
    assert seen.story("pay").count("APPLY") == (kind != "lost-request")


def test_a_request_that_comes_late_comes_after_its_client_has_given_up(client: Any) -> None:
    seen = trial(declared(asking(client, [])), "timeout pay F")
    assert seen.story("pay") == ["SEND", "TIMEOUT", "DELIVER", "APPLY"]


def test_a_client_that_waits_for_ever_is_broken_off() -> None:
    said: list[Any] = []

    async def handler(order: str) -> int:
        try:
            async with httpx.AsyncClient(timeout=None) as client:
                await client.post("http://payment/charge", json={"order": order})
        except httpx.HTTPError as error:
            said.append(type(error))
        return 200

    seen = trial(declared(handler), "lost-request pay F")
    assert said == [httpx.ReadError]
    assert [event.data[0] for event in seen.of("TIMEOUT")] == [900_000]


def test_a_connection_is_kept_for_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    connect = Edges.connect
    monkeypatch.setattr(Edges, "connect", lambda edges, *to: opened.append(to[1]) or connect(edges, *to))

    def many(order: str) -> None:
        with httpx.Client(base_url="http://payment", timeout=2) as client:
            for _ in range(3):
                assert client.post("/charge", json={"order": order}).status_code == 200

    async def handler(order: str) -> int:
        many(order)
        async with httpx.AsyncClient(base_url="https://payment", timeout=2) as client:
            for _ in range(3):
                assert (await client.get(f"/charges/7?order={order}")).json()["id"].startswith("pay-")
        return 200

    seen = trial(declared(handler))
    assert seen.answers == ["completed"], seen.of("RAISED")
    assert len(seen.of("ACK")) == 6 and opened == [80, 443]


# -- modules that are not there ------------------------------------------------------------------------


def test_a_module_that_is_not_there_is_looked_for_once_until_the_path_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "there_later.py").touch()
    sought: list[str] = []

    class Shelf:
        def __init__(self, path: str) -> None:
            if path != "shelf":
                raise ImportError

        def find_spec(self, name: str, target: object = None) -> None:
            sought.append(name)

    async def handler(order: str) -> int:
        for _ in range(3):
            with pytest.raises(ModuleNotFoundError, match="No module named 'there_later'"):
                importlib.import_module("there_later")
        sys.path.append(str(tmp_path))
        importlib.import_module("there_later")
        return 200

    monkeypatch.setattr(sys, "path_hooks", [Shelf, *sys.path_hooks])
    monkeypatch.setattr(sys, "path", [*sys.path, "shelf"])
    assert trial(declared(handler)).answers == ["completed"]
    assert sought.count("there_later") == 2
    del sys.modules["there_later"], sys.path_importer_cache["shelf"]


def test_what_ends_with_its_process_formats_no_traceback() -> None:
    said: list[str] = []

    async def handler(order: str) -> int:
        try:
            await asyncio.get_running_loop().create_future()
        except BaseException:
            said.append(traceback.format_exc())
            raise
        return 200

    trial(declared(handler))
    assert said == [""]


# -- what is refused ----------------------------------------------------------------------------------


def refused(handler: Handler, **options: Any) -> str:
    with pytest.raises(UsageError) as told:
        trial(declared(handler, **options))
    return str(told.value)


def test_an_unknown_route_is_refused_with_the_line_to_add() -> None:
    async def handler(order: str) -> int:
        async with httpx.AsyncClient() as client:
            await client.post("http://billing:8080/charge", json={"order": order})
        return 200

    said = refused(handler)
    assert "test_service.py:" in said and "asks POST billing:8080/charge" in said
    assert 'add to http={...}: "POST billing/charge"' in said


def test_a_request_of_no_order_is_refused() -> None:
    async def handler(order: str) -> int:
        async with httpx.AsyncClient() as client:
            await client.post("http://payment/charge", json={"order": "another"})
        return 200

    assert "asks POST payment:80/charge for saga 'another'" in refused(handler)


def test_a_server_that_speaks_no_http_is_refused() -> None:
    async def handler(order: str) -> int:
        _, writer = await asyncio.open_connection("cache", 11211)
        writer.write(b"stats\r\n\r\n")
        await asyncio.sleep(1)
        return 200

    assert "speaks no HTTP/1.1 with cache:11211" in refused(handler)


@pytest.mark.parametrize(
    ("port", "told"),
    [
        (3306, "connects to there:3306, where MySQL's protocol is spoken; connect to SQLite or PostgreSQL where"),
        (
            587,
            "connects to there:587, where SMTP is spoken; leave it out when the app is made, or test it in live mode",
        ),
    ],
)
def test_a_server_that_would_begin_to_speak_is_refused_before_anybody_waits_for_it(port: int, told: str) -> None:
    async def handler(order: str) -> int:
        reader, _ = await asyncio.open_connection("there", port)
        await reader.read(1)
        return 200

    assert told in refused(handler)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"http": {}}, "names no route"),
        ({"http": {"payment/charge": "payment.charge"}}, "write a method, a host and a path"),
        ({"http": {"POST payment/charge": "payment"}}, "which is no operation"),
        ({"saga_id": "order"}, "is no place in a request"),
        ({"status": {409: "no"}}, "write status="),
        ({"code": "orders"}, "write code=['orders']"),
    ],
)
def test_what_is_declared_wrongly_is_said(options: dict[str, Any], told: str) -> None:
    async def handler(order: str) -> int:
        return 200

    with pytest.raises(UsageError, match=told.replace("[", r"\[")):
        declared(handler, **options)


# -- databases ----------------------------------------------------------------------------------------


async def write(path: str, order: str) -> None:
    async with aiosqlite.connect(path) as database:
        await database.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT)")
        await database.execute("INSERT INTO orders VALUES (?)", (order,))
        await database.commit()


def rows(path: str) -> list[Any]:
    """What is in a database, read in another way than it was written."""
    database = sqlite3.connect(path)
    try:
        return database.execute("SELECT id FROM orders").fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        database.close()


def test_a_commit_is_a_crash_point_and_what_it_wrote_is_there_afterwards(tmp_path: Path) -> None:
    found: list[Any] = []

    async def start() -> None:
        found.append(rows("orders.db"))

    async def handler(order: str) -> int:
        await write("orders.db", order)
        return 200

    adapter = declared(handler, start)
    subject = "orders.db: insert orders"
    for kind, kept in (("crash-before-log", []), ("crash-after-log", [("saga-1",)])):
        found.clear()
        seen = trial(adapter, f"{kind} '{subject}'")
        assert len(seen.of("CRASH")) == 1, seen.sites
        assert found == [[], kept]
    assert not Path("orders.db").exists()


def test_a_run_begins_with_an_empty_database() -> None:
    async def handler(order: str) -> int:
        before = rows("orders.db")
        await write("orders.db", order)
        return 200 if not before and rows("./orders.db") == [(order,)] else 409

    adapter = declared(handler)
    assert [trial(adapter).answers for _ in range(2)] == [["completed"]] * 2


def test_a_crash_is_a_crash() -> None:
    """What a dead process would still do is not done, by its tasks and by its threads."""
    late: list[str] = []

    async def handler(order: str) -> int:
        try:
            async with httpx.AsyncClient(timeout=2) as client:
                await client.post("http://payment/charge", json={"order": order})
        finally:
            try:
                async with httpx.AsyncClient(timeout=2) as client:
                    await client.post("http://order/cancel", json={"order": order})
                await write("orders.db", order)
                late.append("wrote")
            except ProcessCrashed:
                late.append("dead")
        return 200

    seen = trial(declared(handler), "crash-after-effect pay F")
    assert "wrote" not in late and not seen.of("SEND", step="order")


# -- the code is loaded anew --------------------------------------------------------------------------


def test_what_a_module_keeps_does_not_outlive_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "keeps"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "state.py").write_text("started = []\n")
    (package / "app.py").write_text(
        "from .state import started\n\ndef start():\n    started.append(1)\n    return started\n"
    )
    (tmp_path / "keeps_adapter.py").write_text(
        "from keeps.app import start\n\nclass Kept:\n    seen = []\n    def app(self):\n"
        "        self.seen.append(len(start()))\n        return self.made\n"
        "    def submit(self, order):\n        return 'POST', '/', {'id': order.id}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import keeps_adapter

    monkeypatch.setattr(keeps_adapter.Kept, "made", staticmethod(app_of(asking(by_async_httpx, []))), raising=False)
    made = service(saga=PAIR, http=ROUTES, saga_id="json:order", code=["keeps"])(keeps_adapter.Kept)
    trial(getattr(made, ADAPTER_ATTRIBUTE), "crash-after-effect pay F")
    assert keeps_adapter.Kept.seen == [1, 1]


BUSY = """
import sqlite3
import httpx

started = sqlite3.connect("busy.db", isolation_level=None)
started.execute("CREATE TABLE IF NOT EXISTS starts (id INTEGER PRIMARY KEY)")
started.execute("INSERT INTO starts DEFAULT VALUES")
httpx.post("http://payment/charge", json={"order": "saga-1"})
(count,) = started.execute("SELECT count(*) FROM starts").fetchone()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "http.response.start", "status": 200 if count == 1 else 500, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})
"""


def test_what_modules_do_when_they_are_imported_they_do_in_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "busy_app.py").write_text(BUSY)

    class Busy:
        app = "busy_app:app"

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/", {"id": order.id}

    made = service(saga=PAIR, http=ROUTES, saga_id="json:order")(Busy)
    runs = [trial(getattr(made, ADAPTER_ATTRIBUTE)) for _ in range(2)]
    assert [[len(seen.of("SEND")), len(seen.of("LOGACK")), seen.answers] for seen in runs] == [
        [1, 2, ["completed"]]
    ] * 2
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["busy_app.py"]


@pytest.mark.parametrize("waits", [True, False], ids=["waits for its shutdown", "raises"])
def test_an_app_that_says_that_its_startup_failed_does_not_start(waits: bool) -> None:
    """After it has said so it may go on to wait, as apps of Quart do, or raise, as those of Starlette do."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        await send({"type": "lifespan.startup.failed", "message": "no licence"})
        if waits:
            await receive()
        raise ValueError("no licence")

    class Refuses:
        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/", {"id": order.id}

    Refuses.app = staticmethod(lambda: app)  # type: ignore[attr-defined]
    made = service(saga=PAIR, http=ROUTES, saga_id="json:order")(Refuses)
    seen = trial(getattr(made, ADAPTER_ATTRIBUTE))
    assert [name for name, *_ in seen.raised] == ["Unavailable"]
    assert "the app does not start" in seen.raised[0][1] and "no licence" in seen.raised[0][1]
    assert seen.end == "quiescent"


LATER = """
from lazy import later_still

import sqlite3
import httpx

started = sqlite3.connect("lazy.db", isolation_level=None)
started.execute("CREATE TABLE IF NOT EXISTS starts (id INTEGER PRIMARY KEY)")
started.execute("INSERT INTO starts DEFAULT VALUES")
httpx.post("http://payment/charge", json={"order": "saga-1"}, headers={"Idempotency-Key": "1"})
orders = later_still.orders
"""

LAZY = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
    await receive()
    from .later import orders
    orders.append(1)
    await send({"type": "http.response.start", "status": 200 if len(orders) == 1 else 500, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})
"""


def test_a_module_that_a_function_imports_is_loaded_in_the_run_by_each_process_that_imports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "lazy"
    package.mkdir()
    for name, text in (("__init__", ""), ("later_still", "orders = []\n"), ("later", LATER), ("app", LAZY)):
        (package / f"{name}.py").write_text(text)

    class Lazy:
        app = "lazy.app:app"

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/", {"id": order.id}

    made = service(saga=PAIR, http=ROUTES, saga_id="json:order")(Lazy)
    adapter = getattr(made, ADAPTER_ATTRIBUTE)
    plain, crashed, again = trial(adapter), trial(adapter, "crash-after-effect pay F"), trial(adapter)
    assert plain.run.rows == again.run.rows
    assert [len(plain.of("SEND")), len(plain.of("LOGACK")), plain.answers] == [1, 2, ["completed"]]
    assert [len(crashed.of("SEND")), len(crashed.of("CRASH"))] == [1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["lazy"]
    assert sorted(path.name for path in package.iterdir()) == ["__init__.py", "app.py", "later.py", "later_still.py"]


REPEATED = """
import sys
sys.path.insert(0, {folder!r})
from sagafuzz import Fault, Plan, Site
from sagafuzz.history import rows_digest
from sagafuzz.fresh import Fresh, put_back
from sagafuzz.loading import load
from sagafuzz.simulator import Setup, simulate
adapter = load("tours_adapter:" + sys.argv[1])
setup = Setup(adapter=adapter, scenario=adapter.scenario("two-on-one-item"))
for kind, site in (("crash-after-effect", "effect"), ("lost-request", "send"), ("pause", "send")):
    fault = Fault(kind=kind, site=Site("saga-1", "cards", "F", site, 1))
    print(rows_digest(simulate(setup, Plan(faults=(fault,))).rows).hex())
"""


def test_runs_of_fastapi_sqlalchemy_and_httpx_repeat_whatever_the_hash_seed() -> None:
    folder = EXAMPLE.parent
    assert_repeats(REPEATED.format(folder=str(folder)), "Tours")


def test_what_ends_with_its_process_leaves_no_coroutine_behind() -> None:
    """A ``finally`` that makes a task while its process is dead: nothing complains of it, and nothing comes of it."""
    late: list[str] = []

    async def give_back() -> None:
        late.append("gave back")

    async def handler(order: str) -> int:
        try:
            await by_async_httpx("http://payment", ["/charge"], order)
        finally:
            await asyncio.shield(asyncio.create_task(give_back()))
        return 200

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = trial(declared(handler), "crash-after-effect pay F")
        gc.collect()
    assert len(seen.of("CRASH")) == 1 and late == []


def loaded(qualname: str) -> int:
    """How many functions of that name there are."""
    gc.collect()
    return sum(type(each) is FunctionType and each.__qualname__ == qualname for each in gc.get_objects())


def test_what_a_run_has_loaded_is_forgotten_after_it() -> None:
    adapter = load(str(EXAMPLE))
    trial(adapter)
    once = loaded("create_app")
    for _ in range(3):
        trial(adapter)
    assert loaded("create_app") == once >= 1


def test_two_connections_that_are_made_at_once_have_numbers_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    connect = Edges.connect

    def watched(edges: Edges, host: str, port: int) -> Any:
        ends = [connect(edges, host, port), connect(edges, host, port)]
        numbers = [edges.number(end) for end in ends]
        seen.append([edges.end_numbered(number) for number in numbers] == ends)
        return ends[0]

    monkeypatch.setattr(Edges, "connect", watched)
    trial(declared(asking(by_urllib, [])))
    assert seen == [True]


def test_a_library_that_remembers_its_last_id_begins_with_each_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ulid.py").write_text("made = []", encoding="utf-8")
    (tmp_path / "app_of_ids.py").write_text("import ulid\nulid.made.append(0)\nSEEN = len(ulid.made)", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    fresh = Fresh(["app_of_ids"])
    seen = []
    try:
        for _ in range(3):
            fresh.load()
            seen.append(sys.modules["app_of_ids"].SEEN)
    finally:
        put_back()
    assert seen == [1, 1, 1] and not {"app_of_ids", "ulid"} & sys.modules.keys()


def test_what_is_loaded_anew_is_compiled_once_unless_its_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept_code.py"
    kept.write_text("made = object()\ndef answer():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    fresh = Fresh(["kept_code"], __name__)
    fresh.load()
    before = sys.modules["kept_code"]
    fresh.load()
    after = sys.modules["kept_code"]
    assert after.made is not before.made and after.answer.__code__ is before.answer.__code__
    assert isinstance(after.__loader__, SourceFileLoader) and after.__file__ == str(kept)
    kept.write_text("def answer():\n    return 22\n")
    fresh.load()
    assert sys.modules["kept_code"].answer() == 22
    del sys.modules["kept_code"]


def test_a_closed_socket_leads_nowhere() -> None:
    async def handler(order: str) -> int:
        closed = socket.create_connection(("payment", 80))
        closed.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            closed.send(b"half a request")
        return 200

    assert trial(declared(handler)).answers == ["completed"]


def held() -> list[object]:
    """The objects that this process holds of the kinds that a service which keeps its data by SQLAlchemy makes."""
    gc.collect()
    kinds = (greenlet, threading.Thread, sqlite3.Connection, AsyncEngine, Pool, asyncio.AbstractEventLoop)
    return [each for each in gc.get_objects() if issubclass(type(each), kinds)]


@pytest.mark.parametrize("crashes", [4, pytest.param(300, marks=pytest.mark.slow)])
def test_crashes_of_sqlalchemy_leave_no_greenlet_thread_connection_or_pool(crashes: int) -> None:
    adapter = load(str(EXAMPLE))
    kinds = ("crash-before-log 'tours.db: insert tours'", "crash-after-log 'tours.db: insert tours'")
    others = {id(each): each for each in held()}  # by identity: what other tests left may go meanwhile

    def left(crashes: int) -> Counter[str]:
        for n in range(crashes):
            assert len(trial(adapter, kinds[n % 2]).of("CRASH")) == 1
        return Counter(type(each).__name__ for each in held() if id(each) not in others)

    few = left(2)  # the last run is held, and no other
    assert left(crashes) == few


# -- what comes after an answer ------------------------------------------------------------------------


def test_what_an_endpoint_raises_is_told_with_the_answer_that_it_failed() -> None:
    async def fails(request: Any) -> JSONResponse:
        return JSONResponse((await request.json())["nothing"])

    class Failing:
        app = staticmethod(lambda: Starlette(routes=[Route("/orders", fails, methods=["POST"])]))

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

    ((kind, text, *_),) = trial(
        getattr(service(saga=PAIR, http=ROUTES, saga_id="json:order")(Failing), ADAPTER_ATTRIBUTE)
    ).raised
    assert kind == "Unavailable" and "KeyError" in text and "'nothing'" in text


def in_background(work: Callable[[], Any], *faults: str) -> Trial:
    class Afterwards:
        app = staticmethod(lambda: Starlette(routes=[Route("/orders", answer, methods=["POST"])]))

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

    async def answer(request: Any) -> JSONResponse:
        return JSONResponse({}, background=BackgroundTask(work))

    made = service(saga=PAIR, http=ROUTES, saga_id="json:order")(Afterwards)
    return trial(getattr(made, ADAPTER_ATTRIBUTE), *faults)


async def charge_saga() -> None:
    await by_async_httpx("http://payment", ["/charge"], "saga-1")


def test_a_client_has_its_answer_before_what_the_app_does_in_the_background() -> None:
    seen = in_background(charge_saga)
    assert seen.answers == ["completed"] and seen.story("pay") == ["SEND", "DELIVER", "APPLY", "ACK"]
    assert seen.position("CLIENT_ACK") < seen.position("SEND")
    assert {event.saga for event in seen.of("SEND")} == {"saga-1"}


def test_a_crash_takes_what_was_to_be_done_in_the_background_and_not_the_answer() -> None:
    seen = in_background(charge_saga, "crash-before-send pay F")
    assert seen.answers == ["completed"] and "APPLY" not in seen.story("pay")


def test_what_fails_in_the_background_is_told_and_the_answer_stays() -> None:
    async def fail() -> None:
        raise LookupError("nothing there")

    seen = in_background(fail)
    assert seen.answers == ["completed"]
    assert [(kind, text) for kind, text, *_ in seen.raised] == [("LookupError", "nothing there")]


def test_a_crash_ends_a_group_of_tasks_that_lives_as_long_as_its_app() -> None:
    @asynccontextmanager
    async def life(app: Any) -> AsyncIterator[None]:
        async with asyncio.TaskGroup():
            yield

    async def answer(request: Any) -> JSONResponse:
        await charge_saga()
        return JSONResponse({})

    class Grouped:
        app = staticmethod(lambda: Starlette(routes=[Route("/orders", answer, methods=["POST"])], lifespan=life))

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

    made = service(saga=PAIR, http=ROUTES, saga_id="json:order")(Grouped)
    seen = trial(getattr(made, ADAPTER_ATTRIBUTE), "crash-after-effect pay F")
    assert len(seen.of("CRASH")) == 1 and not seen.raised
