"""A WSGI app, driven without a socket: each request in a thread of its own, as its server would have it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from io import BytesIO, StringIO
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from .asgi import Asked, Response, Running, left, logged
from .errors import UsageError

_CLIENT: Final = "10.7.0.1"
_ARGUMENTS: Final = 2
"""What a WSGI app is called with: the environment, and what begins its answer."""


_OF_THEIR_OWN: Final = ("tornado",)
"""Libraries whose apps are called in a way of their own, by a server of their own."""

_INSTEAD: Final = (
    'write an app that is one, app = "orders.app:create_app" or "orders.app:app", or test it in live mode, '
    "with the server that it needs"
)


def is_wsgi(app: Callable[..., Any]) -> bool:
    """True if it is a WSGI app: called with two arguments, where an ASGI app has three."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return False
    wanted = [each for each in parameters if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
    return len(wanted) == _ARGUMENTS and all(each.kind is not each.VAR_POSITIONAL for each in wanted)


class RunningThreads(Asked):
    """An app that runs in threads beside the event loop that is running."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    async def start(self) -> None:
        """Nothing: it began when it was made."""

    async def serve(
        self, method: str, target: str, headers: list[tuple[bytes, bytes]], content: bytes, server: tuple[str, int]
    ) -> Response:
        environment = _environment(method, target, headers, content, server)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Response] = loop.create_future()

        def tell(answer: Response) -> None:
            heard: Future[None] = Future()
            answered.add_done_callback(lambda _: heard.set_result(None))
            loop.call_soon_threadsafe(answered.set_result, answer)
            heard.result()

        work = loop.run_in_executor(None, self._logging, logged.get(), environment, tell)
        await asyncio.wait((answered, work), return_when=asyncio.FIRST_COMPLETED)
        return answered.result()._replace(rest=left(work)) if answered.done() else await work

    def _logging(
        self, heard: list[str] | None, environment: dict[str, Any], tell: Callable[[Response], object]
    ) -> Response:
        """The answer, while ``heard`` hears what the app tells its log."""
        before = logged.set(heard)
        try:
            return self._answer(environment, tell)
        finally:
            logged.reset(before)

    def _answer(self, environment: dict[str, Any], tell: Callable[[Response], object]) -> Response:
        """The answer. What it is made of may have to be closed: by then its client has it."""
        status = 500
        said: tuple[tuple[bytes, bytes], ...] = ()
        parts: list[bytes] = []

        def start_response(line: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
            nonlocal status, said
            status = int(line.partition(" ")[0])
            said = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)
            return parts.append

        try:
            answer = self.app(environment, start_response)
            try:
                parts.extend(answer)
                if hasattr(answer, "close"):
                    tell(Response(status, b"".join(parts), None, said))
            finally:
                getattr(answer, "close", bool)()
        except Exception as error:
            return Response(500, b"".join(parts), error)
        return Response(status, b"".join(parts), None, said)


def running(app: Any) -> Asked:
    """The driver of an app on the event loop that is running, be it ASGI, WSGI or one of aiohttp's. Raises UsageError
    where it is none of these."""
    if type(app).__module__.startswith("aiohttp."):
        from .aiohttp_app import RunningHandlers

        return RunningHandlers(app)
    library = type(app).__module__.partition(".")[0]
    if not callable(app) or library in _OF_THEIR_OWN:
        kind = f"{type(app).__module__}.{type(app).__qualname__}"
        raise UsageError(f"service: the app is a {kind}, which is none of ASGI, WSGI or aiohttp; {_INSTEAD}")
    return RunningThreads(app) if is_wsgi(app) else Running(app)


def _environment(
    method: str, target: str, headers: list[tuple[bytes, bytes]], content: bytes, server: tuple[str, int]
) -> dict[str, Any]:
    """What a server tells an app of a request."""
    path, _, query = target.partition("?")
    told = {name.decode("latin-1").upper().replace("-", "_"): value.decode("latin-1") for name, value in headers}
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_TYPE": told.pop("CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(content)),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": _CLIENT,
        **{f"HTTP_{name}": value for name, value in told.items() if name != "CONTENT_LENGTH"},
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(content),
        "wsgi.errors": StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
