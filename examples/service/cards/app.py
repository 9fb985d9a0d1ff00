"""A participant as it is: it charges cards, at most once for each key. It knows nothing of sagafuzz."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Header
from pydantic import BaseModel
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from .tables import Base, Charge, Seen


class Wanted(BaseModel):
    tour: str


class Cards:
    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self.sessions = sessions

    async def charge(self, tour: str, key: str) -> None:
        """Charge a card, and remember the key, in one transaction."""
        async with self.sessions.begin() as session:
            if await session.get(Seen, key) is None:
                session.add_all([Seen(key=key), Charge(tour=tour)])

    async def refund(self, tour: str) -> None:
        """Delete what was charged; let nothing be charged from now on."""
        async with self.sessions.begin() as session:
            await session.merge(Seen(key=f"{tour}-charge"))
            await session.execute(delete(Charge).where(Charge.tour == tour))


def create_app(cards: type[Cards] = Cards) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_async_engine("sqlite+aiosqlite:///cards.db")
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        app.state.cards = cards(async_sessionmaker(engine))
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/charge")
    async def charge(wanted: Wanted, idempotency_key: str = Header()) -> dict[str, str]:
        await app.state.cards.charge(wanted.tour, idempotency_key)
        return {"state": "charged"}

    @app.post("/refund")
    async def refund(wanted: Wanted) -> dict[str, str]:
        await app.state.cards.refund(wanted.tour)
        return {"state": "refunded"}

    return app
