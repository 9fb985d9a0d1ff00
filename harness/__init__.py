"""sagafuzz: fault injection and property testing for sagas.

Everything a user writes is here: definitions (`Saga`, `Step`, `Scenario`), the adapter
declaration and what its ports raise, and the values that come out. Names are loaded on first
use, so that the pytest plugin costs nothing where no saga is tested.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Actor": "actors",
    "Adapter": "ports",
    "App": "apps",
    "CallTimeout": "ports",
    "Conflict": "ports",
    "Event": "history",
    "Fault": "faults",
    "FaultKind": "faults",
    "Finding": "verdict",
    "History": "history",
    "Job": "participant",
    "LocalTransaction": "ports",
    "Message": "messages",
    "Moment": "invariants",
    "OneOf": "saga",
    "Optional": "saga",
    "Order": "scenario",
    "Outcome": "saga",
    "Participant": "participant",
    "Plan": "faults",
    "PortError": "ports",
    "ProcessCrashed": "ports",
    "Rejected": "ports",
    "Report": "verdict",
    "Request": "participant",
    "Saga": "saga",
    "SagaMachine": "exploration.stateful",
    "SagafuzzError": "errors",
    "Scenario": "scenario",
    "Site": "faults",
    "Step": "saga",
    "Store": "ports",
    "StoreUnavailable": "ports",
    "Surrounding": "ports",
    "Topic": "messages",
    "Transaction": "participant",
    "Unavailable": "ports",
    "UsageError": "errors",
    "Verdict": "verdict",
    "View": "invariants",
    "Violation": "verdict",
    "World": "ports",
    "adapter": "ports",
    "assert_fixed": "regression",
    "check": "invariants",
    "plans": "exploration.strategies",
    "rule": "rules",
    "service": "serving",
}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604

if TYPE_CHECKING:
    from .actors import Actor as Actor
    from .apps import App as App
    from .errors import SagafuzzError as SagafuzzError
    from .errors import UsageError as UsageError
    from .exploration.stateful import SagaMachine as SagaMachine
    from .exploration.strategies import plans as plans
    from .faults import Fault as Fault
    from .faults import FaultKind as FaultKind
    from .faults import Plan as Plan
    from .faults import Site as Site
    from .history import Event as Event
    from .history import History as History
    from .invariants import Moment as Moment
    from .invariants import View as View
    from .invariants import check as check
    from .messages import Message as Message
    from .messages import Topic as Topic
    from .participant import Job as Job
    from .participant import Participant as Participant
    from .participant import Request as Request
    from .participant import Transaction as Transaction
    from .ports import Adapter as Adapter
    from .ports import CallTimeout as CallTimeout
    from .ports import Conflict as Conflict
    from .ports import LocalTransaction as LocalTransaction
    from .ports import PortError as PortError
    from .ports import ProcessCrashed as ProcessCrashed
    from .ports import Rejected as Rejected
    from .ports import Store as Store
    from .ports import StoreUnavailable as StoreUnavailable
    from .ports import Surrounding as Surrounding
    from .ports import Unavailable as Unavailable
    from .ports import World as World
    from .ports import adapter as adapter
    from .regression import assert_fixed as assert_fixed
    from .rules import rule as rule
    from .saga import OneOf as OneOf
    from .saga import Optional as Optional
    from .saga import Outcome as Outcome
    from .saga import Saga as Saga
    from .saga import Step as Step
    from .scenario import Order as Order
    from .scenario import Scenario as Scenario
    from .serving import service as service
    from .verdict import Finding as Finding
    from .verdict import Report as Report
    from .verdict import Verdict as Verdict
    from .verdict import Violation as Violation


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
