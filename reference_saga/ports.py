"""What an orchestrator needs of the world around it.

`sagafuzz.World` has all of it, and so has `Runtime`, where nothing is simulated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class Listed(NamedTuple):
    """A saga without an end, as a listing shows it; it may be out of date."""

    id: str
    revision: int


class SagaStore(Protocol):
    """Where sagas are kept, one record each: JSON data with at least ``id``, ``revision`` (counted from 1),
    ``epoch`` and ``outcome`` ("" as long as the saga is open).

    Every method may raise `sagafuzz.StoreUnavailable`; for `save` this says that the outcome is not known.
    """

    def save(self, record: Mapping[str, Any], entries: Sequence[tuple[str, str]]) -> None:
        """Make the record durable, if what is kept has the revision before it (or, for revision 1, nothing is
        kept). Otherwise raises `sagafuzz.Conflict`, definitely without effect. ``entries`` say what is new in
        it, as (kind of record, step)."""

    def load(self, saga_id: str) -> dict[str, Any] | None:
        """The record, a fresh copy at each call; None where there is none."""

    def open(self) -> list[Listed]:
        """Every saga without an end, sorted by id."""


class Ports(Protocol):
    """See `sagafuzz.World`. An asyncio orchestrator awaits what ``call`` and ``sleep`` give."""

    def call(
        self, operation: str, /, *, saga: str | None = None, key: str | None = None, epoch: int = 0, **payload: Any
    ) -> Any: ...

    def sleep(self, seconds: float) -> Any: ...

    def now(self) -> float: ...

    def alert(self, saga: str, *, step: str = "", reason: str = "") -> None: ...

    def dead_letter(self, saga: str, *, step: str = "", reason: str = "") -> None: ...

    def adopt(self, saga: str, *, epoch: int = 0, definition: str = "") -> None: ...

    @property
    def process(self) -> str:
        """A name that no other process has, nor had."""
