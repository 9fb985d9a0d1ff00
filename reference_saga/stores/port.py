"""Sagas on a `sagafuzz.Store`: what the simulator gives, with its crash points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...ports import Store
from ..ports import Listed

_PREFIX: Final = "saga/"


class PortStore:
    """A key a saga. A record that tells several things is one transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def save(self, record: Mapping[str, Any], entries: Sequence[tuple[str, str]]) -> None:
        if len(entries) == 1:
            self._put(record, *entries[0])
            return
        with self._store.transaction():
            for kind, step in entries:
                self._put(record, kind, step)

    def _put(self, record: Mapping[str, Any], kind: str, step: str) -> None:
        saga, revision = record["id"], record["revision"]
        guard = {"revision": revision - 1} if revision > 1 else {}
        epoch = 0 if kind == "cancel" else record["epoch"]  # the client's write, not the owner's
        self._store.put(_PREFIX + saga, record, record=kind, saga=saga, step=step, guard=guard, epoch=epoch)

    def load(self, saga_id: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._store.get(_PREFIX + saga_id)
        return found

    def open(self) -> list[Listed]:
        records = (record for _, record in self._store.items(_PREFIX))
        return [Listed(record["id"], record["revision"]) for record in records if not record["outcome"]]
