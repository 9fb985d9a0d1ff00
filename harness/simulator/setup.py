"""What all runs of one adapter and scenario share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from ..definitions import definition_of, root_of, with_children
from ..effects import AT_SEND, LIVE, NO_EXPIRY, NO_REPEAT, REFUSAL_KEPT, SIMULATED, UNSHARED
from ..errors import UsageError
from ..fault_kinds import NOTHING, Impossible, impossible
from ..faults import CAPABILITIES, FAULT_KINDS
from ..history import History
from ..invariants import Catalogue, catalogue_of
from ..keys import CONFIRMS
from ..ports import Adapter
from ..saga import FORWARD, Saga
from ..scenario import Order, Scenario
from .around import Around
from .asked import Asked
from .counters import LEDGERS
from .hosted import AppParticipant
from .own import UserParticipant
from .participants import Ledger

_METHODS: Final[Mapping[str, str]] = {
    "run": "run(self, order)",
    "boot": "boot(self, world)",
    "recover": "recover(self)",
    "receive": "receive(self, message)",
}
"""Those of an adapter that are all async, or none of them."""

TIMED: Final = frozenset({"deadline_ms", "min_backoff_ms", "key_retention_ms"})
"""Promises on which the time of each event is judged."""


class Route(NamedTuple):
    """Where an operation goes. ``step`` and ``direction`` are empty for one that is no step's."""

    service: str
    step: str
    direction: str


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What all runs of one adapter and scenario share. With ``every_pair`` a request can be overtaken by one of another
    saga on other data too; with ``every_try`` a retry is never forgotten. ``ends`` says how each saga ended without a
    fault, where it is promised that a crash does not change that."""

    adapter: Adapter
    scenario: Scenario
    every_pair: bool = False
    every_try: bool = False
    ends: Mapping[str, str] = field(default_factory=dict, hash=False)

    @cached_property
    def orders(self) -> Mapping[str, Order]:
        """What clients ask for, by the ids of its sagas."""
        return MappingProxyType({order.id: order for order in self.adapter.orders(self.scenario)})

    @cached_property
    def without_events(self) -> History:
        """The history of a run in which nothing has happened yet."""
        adapter, orders = self.adapter, self.orders
        promised = {"durable_execution": dict(self.ends)} if self.ends else {}
        return History(
            saga=adapter.saga,
            sagas=tuple(orders),
            rows=(),
            adapter=adapter.name,
            scenario=self.scenario.name,
            declared={**adapter.declared, **promised} if promised else adapter.declared,
            given=self.scenario if adapter.invariants else None,
            others=adapter.sagas,
            of={order.id: order.saga for order in orders.values()} if adapter.sagas else {},
        )

    @cached_property
    def call_timeout_us(self) -> int:
        """How long a caller waits for an answer where it does not say for how long itself."""
        return int(self.adapter.call_timeout_ms * 1000)

    @cached_property
    def known(self) -> Mapping[str, Order]:
        """The same, with the sagas that are steps of others."""
        if not self.nested:
            return self.orders
        return MappingProxyType({each.id: each for order in self.orders.values() for each in with_children(order)})

    @cached_property
    def nested(self) -> bool:
        """True if a saga may be a step of another one."""
        return any(order.children for order in self.orders.values())

    def definition(self, saga: str) -> Saga:
        """What the saga of that id is to do."""
        return definition_of(self.adapter.definition(self.orders[root_of(saga)].saga), saga)

    @cached_property
    def catalogue(self) -> Catalogue:
        """What its runs are judged by."""
        return catalogue_of(self.adapter)

    @cached_property
    def shown_states(self) -> str:
        """How much of what participants hold is to stand in a history: "" for nothing, else one of `rules.READS`."""
        return self.catalogue.reads

    @cached_property
    def routes(self) -> Mapping[str, Route]:
        table = {
            operation: Route(operation.partition(".")[0], step.name, direction)
            for operation, (step, direction) in self.adapter.known.by_operation.items()
        }
        for version in self.adapter.definitions.values():
            for operation, (step, direction) in version.by_operation.items():
                table.setdefault(operation, Route(operation.partition(".")[0], step.name, direction))
        table.update({op: Route(op.partition(".")[0], "", "") for op in self.adapter.operations})
        return MappingProxyType(table)

    @cached_property
    def in_parts(self) -> frozenset[str]:
        """The operations that are asked for in parts."""
        return self.adapter.known.in_parts

    @cached_property
    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(route.service for route in self.routes.values()))

    @cached_property
    def always_barred(self) -> Mapping[str, int]:
        """What bars faults from each request to a participant, as the adapter declares it: bits of REASONS."""
        adapter = self.adapter
        return MappingProxyType(
            {
                name: (0 if name in adapter.expiring else NO_EXPIRY)
                | (0 if name in adapter.refusing_repeats else NO_REPEAT)
                | (0 if name in adapter.forgetting_refusals else REFUSAL_KEPT)
                for name in self.services
            }
        )

    @cached_property
    def is_async(self) -> bool:
        factory = self.adapter.factory
        found = [n for n in _METHODS if inspect.iscoroutinefunction(getattr(factory, n, None))]
        if found and found[0] != "run":
            raise UsageError(
                f"adapter {self.adapter.name!r}: {found[0]} is async and run is not; write 'async def run(self, order)'"
                f", or, if nothing is awaited, 'def {_METHODS[found[0]]}'"
            )
        return bool(found)

    @cached_property
    def counts_tries(self) -> bool:
        """True if it matters to what is judged how often was asked for what was answered."""
        return "max_attempts" in self.adapter.declared or self.every_try

    @cached_property
    def forgets_retries(self) -> bool:
        """True if two states are the same where they differ in how often was asked for what was answered."""
        return self.adapter.forgets_retries and not self.counts_tries

    @cached_property
    def judged_by_time(self) -> bool:
        """True if the adapter promises something that is judged by the time of each event."""
        return bool(TIMED & self.adapter.declared.keys())

    @cached_property
    def asked(self) -> Asked:
        """What there can be to remember of its runs."""
        judging_all = self.catalogue.remembers is None or self.judged_by_time
        beside = self.nested or self.receives or self.scenario.actors
        return Asked(
            self.adapter,
            {saga: self.definition(saga) for saga in self.orders},
            followed=not (judging_all or beside),
            forgets=not self.counts_tries,
        )

    @cached_property
    def recovers(self) -> bool:
        return hasattr(self.adapter.factory, "recover")

    @cached_property
    def receives(self) -> bool:
        """True if somebody can be sent messages."""
        return hasattr(self.adapter.factory, "receive")

    @cached_property
    def capabilities(self) -> frozenset[str]:
        """What this adapter and scenario can suffer beyond what every one can: keys of CAPABILITIES."""
        adapter = self.adapter
        has = {
            "recover": self.recovers,
            "cancel": self.is_async or hasattr(adapter.factory, "cancel"),
            "upgrade": adapter.upgrade is not None,
            "expiry": bool(adapter.expiring),
            "forgets": bool(adapter.forgetting_refusals),
            "repeats": bool(adapter.refusing_repeats),
            "retention": adapter.key_retention_ms is not None,
            "sagas": self.scenario.sagas > 1 or self.nested,
            "messages": self.receives,
            "lossy": self.receives and any(topic.may_lose for topic in adapter.topics.values()),
            "dead-letters": self.receives and any(t.max_deliveries is not None for t in adapter.topics.values()),
            "resubmit": adapter.resubmits,
            "sockets": adapter.service is not None,
            "wrong": adapter.wrong_answers,
            "apps": adapter.service is not None and bool(adapter.service.apps),
        }
        found = {name for name, present in has.items() if present}
        return frozenset(found.union(getattr(adapter.factory, "live_capabilities", ())))

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The fault kinds that a plan may name here."""
        return frozenset(
            kind.name
            for kind in FAULT_KINDS.values()
            if self.world in kind.worlds
            and (not kind.needs or kind.needs in self.capabilities)
            and kind.name not in self.adapter.cannot_suffer
            and (not (self.scenario.strikes or self.scenario.signal) or kind.kills)
        )

    @property
    def world(self) -> str:
        """The world in which the adapter runs."""
        return LIVE if hasattr(self.adapter.factory, "live_capabilities") else SIMULATED

    def refusal(self, kind: str) -> str:
        """Why a plan may not name ``kind`` here."""
        if kind in self.adapter.cannot_suffer:
            return f"the adapter {self.adapter.name!r} declares that it cannot suffer it"
        if self.scenario.strikes and not FAULT_KINDS[kind].kills:
            return f"in {self.scenario.name!r} crashes are tried, which strike {' and '.join(self.scenario.strikes)}"
        if self.scenario.signal and not FAULT_KINDS[kind].kills:
            return f"in {self.scenario.name!r} crashes are tried, which send {self.scenario.signal}"
        if self.world == LIVE and not FAULT_KINDS[kind].live:
            return "no system of real processes can be made to suffer it from outside"
        return f"it needs that {CAPABILITIES[FAULT_KINDS[kind].needs]}"

    def unshared(self, service: str, saga: str) -> Impossible:
        """The kinds that need another saga on the same data, where there is none."""
        found = self._unshared.get((service, saga))
        if found is None:
            ledger = self.ledgers()[service]
            mine = ledger.subject(self.known[saga])
            shared = any(id != saga and ledger.subject(order) == mine for id, order in self.known.items())
            found = self._unshared[service, saga] = (
                NOTHING if shared or self.every_pair or self.nested else impossible(AT_SEND, UNSHARED)
            )
        return found

    @cached_property
    def _unshared(self) -> dict[tuple[str, str], Impossible]:
        return {}

    def ledgers(self) -> dict[str, Any]:
        """The participants by name, as they are before a run."""
        return {name: make() for name, make in self._makers.items()}

    def ledger(self, service: str) -> Any:
        """One of them."""
        return self._makers[service]()

    @cached_property
    def _makers(self) -> Mapping[str, Callable[[], Any]]:
        return MappingProxyType({name: self._maker(name) for name in self.services})

    def _maker(self, name: str) -> Callable[[], Any]:
        service = self.adapter.service
        if service is not None and name in service.apps:
            asked = ((op, route.step) for op, route in self.routes.items() if route.service == name and route.step)
            steps = {word: step for op, step in asked for word in (op, step)}
            app = service.apps[name]
            return self._refusing(partial(AppParticipant, name, app, service.refused, steps, self.scenario))
        factory, around = self.adapter.participants.get(name), self.adapter.around.get(name)
        if factory is not None:
            return self._refusing(partial(UserParticipant, factory, self.scenario))
        scope, terms = self.adapter.scope_of(name), self.adapter.known.terms
        made = partial(LEDGERS.get(name, Ledger), self.scenario, self.known, scope, terms, self._reserves(name))
        ours = self._refusing(made)
        return ours if around is None else lambda: Around(around, ours())

    def _reserves(self, name: str) -> bool:
        """True if some step asks that participant for something else than to confirm: for what can be confirmed."""
        asked = (op for op, route in self.routes.items() if route.service == name and route.direction == FORWARD)
        return any(not operation.endswith(CONFIRMS) for operation in asked)

    def _refusing(self, make: Callable[[], Any]) -> Callable[[], Any]:
        """What is refused of an order is refused of its children too."""
        if not (self.nested and self.scenario.refused):
            return make
        refused = frozenset(
            (id, operation) for id in self.known for root, operation in self.scenario.refused if root == root_of(id)
        )

        def made() -> Any:
            service = make()
            service.refused = refused
            return service

        return made
