"""A consumer of a Redis stream: what is ordered is put there, and who dies over it leaves it to the next consumer."""

import asyncio
from contextlib import asynccontextmanager, suppress

import httpx
from fastapi import Body, FastAPI
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

queue = Redis(host="queue", decode_responses=True, socket_timeout=None)


async def ask(what: str, sale: str) -> bool:
    key = {"Idempotency-Key": f"{sale}/{what}"}
    async with httpx.AsyncClient(timeout=2) as http:
        while True:
            with suppress(httpx.TransportError):
                answer = await http.post(f"http://{what}", json={"sale": sale}, headers=key)
                if answer.status_code < 500:
                    return answer.is_success
            await asyncio.sleep(1)


async def sell(sale: str) -> None:
    if await ask("seats/hold", sale) and not await ask("cards/charge", sale):
        await ask("seats/release", sale)


async def work() -> None:
    while True:
        with suppress(RedisError):
            _, stale, _ = await queue.xautoclaim("sales", "workers", "one", min_idle_time=30_000)
            new = dict(await queue.xreadgroup("workers", "one", {"sales": ">"}, block=5_000) or {})
            for message, fields in [*stale, *new.get("sales", [])]:
                await sell(fields["sale"])
                await queue.xack("sales", "workers", message)


@asynccontextmanager
async def working(app: FastAPI):
    with suppress(ResponseError):  # there is such a group
        await queue.xgroup_create("sales", "workers", id="0", mkstream=True)
    worker = asyncio.create_task(work())
    yield
    worker.cancel()


def create_app() -> FastAPI:
    app = FastAPI(lifespan=working)
    app.post("/sales", status_code=202)(order)
    return app


async def order(id: str = Body(embed=True)) -> None:
    await queue.xadd("sales", {"sale": id})
