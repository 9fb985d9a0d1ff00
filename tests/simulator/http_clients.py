"""Every HTTP client that a service may use: how it posts along some paths of one host, one request after the other."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import aiohttp
import httpx
import requests

PATIENCE_S: Final = 2
HEADERS: Final = {"Idempotency-Key": "k"}

Posting = Callable[[str, Sequence[str], str], Any]
"""What posts an order to paths of a host, as ``(base URL, paths, order)``; the statuses, or an awaitable of them."""


def by_urllib(base: str, paths: Sequence[str], order: str) -> list[int]:
    return [_by_urllib(f"{base}{path}", order) for path in paths]


def _by_urllib(url: str, order: str) -> int:
    asked = urllib.request.Request(url, data=json.dumps({"order": order}).encode(), headers=HEADERS)
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            error.read()
            return error.code


def by_http_client(base: str, paths: Sequence[str], order: str) -> list[int]:
    scheme, _, host = base.partition("://")
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    with contextlib.closing(kind(host, timeout=PATIENCE_S)) as connection:
        return list(_by_http_client(connection, paths, order))


def _by_http_client(connection: http.client.HTTPConnection, paths: Sequence[str], order: str) -> Iterator[int]:
    for path in paths:
        connection.request("POST", path, json.dumps({"order": order}), HEADERS)
        answer = connection.getresponse()
        answer.read()
        yield answer.status


def by_requests(base: str, paths: Sequence[str], order: str) -> list[int]:
    with requests.Session() as session:
        return [
            session.post(f"{base}{path}", json={"order": order}, headers=HEADERS, timeout=PATIENCE_S).status_code
            for path in paths
        ]


def by_httpx(base: str, paths: Sequence[str], order: str) -> list[int]:
    with httpx.Client(base_url=base, timeout=PATIENCE_S) as client:
        return [client.post(path, json={"order": order}, headers=HEADERS).status_code for path in paths]


async def by_async_httpx(base: str, paths: Sequence[str], order: str) -> list[int]:
    async with httpx.AsyncClient(base_url=base, timeout=PATIENCE_S) as client:
        return [(await client.post(path, json={"order": order}, headers=HEADERS)).status_code for path in paths]


async def by_aiohttp(base: str, paths: Sequence[str], order: str) -> list[int]:
    statuses = []
    async with aiohttp.ClientSession(base, timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as session:
        for path in paths:
            async with session.post(path, json={"order": order}, headers=HEADERS) as answer:
                await answer.read()
                statuses.append(answer.status)
    return statuses


async def by_streams(base: str, paths: Sequence[str], order: str) -> list[int]:
    """By asyncio's own streams, without any library."""
    scheme, _, host = base.partition("://")
    body = json.dumps({"order": order}).encode()
    reader, writer = await asyncio.open_connection(host, 443 if scheme == "https" else 80)
    statuses = []
    try:
        for path in paths:
            key = "\r\n".join(f"{name}: {value}" for name, value in HEADERS.items())
            head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{key}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
            length = next(line for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await asyncio.wait_for(reader.readexactly(int(length.split(b":")[1])), PATIENCE_S)
            statuses.append(int(answer.split()[1]))
    finally:
        writer.close()
    return statuses


class Raises(NamedTuple):
    """What a client documents to raise: where nothing comes, or nothing more; where the connection is reset; where it
    is closed, before an answer or in the midst of its body."""

    silent: type[Exception]
    stalled: type[Exception]
    reset: type[Exception]
    closed: type[Exception]
    halved: type[Exception]


CLIENTS: Final[dict[Posting, Raises]] = {
    by_urllib: Raises(
        silent=TimeoutError,
        stalled=TimeoutError,
        reset=ConnectionResetError,
        closed=http.client.RemoteDisconnected,
        halved=http.client.IncompleteRead,
    ),
    by_http_client: Raises(
        silent=TimeoutError,
        stalled=TimeoutError,
        reset=ConnectionResetError,
        closed=http.client.RemoteDisconnected,
        halved=http.client.IncompleteRead,
    ),
    by_requests: Raises(
        silent=requests.ReadTimeout,
        stalled=requests.ConnectionError,  # a time-out while a body is read is one of these
        reset=requests.ConnectionError,
        closed=requests.ConnectionError,
        halved=requests.exceptions.ChunkedEncodingError,
    ),
    by_httpx: Raises(
        silent=httpx.ReadTimeout,
        stalled=httpx.ReadTimeout,
        reset=httpx.ReadError,
        closed=httpx.RemoteProtocolError,
        halved=httpx.RemoteProtocolError,
    ),
    by_async_httpx: Raises(
        silent=httpx.ReadTimeout,
        stalled=httpx.ReadTimeout,
        reset=httpx.ReadError,
        closed=httpx.RemoteProtocolError,
        halved=httpx.RemoteProtocolError,
    ),
    by_aiohttp: Raises(
        silent=TimeoutError,
        stalled=TimeoutError,
        reset=aiohttp.ClientOSError,
        closed=aiohttp.ServerDisconnectedError,
        halved=aiohttp.ClientPayloadError,
    ),
    by_streams: Raises(
        silent=TimeoutError,
        stalled=TimeoutError,
        reset=ConnectionResetError,
        closed=asyncio.IncompleteReadError,
        halved=asyncio.IncompleteReadError,
    ),
}
"""Each client, and what it raises."""
