"""Known findings: a file that says which ones are accepted for now, why, and until when.

[[known]]
id = "F-wmx2y"
reason = "PAY-12: the gateway takes no key yet"
expires = 2027-01-31          # optional; from the day after it counts as new again
adapter = "ShopCheckout"      # optional; where one file serves several adapters
test = "test_shop.py::test_two_faults"   # optional; only in this test, or all of this file or class
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from .errors import UsageError, nearest
from .verdict import Report

KEYS: Final = ("id", "reason", "expires", "adapter", "test")


@dataclass(frozen=True, kw_only=True)
class Known:
    """A finding that is accepted, for a reason, to the end of ``expires`` (None: for good).

    ``adapter`` and ``test`` say of which campaigns it is spoken ("": of all): those on the adapter of that name,
    those in the test of pytest with that node id, or below it."""

    id: str
    reason: str
    expires: dt.date | None = None
    adapter: str = ""
    test: str = ""

    @property
    def words(self) -> str:
        """``PAY-12: the gateway takes no key yet (until 2027-01-31)``."""
        return self.reason + (f" (until {self.expires})" if self.expires is not None else "")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A report whose known findings are marked. ``new`` are the ids of the others, ``expired`` the entries whose
    time is over and ``stale`` those whose finding a complete campaign did not show."""

    report: Report
    new: tuple[str, ...]
    expired: tuple[Known, ...]
    stale: tuple[Known, ...]


def read(file: Path, option: str) -> tuple[Known, ...]:
    """The entries of a file that ``option`` names; UsageError where it cannot be read, or is no baseline."""
    try:
        return parse(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"{option}: cannot read {str(file)!r}: {reason}; name a TOML file") from None


def concerning(known: Sequence[Known], adapter: str, test: str = "") -> tuple[Known, ...]:
    """The entries that speak of a campaign on that adapter, in that test of pytest, "" where it is in none."""
    return tuple(
        entry
        for entry in known
        if entry.adapter in ("", adapter)
        and (entry.test in ("", test) or test.startswith((f"{entry.test}::", f"{entry.test}[")))
    )


def parse(text: str, name: str) -> tuple[Known, ...]:
    """The entries of a baseline file; UsageError that names the entry, and what to write in its place."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name}: it is no TOML: {error}") from None
    for key in data:
        if key != "known":
            raise UsageError(f"{name}: unknown key {key!r}{nearest(key, ('known',))}; write [[known]] tables")
    entries = data.get("known", [])
    if not isinstance(entries, list):
        raise UsageError(f"{name}: 'known' is no list of tables; write [[known]] above each entry")
    known = tuple(_entry(entry, f"{name}: entry {number}") for number, entry in enumerate(entries, 1))
    for number, one in enumerate(known):
        if any((other.id, other.adapter, other.test) == (one.id, one.adapter, one.test) for other in known[:number]):
            raise UsageError(f"{name}: {one.id} stands there twice; keep one of the entries")
    return known


def _entry(entry: Any, where: str) -> Known:
    if not isinstance(entry, dict):
        raise UsageError(f"{where} is no table; write [[known]] above it")
    for key in entry:
        if key not in KEYS:
            raise UsageError(f"{where}: unknown key {key!r}{nearest(key, KEYS)}; it has {', '.join(KEYS)}")
    for key, example in (("id", "F-wmx2y"), ("reason", "PAY-12: the gateway takes no key yet")):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise UsageError(f"{where}: its {key} is {entry.get(key)!r}; write {key} = {example!r}")
    expires = entry.get("expires")
    if expires is not None and (not isinstance(expires, dt.date) or isinstance(expires, dt.datetime)):
        raise UsageError(f"{where}: expires is {expires!r}; write a date without quotes, expires = 2027-01-31")
    for key in ("adapter", "test"):
        if not isinstance(entry.get(key, ""), str):
            raise UsageError(f"{where}: its {key} is {entry[key]!r}; write a string, or leave it out")
    return Known(**{key: entry[key] for key in KEYS if key in entry})


def judge(report: Report, known: Sequence[Known], today: dt.date) -> Judged:
    """Mark the findings of ``report`` that are known on the day ``today``."""
    expired = tuple(entry for entry in known if entry.expires is not None and entry.expires < today)
    reasons = {entry.id: entry.words for entry in known if entry not in expired}
    found = {finding.id for finding in report.findings}
    marked = tuple(replace(finding, known=reasons.get(finding.id, "")) for finding in report.findings)
    return Judged(
        report=replace(report, findings=marked),
        new=tuple(finding.id for finding in marked if not finding.known),
        expired=tuple(entry for entry in expired if entry.id in found),
        stale=tuple(entry for entry in known if entry.id not in found) if report.complete else (),
    )


def in_words(judged: Judged) -> list[str]:
    """What the baseline changes, a line each; empty where nothing was found and it has no entry."""
    known = sum(1 for finding in judged.report.findings if finding.known)
    lines = [f"baseline: {known:,} of the findings known, {len(judged.new):,} new"] if known or judged.new else []
    lines += [f"baseline: {entry.id} expired on {entry.expires}: {entry.reason}" for entry in judged.expired]
    lines += [
        f"baseline: {entry.id} is stale: a complete search no longer finds it; take it out ({entry.reason})"
        for entry in judged.stale
    ]
    return lines
