"""A WSGI app, driven without a socket: each request in a thread of its own, as its server would have it."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterable
from io import BytesIO, StringIO
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from .asgi import Response

_SERVER: Final = ("orders", "80")
_CLIENT: Final = "10.7.0.1"
_ARGUMENTS: Final = 2
"""What a WSGI app is called with: the environment, and what begins its answer."""


def is_wsgi(app: Callable[..., Any]) -> bool:
    """True if it is a WSGI app: called with two arguments, where an ASGI app has three."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return False
    wanted = [each for each in parameters if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
    return len(wanted) == _ARGUMENTS and all(each.kind is not each.VAR_POSITIONAL for each in wanted)


class RunningThreads:
    """An app that runs in threads beside the event loop that is running."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    async def start(self) -> None:
        """Nothing: it began when it was made."""

    async def ask(self, method: str, target: str, body: Any) -> Response:
        """What it answers to a request whose body is JSON."""
        return await asyncio.get_running_loop().run_in_executor(None, self._ask, method, target, body)

    def _ask(self, method: str, target: str, body: Any) -> Response:
        told: list[str] = []
        parts: list[bytes] = []

        def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
            told[:] = [status]
            return parts.append

        try:
            answer = self._app(_environment(method, target, body), start_response)
            try:
                parts.extend(answer)
            finally:
                getattr(answer, "close", bool)()
        except Exception as error:
            return Response(500, b"".join(parts), error)
        return Response(int(told[0].partition(" ")[0]) if told else 500, b"".join(parts))


def _environment(method: str, target: str, body: Any) -> dict[str, Any]:
    """What a server tells an app of a request."""
    content = b"" if body is None else json.dumps(body).encode()
    path, _, query = target.partition("?")
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(content)),
        "SERVER_NAME": _SERVER[0],
        "SERVER_PORT": _SERVER[1],
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": _CLIENT,
        "HTTP_HOST": _SERVER[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(content),
        "wsgi.errors": StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
