"""Runs of real processes as text, for a store: whole, since nothing makes them again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ..errors import UsageError
from ..fault_kinds import Impossible
from ..faults import Plan, Site
from ..live.case import LiveRun
from ..plain import frozen, to_plain
from ..scenario import Scenario
from ..simulator import Run


def run_record(scenario: Scenario, plan: Plan) -> str:
    """The name of the record of a plan's run."""
    faults = json.dumps(to_plain(plan)).encode()
    return f"run/{scenario.name}/{hashlib.blake2b(faults, digest_size=16).hexdigest()}"


def to_text(live: LiveRun) -> str:
    """The run as JSON; "" where JSON cannot hold it as it is: then it is made again."""
    barred = [[index, kinds] for index, kinds in live.run.impossible.items()]
    run = {**live.run._asdict(), "impossible": barred}
    try:
        text = json.dumps({**vars(live), "run": run}, separators=(",", ":"))
    except (TypeError, ValueError):
        return ""
    return text if from_text(text) == live else ""


def from_text(text: str) -> LiveRun:
    """The run again. Raises UsageError for anything else than what ``to_text`` wrote."""
    try:
        data: dict[str, Any] = frozen(json.loads(text))
        run = data["run"]
        run |= {"sites": tuple(Site(*site) for site in run["sites"])}
        run |= {"impossible": {index: Impossible(kinds) for index, kinds in run["impossible"]}}
        return LiveRun(**{**data, "run": Run(**run)})
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"the store holds a run that is none: {type(error).__name__} {error}; run again") from None
