from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from .booking import Booking
from .remote import Remote
from .tables import Base


class Wanted(BaseModel):
    id: str
    seats: int
    price: int


def create_app(database: str = "sqlite+aiosqlite:///tours.db", booking: type[Booking] = Booking) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_async_engine(database)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        remotes = (Remote(f"https://{name}") for name in ("seats", "cards", "passes"))
        app.state.booking = booking(async_sessionmaker(engine), *remotes)
        await app.state.booking.resume()
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/tours")
    async def book(wanted: Wanted) -> dict[str, str]:
        if not await app.state.booking.book(wanted.id, wanted.seats, wanted.price):
            raise HTTPException(409, "dropped")
        return {"state": "booked"}

    return app
