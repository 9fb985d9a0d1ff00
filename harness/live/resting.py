"""When nothing is in flight: whether an orchestrator comes to wait after an answer, as the events of a case tell it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..definitions import root_of
from ..effects import AT_ACK, GOES_ON
from ..fault_kinds import Impossible, impossible
from ..history import ACK, ATTEMPT, DIRECTION, KIND, SAGA, SEND, STEP, T_US, Row
from ..trace import SiteKey
from .ledger import Call

REST_S: Final = 0.05
"""An orchestrator waits where nothing is done for its saga for so long."""


def acts_for(rows: Sequence[Row], call: Call) -> bool:
    """True if something was done for the saga of a request, or for one of its family."""
    return any(root_of(row[SAGA]) == root_of(call.saga) for row in rows)


def goes_on(rows: Sequence[Row], call: Call) -> bool:
    """True if something more was asked for in the saga of a request."""
    return any(row[KIND] == SEND and root_of(row[SAGA]) == root_of(call.saga) for row in rows)


def with_rests(
    sites: Sequence[SiteKey], site_rows: Sequence[int], rows: Sequence[Row], known: dict[int, Impossible]
) -> dict[int, Impossible]:
    """What is impossible at each site, with what the rows tell by the end of a run: that nobody waited after an answer
    before the next thing was asked for."""
    more = impossible(AT_ACK, GOES_ON)
    went_on = (
        number
        for number, (site, before) in enumerate(zip(sites, site_rows, strict=True))
        if site[3] == AT_ACK and not _rests(site, rows[before:])
    )
    return {**known, **{number: Impossible({**more, **known.get(number, {})}) for number in went_on}}


def _rests(site: SiteKey, rows: Sequence[Row]) -> bool:
    """True if nothing is done for a saga for a while after the answer of that site and before the next request."""
    saga, subject, direction, _, occurrence = site
    about = (saga, subject, direction, occurrence)
    answered = -1
    for row in rows:
        if answered < 0:
            if row[KIND] == ACK and (row[SAGA], row[STEP], row[DIRECTION], row[ATTEMPT]) == about:
                answered = row[T_US]
        elif root_of(row[SAGA]) == root_of(saga):
            if row[T_US] - answered >= REST_S * 1e6:
                return True
            if row[KIND] == SEND:
                return False
            answered = row[T_US]
    return True
