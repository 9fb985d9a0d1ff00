"""Reserve, charge, book; undo in reverse."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from .clients import Declined, ServiceClient
from .models import OrderRow

STEPS = {"inventory": ("/reserve", "/release"), "payment": ("/charge", "/refund"), "shipping": ("/book", "/cancel")}


class OrderSaga:
    def __init__(self, sessions: async_sessionmaker[AsyncSession], clients: Mapping[str, ServiceClient]) -> None:
        self.sessions = sessions
        self.clients = clients

    async def place(self, order_id: str, sku: str, qty: int, cents: int) -> bool:
        async with self.sessions.begin() as session:
            if await session.get(OrderRow, order_id) is None:
                session.add(OrderRow(id=order_id, sku=sku, qty=qty, cents=cents))
        return await self.drive(order_id)

    async def drive(self, order_id: str) -> bool:
        order = await self.save(order_id)
        for name in STEPS:
            if order.status == "running" and name not in order.done:
                order = await self.forward(order, name)
        if order.status == "compensating":
            for name in reversed(order.done):
                await self.ask(order, name, STEPS[name][1], attempts=50)
        await self.save(order_id, status="confirmed" if order.status in ("running", "confirmed") else "cancelled")
        return order.status in ("running", "confirmed")

    async def forward(self, order: OrderRow, name: str) -> OrderRow:
        try:
            await self.ask(order, name, STEPS[name][0], attempts=3)
        except Declined:
            return await self.save(order.id, status="compensating")
        except httpx.HTTPError:  # unknown: undo this one as well
            return await self.save(order.id, status="compensating", done=[*order.done, name])
        return await self.save(order.id, done=[*order.done, name])

    async def ask(self, order: OrderRow, name: str, path: str, attempts: int) -> None:
        for number in range(attempts):
            try:
                return await self.clients[name].post(path, order.id, sku=order.sku, qty=order.qty, cents=order.cents)
            except (httpx.TransportError, httpx.HTTPStatusError):
                if number == attempts - 1:
                    raise
                await asyncio.sleep(0.2 * 2 ** min(number, 6))
        return None

    async def resume_all(self) -> None:
        async with self.sessions() as session:
            open_ = select(OrderRow.id).where(OrderRow.status.in_(["running", "compensating"]))
            ids = (await session.scalars(open_)).all()
        for order_id in ids:
            await self.drive(order_id)

    async def save(self, order_id: str, **changes: Any) -> OrderRow:
        async with self.sessions(expire_on_commit=False) as session, session.begin():
            row = await session.get_one(OrderRow, order_id)
            for name, value in changes.items():
                setattr(row, name, value)
        return row
