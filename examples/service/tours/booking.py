"""The saga: hold seats, charge the card, issue a pass; or undo what may have been done, the last first."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import httpx
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from .remote import Refused, Remote
from .tables import Tour

log = logging.getLogger(__name__)

FINAL = ("booked", "dropped")


class Booking:
    def __init__(
        self, sessions: async_sessionmaker[AsyncSession], seats: Remote, cards: Remote, passes: Remote
    ) -> None:
        self.sessions = sessions
        self.seats = seats
        self.cards = cards
        self.passes = passes

    async def book(self, id: str, seats: int, price: int) -> bool:
        async with self.sessions.begin() as session:
            session.add(Tour(id=id, seats=seats, price=price, state="booking"))
        return await self.finish(id)

    async def resume(self) -> None:
        async with self.sessions() as session:
            ids = (await session.scalars(select(Tour.id).where(Tour.state.not_in(FINAL)).order_by(Tour.id))).all()
        for id in ids:
            await self.finish(id)

    async def finish(self, id: str) -> bool:
        """Bring a tour to its end; return True if it is booked. Ask a database that fails for a while again."""
        while True:
            try:
                tour = await self.load(id)
                if tour.state == "booking":
                    tour = await self.advance(id, await self.forward(tour))
                if tour.state == "undoing":
                    await self.backward(tour)
                    tour = await self.advance(id, "dropped")
                return tour.state == "booked"
            except DBAPIError as error:
                log.warning("tour %s: %s", id, error)
                await asyncio.sleep(1)

    async def forward(self, tour: Tour) -> str:
        """The state that follows."""
        try:
            await self.patiently(lambda: self.seats.ask("/hold", tour.id, f"{tour.id}-hold", seats=tour.seats), tries=3)
            await self.patiently(lambda: self.cards.ask("/charge", tour.id, self.charge_key(tour)), tries=3)
            await self.patiently(lambda: self.passes.ask("/issue", tour.id, f"{tour.id}-issue"), tries=3)
        except (Refused, httpx.HTTPError) as error:
            log.warning("tour %s is dropped: %s", tour.id, error)
            return "undoing"
        return "booked"

    def charge_key(self, tour: Tour) -> str:
        return f"{tour.id}-charge"

    async def backward(self, tour: Tour) -> None:
        """Undo all three: each can be asked to undo what it has not done."""
        await self.patiently(lambda: self.passes.ask("/revoke", tour.id, f"{tour.id}-revoke"))
        await self.patiently(lambda: self.cards.ask("/refund", tour.id, f"{tour.id}-refund"))
        await self.patiently(lambda: self.seats.ask("/release", tour.id, f"{tour.id}-release"))

    async def patiently(self, ask: Callable[[], Awaitable[None]], tries: int = 0) -> None:
        """Ask until there is an answer, or that often."""
        pause = 0.2
        while True:
            try:
                return await ask()
            except httpx.HTTPError:
                tries -= 1
                if tries == 0:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 60)

    async def load(self, id: str) -> Tour:
        async with self.sessions() as session:
            return await session.get_one(Tour, id)

    async def advance(self, id: str, state: str) -> Tour:
        """Set the state, unless the tour has come to its end meanwhile."""
        async with self.sessions(expire_on_commit=False) as session, session.begin():
            tour = await session.get_one(Tour, id)
            if tour.state not in FINAL:
                tour.state = state
        return tour
