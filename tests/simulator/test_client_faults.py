"""Faults as sockets have them: with any client the effects are those of a call by a port, and the exception its own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
from collections.abc import Sequence
from typing import Any

import pytest

from sagafuzz import Adapter, PortError, UsageError, service
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.ports import ADAPTER_ATTRIBUTE
from sagafuzz.simulator import Setup

from .conftest import PAIR, Laboratory, Trial
from .http_clients import CLIENTS, HEADERS, PATIENCE_S, Posting, by_async_httpx, by_requests, by_urllib
from .test_service import app_of

FAULTS: dict[str, tuple[str | int, str]] = {
    "stale-connection": ("closed", "lost-request"),
    "reset-before-effect": ("reset", "error-before-effect"),
    "reset-after-effect": ("reset", "error-after-effect"),
    "closed-unanswered": ("closed", "error-after-effect"),
    "half-answer": ("halved", "error-after-effect"),
    "stalled-answer": ("stalled", "lost-ack"),
    "bad-gateway": (502, "error-after-effect"),
}
"""Each kind, what the client makes of it (a field of `Raises`, or a status), and the fault of a port that has the same
effects."""

ROUTES = {"POST shop/create": "order.create", "POST shop/charge": "payment.charge"}


def asking(client: Posting, scheme: str, said: list[Any], paths: Sequence[str] = ("/create", "/charge")) -> Adapter:
    """A service that creates an order and charges for it, by one session of a client."""

    async def handler(order: str) -> int:
        try:
            answer = client(f"{scheme}://shop", paths, order)
            said.extend(await answer if asyncio.iscoroutine(answer) else answer)
        except Exception as error:
            said.append(error)
        return 200

    class Shop:
        app = staticmethod(lambda: app_of(handler))

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

    found: Adapter = getattr(service(saga=PAIR, http=ROUTES, saga_id="json:order")(Shop), ADAPTER_ATTRIBUTE)
    return found


@pytest.fixture
def by_port(lab: Laboratory) -> Adapter:
    """The same by `world.call`."""

    def run(world: Any, order: Any) -> bool:
        world.call("order.create", key="k")
        with contextlib.suppress(PortError):
            world.call("payment.charge", key="k")
        return True

    return lab.system(run)


def effects(trial: Trial) -> list[Any]:
    """What was applied, in order."""
    return [(event.saga, event.step, event.direction, event.key, event.data) for event in trial.of("APPLY")]


def test_they_are_all_there_are() -> None:
    assert [*FAULTS] == [kind.name for kind in FAULT_KINDS.values() if kind.needs == "sockets"]


MATRIX = [
    pytest.param(client, scheme, kind, id=f"{client.__name__}-{scheme}-{kind}")
    for client in CLIENTS
    for scheme in ("http", "https")
    for kind in FAULTS
    if not (kind == "stale-connection" and client is by_urllib)  # which keeps no connection
]


@pytest.mark.parametrize(("client", "scheme", "kind"), MATRIX)
def test_a_client_raises_what_it_documents_and_the_effects_are_those_of_a_port(
    lab: Laboratory, by_port: Adapter, client: Posting, scheme: str, kind: str
) -> None:
    sees, same_as = FAULTS[kind]
    said: list[Any] = []
    adapter = asking(client, scheme, said)
    seen = lab.trial(adapter, f"{kind} pay F")
    if isinstance(sees, int):
        assert said == [200, sees]
    else:
        assert [type(each) for each in said] == [getattr(CLIENTS[client], sees)]
    assert effects(seen) == effects(lab.trial(by_port, f"{same_as} pay F"))
    assert seen.end == "quiescent" and seen.answers == ["completed"]
    assert lab.trial(adapter, f"{kind} pay F").events == seen.events


def test_they_are_planned_where_clients_have_sockets_only(lab: Laboratory, by_port: Adapter) -> None:
    served = asking(by_async_httpx, "http", [])
    assert Setup(adapter=served, scenario=served.scenarios[0]).kinds >= FAULTS.keys()
    assert not Setup(adapter=by_port, scenario=by_port.scenarios[0]).kinds & FAULTS.keys()
    with pytest.raises(UsageError, match="its clients have sockets"):
        lab.unchecked(by_port, "half-answer pay F")


@pytest.mark.parametrize("client", [by_urllib, by_async_httpx])
def test_a_new_connection_is_not_stale(lab: Laboratory, client: Posting) -> None:
    seen = lab.unchecked(asking(client, "http", []), "stale-connection order F")
    assert not seen.fired and seen.story("order") == ["SEND", "DELIVER", "APPLY", "ACK"]


def test_a_stalled_answer_ends_when_its_client_gives_up(lab: Laboratory) -> None:
    seen = lab.trial(asking(by_requests, "http", []), "stalled-answer pay F")
    assert seen.story("pay") == ["SEND", "DELIVER", "APPLY", "LOST", "TIMEOUT"]
    assert 1_999 <= seen.of("TIMEOUT")[0].data[0] <= 2_002


def by_the_status(base: str, paths: Sequence[str], order: str) -> list[int]:
    """Reads no body."""
    said = []
    for path in paths:
        with contextlib.closing(http.client.HTTPConnection(base.rpartition("/")[2], timeout=PATIENCE_S)) as connection:
            connection.request("POST", path, json.dumps({"order": order}), HEADERS)
            said.append(connection.getresponse().status)
    return said


@pytest.mark.parametrize(
    ("kind", "story"),
    [
        ("half-answer", ["SEND", "DELIVER", "APPLY", "ACK"]),
        ("stalled-answer", ["SEND", "DELIVER", "APPLY", "LOST", "ACK"]),
    ],
)
def test_who_has_seen_the_status_of_an_answer_knows_it(lab: Laboratory, kind: str, story: list[str]) -> None:
    said: list[Any] = []
    seen = lab.trial(asking(by_the_status, "http", said), f"{kind} order F")
    assert said == [200, 200]
    assert seen.story("order") == story and seen.of("ACK", step="order")[0].data == ("ok",)


def test_what_is_reset_is_a_failure_of_the_network_in_the_history(lab: Laboratory) -> None:
    for kind, story in (
        ("stale-connection", ["SEND", "LOST", "ACK"]),
        ("reset-before-effect", ["SEND", "DELIVER", "ERROR", "ACK"]),
        ("reset-after-effect", ["SEND", "DELIVER", "APPLY", "ACK"]),
    ):
        seen = lab.trial(asking(by_async_httpx, "http", []), f"{kind} pay F")
        assert seen.story("pay") == story
        assert seen.of("ACK", step="pay")[0].data == ("error",)
