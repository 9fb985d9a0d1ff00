"""Participants that are apps of their own: in a process of theirs, judged by what their databases hold."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import httpx
import pytest

from sagafuzz import Adapter, App, Saga, Step, UsageError, check, service
from sagafuzz.ports import ADAPTER_ATTRIBUTE

from .conftest import Laboratory, Trial
from .test_service import app_of

EXAMPLE = Path(__file__).parents[2] / "examples/service/tours_adapter.py"

LONE = Saga("lone", [Step("pay", "payment.charge", undo="payment.refund")])
PAIR = Saga("pair", [Step("order", "order.create", undo="order.cancel"), Step("pay", "payment.charge")])
ROUTES = {
    "POST order/create": "order.create",
    "POST order/cancel": "order.cancel",
    "POST payment/charge": "payment.charge",
}
CHARGES = "SELECT saga FROM charges"
COMMIT = "payment/payment.db: insert charges"


def connect() -> sqlite3.Connection:
    database = sqlite3.connect("payment.db")
    database.execute("CREATE TABLE IF NOT EXISTS charges (saga TEXT)")
    database.execute("CREATE TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY)")
    return database


def charge(order: str) -> int:
    """Charge, and note that, in one transaction."""
    database = connect()
    if not database.execute("SELECT 1 FROM seen WHERE key = ?", (order,)).fetchone():
        database.execute("INSERT INTO charges VALUES (?)", (order,))
        database.execute("INSERT INTO seen VALUES (?)", (order,))
        database.commit()
    return 200


def charge_and_note(order: str) -> int:
    """The same in two."""
    database = connect()
    if not database.execute("SELECT 1 FROM seen WHERE key = ?", (order,)).fetchone():
        database.execute("INSERT INTO charges VALUES (?)", (order,))
        database.commit()
        database.execute("INSERT INTO seen VALUES (?)", (order,))
        database.commit()
    return 200


def by_asgi(handle: Callable[[str], int]) -> Any:
    async def asked(order: str) -> int:
        return handle(order)

    return app_of(asked)


def by_flask(handle: Callable[[str], int]) -> Any:
    app = flask.Flask("payment")
    app.post("/charge")(lambda: ("{}", handle(flask.request.json["id"])))
    return app


@pytest.fixture(params=[by_asgi, by_flask], ids=lambda web: web.__name__)
def web(request: pytest.FixtureRequest) -> Any:
    return request.param


def payment(handle: Callable[[str], int] = charge, web: Any = by_asgi, **options: Any) -> App:
    """A participant's app that answers with what ``handle`` gives."""
    said = {"db": "payment.db", "effects": CHARGES, **options}
    return App(lambda: web(handle), **said)


def declared(app: App, said: list[Any] | None = None, **options: Any) -> Adapter:
    """A service that charges by ``app``, and asks again where it has no answer."""

    async def handler(order: str) -> int:
        async with httpx.AsyncClient(timeout=2) as client:
            for _ in range(3):
                try:
                    answer = await client.post("http://payment/charge", json={"id": order})
                except httpx.HTTPError:
                    continue
                if said is not None:
                    said.append(answer.status_code)
                if answer.status_code < 500:
                    break
        return 200

    class Small:
        app = staticmethod(lambda: app_of(handler))

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

    made = service(saga=LONE, http=ROUTES, saga_id="json:id", apps={"payment": app}, **options)(Small)
    found: Adapter = getattr(made, ADAPTER_ATTRIBUTE)
    return found


def trial(adapter: Adapter, *faults: str) -> Trial:
    return Laboratory().trial(adapter, *faults)


def broken(seen: Trial) -> list[str]:
    """The invariants that a run breaks."""
    return [violation.invariant for violation in check(seen.history).violations]


def test_an_app_is_asked_as_it_is_and_judged_by_what_it_commits(web: Any) -> None:
    said: list[Any] = []
    seen = trial(declared(payment(web=web), said))
    assert said == [200] and seen.answers == ["completed"]
    assert seen.story("pay") == ["SEND", "DELIVER", "APPLY", "ACK"]
    assert [event.data[0] for event in seen.of("APPLY")] == [True]


def test_what_an_app_answers_its_client_reads_as_it_was_said() -> None:
    said: list[Any] = []
    seen = trial(declared(payment(lambda order: 418), said))
    assert said == [418] and seen.story("pay") == ["SEND", "DELIVER", "ERROR", "ACK"]


def test_the_status_of_a_refusal_is_that_of_the_service() -> None:
    assert "REJECT" in trial(declared(payment(lambda order: 409))).story("pay")


def test_an_app_that_answers_success_and_commits_nothing_has_had_no_effect() -> None:
    def nothing(order: str) -> int:
        connect().commit()
        return 200

    assert [event.data[0] for event in trial(declared(payment(nothing))).of("APPLY")] == [False]


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_commit_of_an_app_is_a_crash_point(side: str, web: Any) -> None:
    said: list[Any] = []
    seen = trial(declared(payment(web=web), said), f"participant-crash-{side}-commit '{COMMIT} + insert seen'")
    assert [event.process for event in seen.of("DOWN")] == ["payment"] and not seen.of("CRASH")
    assert seen.story("pay").count("APPLY") == 1 + (side == "after")  # the second time it changes nothing
    assert said == [200] and seen.answers == ["completed"] and broken(seen) == []


def test_a_key_that_is_noted_in_a_second_transaction_is_found_with_one_fault(web: Any) -> None:
    seen = trial(declared(payment(charge_and_note, web)), f"participant-crash-after-commit '{COMMIT}'")
    assert broken(seen) == ["I1"]


def test_what_an_app_of_flask_is_told_is_what_its_client_sent() -> None:
    told: list[Any] = []

    def handle(order: str) -> int:
        asked = flask.request
        told.append((asked.method, asked.path, asked.host, asked.content_type, asked.content_length, asked.json))
        return charge(order)

    said: list[Any] = []
    trial(declared(payment(handle, by_flask), said))
    assert told == [("POST", "/charge", "payment", "application/json", 15, {"id": "saga-1"})] and said == [200]


def test_an_app_of_flask_that_fails_has_not_answered() -> None:
    def handle(order: str) -> int:
        raise KeyError(order)

    said: list[Any] = []
    assert trial(declared(payment(handle, by_flask), said)).story("pay")[:4] == ["SEND", "DELIVER", "ERROR", "ACK"]
    assert said == [500, 500, 500]


def test_what_an_app_has_committed_outlives_its_process_and_what_it_holds_does_not() -> None:
    counts: list[int] = []

    def make() -> Any:
        served: list[str] = []

        async def asked(order: str) -> int:
            served.append(order)
            counts.append(len(served))
            return charge(order)

        return app_of(asked)

    adapter = declared(App(make, db="payment.db", effects=CHARGES))
    trial(adapter, f"participant-crash-after-commit '{COMMIT} + insert seen'")
    assert counts == [1, 1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"db": "other.db"}, "it has no database 'other.db'"),
        ({"effects": "SELECT saga FROM charge"}, "no such table: charge"),
        ({"effects": "SELEC"}, "write a query that SQLite can read"),
        ({"effects": "SELECT 'x' || saga FROM charges"}, "a row begins with 'xsaga-1', which is no saga"),
        ({"effects": "SELECT saga, 'paid' FROM charges"}, "a row says 'paid' second; select the step"),
    ],
)
def test_a_query_that_cannot_tell_what_took_effect_is_said(options: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError) as error:
        trial(declared(payment(**options)))
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("apps", "told"),
    [
        ({"bank": payment()}, "there is order, payment"),
        ({"payment": "payments.app:create_app"}, "write App("),
        ({"payment": App("payments.app", db="", effects="")}, "write 'package.module:function'"),
    ],
)
def test_apps_that_are_declared_wrongly_are_said(apps: Any, told: str) -> None:
    with pytest.raises(UsageError) as error:
        service(saga=PAIR, http=ROUTES, apps=apps)
    assert told in str(error.value)


def test_an_app_that_does_not_start_is_said() -> None:
    def make() -> Any:
        raise RuntimeError("no licence")

    with pytest.raises(UsageError, match=r"apps\['payment'\] does not start: RuntimeError .*no licence"):
        trial(declared(App(make, db="payment.db", effects=CHARGES)))


def test_an_app_that_asks_another_is_said() -> None:
    async def asked(order: str) -> int:
        async with httpx.AsyncClient() as client:
            await client.post("http://order/create", json={"id": order})
        return 200

    with pytest.raises(UsageError, match=r"test_apps.py:\d+ in asked.* asks order;"):
        trial(declared(App(lambda: app_of(asked), db="payment.db", effects=CHARGES)))


def test_two_apps_that_share_a_module_have_a_copy_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "common.py").write_text("owner = None\n")
    (tmp_path / "wares.py").write_text(
        "import json, sqlite3, common\n\ndef make(name):\n"
        "    common.owner = name\n"
        "    async def app(scope, receive, send):\n"
        "        if scope['type'] == 'lifespan':\n            raise RuntimeError\n"
        "        order = json.loads((await receive())['body'])['id']\n"
        "        with sqlite3.connect('shop.db') as database:\n"
        "            database.execute('CREATE TABLE IF NOT EXISTS sales (saga)')\n"
        "            database.execute('INSERT INTO sales VALUES (?)', (order,))\n"
        "        body = json.dumps({'owner': common.owner}).encode()\n"
        "        await send({'type': 'http.response.start', 'status': 201, 'headers': []})\n"
        "        await send({'type': 'http.response.body', 'body': body})\n"
        "    return app\n\ndef order():\n    return make('order')\n\ndef payment():\n    return make('payment')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    owners: list[Any] = []

    async def handler(order: str) -> int:
        async with httpx.AsyncClient(timeout=2) as client:
            for url in ("http://order/create", "http://payment/charge"):
                answer = await client.post(url, json={"id": order})
                owners.append((answer.status_code, answer.json()["owner"]))
        return 200

    class Small:
        app = staticmethod(lambda: app_of(handler))

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

    apps = {
        name: App(f"wares:{name}", db="shop.db", effects="SELECT saga FROM sales", code=("wares", "common"))
        for name in ("order", "payment")
    }
    made = service(saga=PAIR, http=ROUTES, saga_id="json:id", apps=apps)(Small)
    seen = trial(getattr(made, ADAPTER_ATTRIBUTE))
    assert owners == [(201, "order"), (201, "payment")]
    assert [(event.process, event.data[0]) for event in seen.of("APPLY")] == [("order", True), ("payment", True)]


SEARCHED = ("--faults", "1", "--random", "0", "--scenario", "succeeds")
KINDS = "participant-crash-before-commit,participant-crash-after-commit"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("ToursAndCards", 0), ("ToursAndLateCards", 1)])
def test_a_search_of_two_apps_repeats_whatever_the_hash_seed_and_the_workers(
    name: str, code: int, tmp_path: Path
) -> None:
    digests = set()
    for seed, workers in (("1", "1"), ("77", "2")):
        arguments = ["run", f"{EXAMPLE}:{name}", *SEARCHED, "--kinds", KINDS, "-j", workers, "--report-dir", "out"]
        done = subprocess.run(
            [sys.executable, "-m", "sagafuzz", *arguments],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        digests.add(json.loads((tmp_path / "out/report.json").read_text())["digest"])
    assert len(digests) == 1
