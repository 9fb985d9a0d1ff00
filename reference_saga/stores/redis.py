"""Sagas in Redis, by redis-py: ``pip install 'sagafuzz[redis]'``."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from ...errors import UsageError
from ...ports import Conflict, StoreUnavailable
from ..ports import Listed

SCHEMA: Final = 2
"""Version 1 kept the open sagas in a set; since version 2 they are in a hash, with their revisions."""

_SAVE: Final = """
local kept = redis.call('HGET', KEYS[1], 'revision')
if (kept or '0') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'revision', ARGV[3], 'record', ARGV[5])
if ARGV[4] == '' then redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
else redis.call('HDEL', KEYS[2], ARGV[1]) end
return 1
"""

_MIGRATE: Final = """
local version = redis.call('GET', KEYS[1])
local kind = redis.call('TYPE', KEYS[2])['ok']
if kind == 'set' then
  local ids = redis.call('SMEMBERS', KEYS[2])
  redis.call('DEL', KEYS[2])
  for _, id in ipairs(ids) do
    redis.call('HSET', KEYS[2], id, redis.call('HGET', ARGV[2] .. id, 'revision'))
  end
end
if not version or tonumber(version) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return redis.call('GET', KEYS[1])
"""


class DurabilityWarning(UserWarning):
    """A store can lose what it has acknowledged."""


class RedisStore:
    """A hash a saga, and one of the open ones, under ``prefix``, which keeps them on one node of a cluster.

    It reads ``appendonly`` and ``appendfsync`` and raises UsageError where the server would lose what it has
    acknowledged: anything but ``yes`` and ``always``. With ``allow_loss`` it warns instead.
    """

    def __init__(self, url: str, *, prefix: str = "{sagas}:", allow_loss: bool = False) -> None:
        self._prefix = prefix
        self._client: Any = redis.Redis.from_url(url, decode_responses=True)
        with redis_errors():
            check_durability(self._client, type(self).__name__, allow_loss)
            self._save = self._client.register_script(_SAVE)
            version = int(
                self._client.eval(_MIGRATE, 2, f"{prefix}schema", f"{prefix}open", str(SCHEMA), f"{prefix}saga:")
            )
        if version > SCHEMA:
            raise UsageError(
                f"RedisStore: {prefix!r} has version {version} of the schema and this program knows {SCHEMA}; "
                f"run a newer one, or name another prefix"
            )

    def save(self, record: Mapping[str, Any], entries: Sequence[tuple[str, str]]) -> None:
        saga, revision = record["id"], record["revision"]
        keys = [f"{self._prefix}saga:{saga}", f"{self._prefix}open"]
        values = [saga, str(revision - 1), str(revision), record["outcome"], json.dumps(record, separators=(",", ":"))]
        with redis_errors():
            saved = self._save(keys=keys, args=values)
        if not saved:
            raise Conflict(f"saga {saga!r} is not at revision {revision - 1}")

    def load(self, saga_id: str) -> dict[str, Any] | None:
        with redis_errors():
            text = self._client.hget(f"{self._prefix}saga:{saga_id}", "record")
        return None if text is None else json.loads(text)

    def open(self) -> list[Listed]:
        with redis_errors():
            found = self._client.hgetall(f"{self._prefix}open")
        return [Listed(saga, int(revision)) for saga, revision in sorted(found.items())]

    def close(self) -> None:
        self._client.close()


def durability(client: Any) -> str:
    """What of the server's settings can lose acknowledged writes; "" where nothing does."""
    try:
        found = {name: client.config_get(name).get(name, "?") for name in ("appendonly", "appendfsync")}
    except ResponseError as error:
        return f"the server does not tell its settings ({error})"
    if found == {"appendonly": "yes", "appendfsync": "always"}:
        return ""
    return "the server runs with " + ", ".join(f"{name} {value}" for name, value in found.items())


def check_durability(client: Any, what: str, allow_loss: bool) -> None:
    """Raise UsageError, or warn, where the server would lose what it has acknowledged to ``what``."""
    found = durability(client)
    if not found:
        return
    message = f"{what}: {found}, so a saga can be lost; set appendonly yes and appendfsync always"
    if not allow_loss:
        raise UsageError(f"{message}, or accept it with allow_loss=True")
    warnings.warn(message, DurabilityWarning, stacklevel=3)


@contextmanager
def redis_errors() -> Iterator[None]:
    """What Redis raises, as a store that is not available."""
    try:
        yield
    except RedisConnectionError as error:
        raise StoreUnavailable(f"Redis: {error}") from error
    except RedisError as error:
        raise StoreUnavailable(f"Redis: {type(error).__name__}: {error}") from error
