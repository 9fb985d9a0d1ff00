"""The same, with a bug that is written every day: the key is remembered in a transaction of its own."""

from fastapi import FastAPI

from .app import Cards, create_app
from .tables import Charge, Seen


class Late(Cards):
    async def charge(self, tour: str, key: str) -> None:
        async with self.sessions() as session:
            if await session.get(Seen, key) is not None:
                return
            session.add(Charge(tour=tour))
            await session.commit()
            session.add(Seen(key=key))
            await session.commit()


def create_late_app() -> FastAPI:
    return create_app(Late)
