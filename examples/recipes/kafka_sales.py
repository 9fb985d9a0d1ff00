"""A consumer of a Kafka topic by aiokafka: what is ordered is sent there, and committed when it is done."""

import asyncio
from contextlib import asynccontextmanager, suppress

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
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


async def work(consumer: AIOKafkaConsumer) -> None:
    async for record in consumer:
        await sell(record.value.decode())
        await consumer.commit()


@asynccontextmanager
async def working(app: FastAPI):
    async with (
        AIOKafkaProducer(bootstrap_servers="kafka") as app.state.producer,
        AIOKafkaConsumer("sales", bootstrap_servers="kafka", group_id="workers", enable_auto_commit=False) as consumer,
    ):
        worker = asyncio.create_task(work(consumer))
        yield
        worker.cancel()


def create_app() -> FastAPI:
    app = FastAPI(lifespan=working)

    @app.post("/sales", status_code=202)
    async def order(id: str = Body(embed=True)) -> None:
        await app.state.producer.send_and_wait("sales", id.encode(), key=id.encode())

    return app
