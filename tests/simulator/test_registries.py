"""Libraries keep models, metrics and listeners of an app for its process alone."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
import sqlmodel
from sqlalchemy import event
from sqlalchemy.orm import Session

from sagafuzz import Saga, Step, service
from sagafuzz.ports import ADAPTER_ATTRIBUTE, Adapter
from sagafuzz.simulator.registries import OfProcess, forget, keep

from .conftest import Laboratory, Trial

KEEPS = """
import django.core.signals
import flask
import httpx
from blinker import signal
from flask import Flask, request
from prometheus_client import Counter
from sqlalchemy import Column, ForeignKey, Table, create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
from sqlmodel import Field, Relationship, SQLModel, select

ORDERS = Counter("orders", "that were placed")
HEARD = []
engine = create_engine("sqlite:///gives.db")
marked = Table("marked", SQLModel.metadata, Column("order", ForeignKey("order.id")))


class Line(SQLModel, table=True):
    id: str = Field(primary_key=True)
    order_id: str = Field(foreign_key="order.id")
    order: "Order" = Relationship(back_populates="lines")


class Order(SQLModel, table=True):
    id: str = Field(primary_key=True)
    lines: list[Line] = Relationship(back_populates="order")


@event.listens_for(Session, "before_commit")
def hears(session):
    HEARD.append("module")


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def remarks(connection, cursor, statement, parameters, context, many):
    return f"{statement} -- {len(HEARD)}", parameters


def receives(**told):
    HEARD.append("signal")


django.core.signals.got_request_exception.connect(receives)
placed = signal("placed")


def blinks(sender, heard):
    heard.append("blinker")


def renders(sender, heard, **told):
    heard.append("flask")


placed.connect(blinks, weak=False)
flask.template_rendered.connect(renders, weak=False)


def place(id):
    HEARD.clear()
    with Session(engine) as session:
        session.merge(Order(id=id, lines=[Line(id=f"{id}/1", order_id=id)]))
        session.commit()
    django.core.signals.got_request_exception.send(sender=None)
    placed.send(heard=HEARD)
    flask.template_rendered.send(heard=HEARD)
    ORDERS.inc()
    about = {"order": id, "heard": ",".join(HEARD), "orders": int(ORDERS._value.get())}
    httpx.post("http://order/create", json=about, headers={"Idempotency-Key": id})


def create_app():
    app = Flask("gives")
    Counter("apps", "that were made").inc()
    event.listen(Session, "before_commit", lambda session: HEARD.append("app"))
    SQLModel.metadata.create_all(engine)
    with Session(engine) as session:
        left = session.scalars(select(Order.id)).all()
    for id in left:
        place(id)

    @app.post("/orders")
    def orders():
        place(request.json["id"])
        return {}, 201

    return app
"""

ONE = Saga("one", [Step("order", "order.create", undo="order.cancel")])


@pytest.fixture
def keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Adapter:
    (tmp_path / "gives.py").write_text(KEEPS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    class Kept:
        app = "gives:create_app"

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

    http = {"POST order/create": "order.create", "POST order/cancel": "order.cancel"}
    made = service(saga=ONE, http=http, saga_id="json:order", code=["gives"])(Kept)
    return getattr(made, ADAPTER_ATTRIBUTE)


def told(trial: Trial, name: str) -> list[Any]:
    return [dict(event.get("payload"))[name] for event in trial.of("SEND")]


@pytest.mark.parametrize(
    "fault", ["", "crash-after-effect order F", "second-orchestrator 'gives.db: insert order + insert line'"]
)
def test_a_process_hears_its_own_listeners_once(lab: Laboratory, keeps: Adapter, fault: str) -> None:
    for _ in range(3):
        trial = lab.trial(keeps, *([fault] if fault else []))
        assert not trial.raised
        assert set(told(trial, "heard")) == {"module,app,signal,blinker,flask"}
        assert max(told(trial, "orders")) == 1
        assert len(told(trial, "heard")) >= (2 if fault else 1)


def test_what_a_library_had_before_it_keeps(lab: Laboratory, keeps: Adapter) -> None:
    class Ours(sqlmodel.SQLModel, table=True):
        id: int = sqlmodel.Field(primary_key=True)

    def listens(session: Session) -> None:
        """Of no code that is loaded anew."""

    counter = prometheus_client.Counter("ours", "of this test")
    event.listen(Session, "after_commit", listens)
    try:
        lab.trial(keeps)
        lab.trial(keeps)
        assert sqlmodel.SQLModel.metadata.tables["ours"] is Ours.__table__  # type: ignore[attr-defined]
        assert event.contains(Session, "after_commit", listens)
        assert counter in prometheus_client.REGISTRY._collector_to_names
    finally:
        event.remove(Session, "after_commit", listens)
        sqlmodel.SQLModel.metadata.remove(Ours.__table__)  # type: ignore[attr-defined]
        prometheus_client.REGISTRY.unregister(counter)


def test_a_listener_outside_of_its_process_changes_nothing() -> None:
    def listener(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> Any:
        raise AssertionError("it is of another process")

    process: Any = object()
    of_process = OfProcess(listener, process, slice(2, 4))
    assert of_process(None, None, "SELECT 1", (), None, False) == ("SELECT 1", ())
    assert OfProcess(listener, process)(None) is None
    assert [listener].index(of_process) == [of_process].index(listener) == 0  # as it is found to be removed


def test_signals_of_django_are_put_back_also_where_a_receiver_has_died() -> None:
    heard: list[str] = []

    def mine(**_: Any) -> None:
        heard.append("mine")

    def theirs(**_: Any) -> None:
        heard.append("theirs")

    mine.__module__ = theirs.__module__ = "shop_of_signals"
    signal = importlib.import_module("django.core.signals").setting_changed
    said: dict[str, Any] = {"setting": "SHOP", "value": None, "enter": True}  # what Django's own receivers look at
    signal.connect(mine)
    try:
        put_back = keep()
        forget(lambda name: name == "shop_of_signals")
        signal.connect(theirs)
        del theirs
        signal.send(None, **said)
        assert heard == []
        put_back()
        signal.send(None, **said)
        assert heard == ["mine"]
    finally:
        signal.disconnect(mine)
