"""python-cqrs: its storage in memory, of which each method that changes something is a durable write."""

import uuid
from dataclasses import dataclass

from cqrs.handlers.saga import SagaStepHandler
from cqrs.saga.models import SagaContext
from cqrs.saga.recovery import recover_saga
from cqrs.saga.saga import Saga
from cqrs.saga.storage.memory import MemorySagaStorage
from sale import NO_ANSWER, SALE

import sagafuzz


@dataclass
class Context(SagaContext):
    sale: str


def handler(step):
    """A class that does a step, and undoes it."""

    class Handler(SagaStepHandler[Context, None]):
        events = ()

        def __init__(self, world):
            self.world = world

        async def ask(self, operation, sale):
            while True:
                try:
                    return await self.world.call(operation, saga=sale, key=f"{sale}/{operation}")
                except NO_ANSWER:
                    await self.world.sleep(1)

        async def act(self, context):
            await self.ask(step.operation, context.sale)
            return self._generate_step_result(None)

        async def compensate(self, context):
            await self.ask(step.undo, context.sale)

    Handler.__name__ = step.name
    return Handler


class Sale(Saga[Context]):
    steps = [handler(step) for step in SALE.steps]


@sagafuzz.adapter(saga=SALE)
class Sales:
    async def boot(self, world):
        self.world = world
        self.storage = world.proxy(MemorySagaStorage())

    async def resolve(self, kind):
        """The object of that class: python-cqrs asks a container for it."""
        return kind(self.world)

    async def run(self, order):
        id = uuid.uuid5(uuid.NAMESPACE_OID, order.id)
        try:
            async with Sale().transaction(Context(order.id), self, self.storage, id) as steps:
                async for _ in steps:
                    pass
        except sagafuzz.Rejected:
            return False
        return True

    async def recover(self):
        for id in await self.storage.get_sagas_for_recovery(limit=100):
            try:
                await recover_saga(Sale(), id, Context.from_dict, self, self.storage)
            except (RuntimeError, sagafuzz.Rejected):  # it was compensated
                continue
