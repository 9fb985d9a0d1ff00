"""How far a search is and how long it still takes, in words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from .reports.clean import plural

if TYPE_CHECKING:
    from .exploration.progress import Progress

WORTH_A_WORD_S: Final = 5.0
NOT_KNOWN: Final = "time left not known yet"


class Pace:
    """How long what is left of a stage takes, by how long what was done of it took. The stage before tells no more than
    that it is long: plans with two faults take a small part of the time of those with one, where most are known."""

    def __init__(self) -> None:
        self._stage = ""
        self._began = 0.0
        self._each_s = 0.0

    def left(self, news: Progress) -> str:
        """``about 3 min left``, or that this is not known yet; "" where it is not worth a word."""
        now = time.monotonic()
        if news.stage != self._stage:
            self._stage, self._began = news.stage, now
        elif news.done:
            self._each_s = (now - self._began) / news.done
        left_s = self._each_s * (news.expected - news.done)
        if left_s < WORTH_A_WORD_S:
            return ""
        if not news.done:
            return NOT_KNOWN
        return f"about {left_s / 60:,.0f} min left" if left_s >= 90 else f"about {left_s:.0f} s left"

    def told(self, news: Progress) -> str:
        """``37 %, 1,250 done, 900/s, 24 violations seen, about 3 min left``, as far as it is known."""
        left = self.left(news)
        return ", ".join(filter(None, [_percent(news), _done(news), self._rate(news), _seen(news), left]))

    def _rate(self, news: Progress) -> str:
        return f"{1 / self._each_s:,.{0 if self._each_s < 0.1 else 1}f}/s" if news.done and self._each_s else ""


def _percent(news: Progress) -> str:
    return f"{min(news.done / news.expected, 1):.0%}" if news.done and news.expected else ""


def _done(news: Progress) -> str:
    """How much; how much there is to do comes before it."""
    return f"0 of about {news.expected:,} done" if news.expected and not news.done else f"{news.done:,} done"


def _seen(news: Progress) -> str:
    return "" if news.violations is None else f"{plural(news.violations, 'violation')} seen"
