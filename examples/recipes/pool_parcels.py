"""A thread pool, requests and SQLAlchemy: a parcel is packed, and a courier is booked at the same time."""

import time
from concurrent.futures import ThreadPoolExecutor

import requests
from flask import Flask, request
from requests.adapters import HTTPAdapter, Retry
from sqlalchemy import create_engine, exc, select
from sqlalchemy.orm import Mapped, Session, declarative_base, mapped_column

engine = create_engine("sqlite:///parcels.db")
pool, http = ThreadPoolExecutor(8), requests.Session()
http.mount("http://", HTTPAdapter(max_retries=Retry(50, allowed_methods=None, status_forcelist=range(500, 600))))
UNDO = {"packer/pack": "packer/unpack", "courier/book": "courier/cancel"}


class Parcel(declarative_base()):
    __tablename__ = "parcels"
    id: Mapped[str] = mapped_column(primary_key=True)
    left: Mapped[str] = mapped_column(default=" ".join(UNDO))
    ok: Mapped[bool] = mapped_column(default=True)


def ask(what: str, of: str) -> bool:
    return http.post(f"http://{what}", json={"parcel": of}, headers={"Idempotency-Key": f"{of}/{what}"}, timeout=2).ok


def send(order: str) -> bool:
    try:
        with Session(engine) as session:
            parcel = session.merge(session.get(Parcel, order) or Parcel(id=order))
            session.commit()
            while asked := parcel.left.split():
                done = [what for what, ok in zip(asked, pool.map(ask, asked, [order] * len(asked)), strict=True) if ok]
                parcel.left = "" if done == asked else " ".join(map(UNDO.get, done))
                parcel.ok = parcel.ok and done == asked
                session.commit()
            return parcel.ok
    except (exc.OperationalError, requests.RequestException):
        time.sleep(1)
        return send(order)


def create_app() -> Flask:
    app = Flask(__name__)
    Parcel.metadata.create_all(engine)
    for order in Session(engine).scalars(select(Parcel.id).where(Parcel.left != "")).all():
        send(order)
    app.post("/parcels")(lambda: ({}, 201 if send(request.json["id"]) else 409))
    return app
