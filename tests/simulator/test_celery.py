"""Celery over Redis, in a service as it is: its worker is a thread of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sagafuzz import Outcome, service
from sagafuzz.fresh import InOrder, Scheduled
from sagafuzz.history import rows_digest
from sagafuzz.ports import ADAPTER_ATTRIBUTE

from .conftest import Trial
from .test_service import PAIR, ROUTES, trial

TASKS = """
from threading import Thread

import requests
from celery import Celery
from flask import Flask, request

celery = Celery("shop", broker="redis://broker")
celery.conf.update(task_acks_late={late}, broker_transport_options={{"visibility_timeout": 60}})
celery.conf.task_ignore_result = True


@celery.task
def place(order):
    key = {{"Idempotency-Key": order}}
    requests.post("http://order/create", json={{"order": order}}, headers=key, timeout=2)
    requests.post("http://payment/charge", json={{"order": order}}, headers=key, timeout=2)


def create_app():
    app = Flask(__name__)
    app.post("/orders")(lambda: place.delay(request.json["id"]) and ({{}}, 202))
    worker = celery.WorkController(pool={pool!r}, without_gossip=True, without_mingle=True, without_heartbeat=True)
    Thread(target=worker.start).start()
    return app
"""


def placed(folder: Path, patch: pytest.MonkeyPatch, *faults: str, pool: str = "solo", late: bool = True) -> Trial:
    """A run of a service that lets a worker place its orders."""
    name = f"celery_shop_{pool}_{late}"
    (folder / f"{name}.py").write_text(TASKS.format(pool=pool, late=late))
    patch.syspath_prepend(str(folder))

    class Shop:
        app = f"{name}:create_app()"

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

        answers = {202: Outcome.PENDING}  # noqa: RUF012, as people write it

    made = service(saga=PAIR, http=ROUTES, saga_id="json:order")(Shop)
    return trial(getattr(made, ADAPTER_ATTRIBUTE), *faults)


@pytest.mark.parametrize(
    ("pool", "late", "times"),
    [
        ("solo", True, 2),
        ("threads", False, 1),
        pytest.param("threads", True, 2, marks=pytest.mark.slow),
        pytest.param("solo", False, 2, marks=pytest.mark.slow),
    ],
)
def test_a_task_comes_again_after_its_visibility_timeout_unless_it_was_acknowledged_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: str, late: bool, times: int
) -> None:
    """The pool "solo" sends an acknowledgement when it has done the task in any case: its loop waits for that."""
    seen = placed(tmp_path, monkeypatch, "crash-after-effect order F", pool=pool, late=late)
    asked = seen.of("SEND", step="order")
    assert len(asked) == times and len(seen.of("SEND", step="pay")) == times - 1
    assert [event.t_us > 60_000_000 for event in asked] == [False, True][:times]


def test_runs_with_celery_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [placed(tmp_path, monkeypatch, "crash-after-log 'broker: lpush celery'").run for _ in range(2)]
    assert len({rows_digest(run.rows) for run in runs}) == 1


def test_a_set_in_order_gives_what_came_first_and_what_came_in_no_order_by_name() -> None:
    assert [*InOrder({"b", "c", "a"})] == ["a", "b", "c"] and [*InOrder({placed, trial, Trial})] == [
        Trial,
        placed,
        trial,
    ]
    several = InOrder("ca")
    several.add("b")
    several.update("ad", {"f", "e"})
    several.discard("a")
    assert [*several] == [*several.copy()] == ["c", "b", "d", "e", "f"]
    assert [*(several | InOrder("x"))] == ["c", "b", "d", "e", "f", "x"] and several.pop() == "c" and len(several) == 4


def test_of_two_timers_for_one_moment_that_comes_first_which_was_made_first() -> None:
    first, second, early = Scheduled(2, 0, "first"), Scheduled(2, 0, "second"), Scheduled(1, 0, "early")
    assert sorted([second, first, early]) == [early, first, second] and [*first] == [2, 0, "first"]
