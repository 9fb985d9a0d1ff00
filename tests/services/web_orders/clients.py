import httpx


class Declined(Exception):
    """The business said no."""


class ServiceClient:
    def __init__(self, base_url: str, timeout: float = 2.0) -> None:
        self.http = httpx.AsyncClient(base_url=base_url, timeout=timeout)

    async def post(self, path: str, order_id: str, **body: object) -> None:
        headers = {"Idempotency-Key": f"{order_id}-{path}"}
        response = await self.http.post(path, json={"order": order_id, **body}, headers=headers)
        if response.status_code in (409, 422):
            raise Declined(response.text)
        response.raise_for_status()
