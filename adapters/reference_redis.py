"""The reference orchestrator on Redis."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from ..ports import adapter
from ..reference_saga.stores.redis import RedisStore
from .reference import OPTIONS
from .servers import ReferenceOnServer


class PrefixStore(RedisStore):
    """Under a prefix of this process and thread."""

    def __init__(self, url: str) -> None:
        prefix = f"{{sagafuzz-{os.getpid()}-{threading.get_ident()}}}:"
        self._saved: set[str] = set()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the server may lose what it has: here only processes die
            super().__init__(url, prefix=prefix, allow_loss=True)

    def save(self, record: Mapping[str, Any], entries: Sequence[tuple[str, str]]) -> None:
        self._saved.add(record["id"])
        super().save(record, entries)

    def empty(self) -> None:
        keys = (f"{self._prefix}saga:{saga}" for saga in self._saved)
        self._client.delete(f"{self._prefix}open", f"{self._prefix}schema", *keys)
        self._saved.clear()


@adapter(name="reference-redis", **OPTIONS)
class ReferenceOnRedis(ReferenceOnServer):
    """The same on its Redis store, on the server that SAGAFUZZ_REDIS names."""

    variable = "SAGAFUZZ_REDIS"
    example = "redis://127.0.0.1:6379/0"
    open_store = PrefixStore
