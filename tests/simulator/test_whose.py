"""Which of the user's lines an event comes from: through awaits, tasks that a library makes, and helper threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiosqlite
import httpx
import pytest

from sagafuzz import Plan
from sagafuzz.history import KIND, LOG, SEND
from sagafuzz.simulator import Setup, caller_of, simulate

from .http_clients import by_httpx
from .test_service import declared

HERE = Path(__file__)


async def in_itself(client: httpx.AsyncClient, order: str) -> None:
    await client.post("/charge", json={"order": order})  # in itself


async def in_time(client: httpx.AsyncClient, order: str) -> None:
    await asyncio.wait_for(client.post("/charge", json={"order": order}), 9)  # in time


async def in_a_group(client: httpx.AsyncClient, order: str) -> None:
    asked = [client.post("/charge", json={"order": order})]
    await asyncio.gather(*asked)  # in a group


async def in_a_task(client: httpx.AsyncClient, order: str) -> None:
    asked = asyncio.create_task(client.post("/charge", json={"order": order}))
    await asked  # in a task


async def in_a_thread(client: httpx.AsyncClient, order: str) -> None:
    await asyncio.to_thread(lambda: by_httpx("http://payment", ["/charge"], order))  # in a thread


async def in_a_database(client: httpx.AsyncClient, order: str) -> None:
    async with aiosqlite.connect("orders.db") as database:
        await database.execute("CREATE TABLE orders (id TEXT)")  # in a database


@pytest.mark.parametrize(
    ("work", "kind", "words"),
    [
        (in_itself, SEND, "# in itself"),
        (in_time, SEND, "# in time"),
        (in_a_group, SEND, "# in a group"),
        (in_a_task, SEND, "# in a task"),
        (in_a_thread, SEND, "return [client.post("),
        (in_a_database, LOG, "# in a database"),
    ],
)
def test_an_event_knows_the_innermost_line_of_the_users_own(work: Callable[..., Any], kind: str, words: str) -> None:
    async def handler(order: str) -> int:
        async with httpx.AsyncClient(base_url="http://payment", timeout=2) as client:
            await work(client, order)
        return 200

    adapter = declared(handler)
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    position = next(at for at, row in enumerate(simulate(setup).rows) if row[KIND] == kind)
    found = caller_of(setup, Plan(), position)
    assert found.source is not None, found
    assert words in found.source.lines[found.source.line - found.source.first]
    assert len(found.source.lines) == 3
    assert Path(found.source.file).name == ("http_clients.py" if work is in_a_thread else HERE.name)
