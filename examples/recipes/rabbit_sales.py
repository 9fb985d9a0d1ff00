"""A consumer of a RabbitMQ queue by aio-pika: what is ordered is put there, and acknowledged when it is done."""

import asyncio
from contextlib import asynccontextmanager, suppress

import aio_pika
import httpx
from aio_pika.abc import AbstractIncomingMessage
from fastapi import Body, FastAPI


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


async def work(message: AbstractIncomingMessage) -> None:
    async with message.process(requeue=True):
        await sell(message.body.decode())


@asynccontextmanager
async def working(app: FastAPI):
    async with await aio_pika.connect_robust("amqp://rabbit") as connection:
        channel = app.state.channel = await connection.channel()
        await channel.set_qos(prefetch_count=10)
        await (await channel.declare_queue("sales", durable=True)).consume(work)
        yield


def create_app() -> FastAPI:
    app = FastAPI(lifespan=working)

    @app.post("/sales", status_code=202)
    async def order(id: str = Body(embed=True)) -> None:
        message = aio_pika.Message(id.encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await app.state.channel.default_exchange.publish(message, "sales")

    return app
