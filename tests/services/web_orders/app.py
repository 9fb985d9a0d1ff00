from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from .clients import ServiceClient
from .models import Base
from .saga import OrderSaga


class NewOrder(BaseModel):
    id: str
    sku: str
    qty: int
    cents: int


def create_app() -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_async_engine("sqlite+aiosqlite:///orders.db")
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        clients = {name: ServiceClient(f"http://{name}") for name in ("inventory", "payment", "shipping")}
        app.state.saga = OrderSaga(async_sessionmaker(engine), clients)
        await app.state.saga.resume_all()
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/orders")
    async def place(order: NewOrder) -> dict[str, str]:
        if not await app.state.saga.place(order.id, order.sku, order.qty, order.cents):
            raise HTTPException(409, "order cancelled")
        return {"status": "confirmed"}

    return app
