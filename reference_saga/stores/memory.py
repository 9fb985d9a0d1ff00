"""Sagas in memory, for tests: nothing survives the process."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from ...ports import Conflict
from ..ports import Listed


class MemoryStore:
    """Keeps JSON texts, so that what is loaded is a copy and what cannot be kept elsewhere fails here too."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._open: dict[str, int] = {}
        self._lock = threading.Lock()

    def save(self, record: Mapping[str, Any], entries: Sequence[tuple[str, str]]) -> None:
        saga, text = record["id"], json.dumps(record)
        with self._lock:
            kept = self._texts.get(saga)
            found = json.loads(kept)["revision"] if kept is not None else 0
            if found != record["revision"] - 1:
                raise Conflict(f"saga {saga!r} is at revision {found}")
            self._texts[saga] = text
            if record["outcome"]:
                self._open.pop(saga, None)
            else:
                self._open[saga] = record["revision"]

    def load(self, saga_id: str) -> dict[str, Any] | None:
        text = self._texts.get(saga_id)
        return None if text is None else json.loads(text)

    def open(self) -> list[Listed]:
        with self._lock:
            return [Listed(saga, revision) for saga, revision in sorted(self._open.items())]
