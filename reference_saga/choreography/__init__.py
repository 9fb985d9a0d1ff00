"""The checkout without an orchestrator: services that react to each other's events.

`flow` says who reacts to what, `reacting` how an event is handled in one local transaction; both know no
network. `sql` keeps services in SQLite or PostgreSQL, `streams` carries events over Redis streams; the adapter
``choreography`` runs the same in the simulator.
"""

from __future__ import annotations

from .flow import CHECKOUT_FLOW, Event, Flow, Reaction
from .reacting import Inbox, react

__all__ = ["CHECKOUT_FLOW", "Event", "Flow", "Inbox", "Reaction", "react"]
