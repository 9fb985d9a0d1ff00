"""The three services that we ask, over HTTP."""

from typing import Any

import httpx


class Refused(Exception):
    """The other side says no, for good."""


class Remote:
    def __init__(self, url: str) -> None:
        self.http = httpx.AsyncClient(base_url=url, timeout=3.0)

    async def ask(self, path: str, tour: str, key: str, **more: Any) -> None:
        answer = await self.http.post(path, json={"tour": tour, **more}, headers={"Idempotency-Key": key})
        if answer.status_code == httpx.codes.CONFLICT:
            raise Refused(answer.text)
        answer.raise_for_status()
