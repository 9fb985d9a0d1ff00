"""The workers of a case, and a step as they are told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..simulator import Setup
from .control import Control
from .supervisor import Process


@dataclass(eq=False)
class Member:
    """An incarnation of the worker. ``dead`` as soon as it is to die, ``ready`` when it can be asked, ``ending``
    once it was asked to end."""

    label: str
    process: Process | None = None
    control: Control | None = None
    announced: asyncio.Event = field(default_factory=asyncio.Event)
    said: Mapping[str, Any] = field(default_factory=dict)
    dead: bool = False
    ready: bool = False
    ending: bool = False
    stopped: bool = False


def step_of(setup: Setup, name: str) -> dict[str, Any]:
    """A step as the protocol has it."""
    step = setup.adapter.saga.by_name[name]
    base = f"/{name}"
    return {
        "id": name,
        "after": list(setup.adapter.saga.predecessors[name]),
        "do_url": f"{base}/do",
        "undo_url": f"{base}/undo" if step.undo else None,
        "kind": "pivot" if step.pivot else "retriable" if step.retriable else "compensatable",
        "timeout_ms": setup.adapter.call_timeout_ms,
    }
