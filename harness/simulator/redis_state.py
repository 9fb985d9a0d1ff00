"""What a server of fakeredis holds, as bytes: to tell whether something has changed, and to go back to it."""

from __future__ import annotations

import copyreg
import heapq
import io
import pickle
from typing import Any

from fakeredis.model._stream import StreamConsumerInfo

Kept = bytes
"""What a server holds, by the numbers of its databases."""


class _Pickler(pickle.Pickler):
    """Leaves out when a consumer has looked last: that is no change."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is StreamConsumerInfo:
            return copyreg.__newobj__, (StreamConsumerInfo,), {**vars(obj), "last_attempt": 0, "last_success": 0}  # type: ignore[attr-defined]
        return NotImplemented


def keep(fake: Any, now: float) -> Kept:
    """What a server holds; what has run out by ``now``, in Unix seconds, is gone."""
    for database in fake.dbs.values():
        database.time = now
        database._remove_expired()
    out = io.BytesIO()
    _Pickler(out, 5).dump({number: database._dict for number, database in sorted(fake.dbs.items()) if database._dict})
    return out.getvalue()


def put_back(fake: Any, kept: Kept) -> None:
    """Let a server hold what was kept."""
    held = pickle.loads(kept)
    for number in {*fake.dbs, *held}:
        database = fake.dbs[number]
        database._dict = held.get(number, {})
        database._expiry_heap = [
            (item.expireat, key) for key, item in database._dict.items() if item.expireat is not None
        ]
        heapq.heapify(database._expiry_heap)
