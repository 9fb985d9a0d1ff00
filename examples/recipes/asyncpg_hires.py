"""FastAPI, aiohttp and asyncpg: a hire reserves a van and charges a card. What is open is taken up at the start."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial

import aiohttp
import asyncpg
from fastapi import FastAPI, Response

DATABASE, PATIENCE = "postgresql://hires@db/hires", aiohttp.ClientTimeout(total=2)
BEGIN = "INSERT INTO hires VALUES ($1, 'open') ON CONFLICT (id) DO UPDATE SET id = $1 RETURNING state"
GO_ON = "UPDATE hires SET state = $2 WHERE id = $1 RETURNING state"


async def patiently(act, *args):
    while True:
        try:
            return await act(*args)
        except (OSError, TimeoutError, aiohttp.ClientError, asyncpg.PostgresConnectionError):
            await asyncio.sleep(1)


async def ask(http, what, hire):
    key = {"Idempotency-Key": f"{hire}/{what}"}
    async with http.post(f"http://{what}", json={"hire": hire}, headers=key) as answer:
        if answer.status >= 500:
            raise OSError(await answer.text())
        return bool(await answer.read()) and answer.ok


async def drive(db, http, hire):
    state = await patiently(db.fetchval, BEGIN, hire)
    if state == "open":
        reserved = await patiently(ask, http, "vans/reserve", hire)
        paid = reserved and await patiently(ask, http, "cards/charge", hire)
        state = await patiently(db.fetchval, GO_ON, hire, "done" if paid else "undoing" if reserved else "failed")
    if state == "undoing" and await patiently(ask, http, "vans/release", hire):
        state = await patiently(db.fetchval, GO_ON, hire, "failed")
    return Response(status_code=201 if state == "done" else 409)


@asynccontextmanager
async def lifespan(app):
    async with aiohttp.ClientSession(timeout=PATIENCE) as http, asyncpg.create_pool(DATABASE, min_size=1) as db:
        await db.execute("CREATE TABLE IF NOT EXISTS hires (id text PRIMARY KEY, state text)")
        app.post("/hires/{hire}")(partial(drive, db, http))
        for row in await db.fetch("SELECT id FROM hires WHERE state IN ('open', 'undoing') ORDER BY id"):
            await drive(db, http, row["id"])
        yield


app = FastAPI(lifespan=lifespan)
