"""Flask, requests and SQLAlchemy: a sale holds a seat and charges a card. What is open is taken up at the start."""

import time

import requests
from flask import Flask, request
from requests.adapters import HTTPAdapter, Retry
from sqlalchemy import create_engine, exc, select
from sqlalchemy.orm import Mapped, Session, declarative_base, mapped_column

engine = create_engine("sqlite:///sales.db")
http = requests.Session()
http.mount("http://", HTTPAdapter(max_retries=Retry(50, allowed_methods=None, status_forcelist=range(500, 600))))


class Sale(declarative_base()):
    __tablename__ = "sales"
    id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]


def ask(what: str, sale: str) -> bool:
    return http.post(f"http://{what}", json={"sale": sale}, headers={"Idempotency-Key": f"{sale}/{what}"}, timeout=2).ok


def sell(order: str) -> bool:
    try:
        with Session(engine) as session:
            sale = session.merge(session.get(Sale, order) or Sale(id=order, state="open"))
            session.commit()
            if sale.state == "open":
                held = ask("seats/hold", order)
                sale.state = "sold" if held and ask("cards/charge", order) else "undoing" if held else "failed"
                session.commit()
            if sale.state == "undoing" and ask("seats/release", order):
                sale.state = "failed"
                session.commit()
            return sale.state == "sold"
    except (exc.OperationalError, requests.RequestException):
        time.sleep(1)
        return sell(order)


def create_app() -> Flask:
    app = Flask(__name__)
    Sale.metadata.create_all(engine)
    with Session(engine) as session:
        unfinished = session.scalars(select(Sale.id).where(Sale.state.in_(["open", "undoing"]))).all()
    for order in unfinished:
        sell(order)
    app.post("/sales")(lambda: ({}, 201 if sell(request.json["id"]) else 409))
    return app
