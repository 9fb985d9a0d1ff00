"""larzstate: each checkpoint of a workflow is a durable write. What is open is noted before a workflow runs."""

import larzstate
from sale import SALE, ask, patiently

import sagafuzz


@sagafuzz.adapter(saga=SALE)
class Larz:
    def boot(self, world):
        self.world = world
        self.open = world.proxy({}, name="open")
        self.flow = larzstate.Workflow("sale", store=world.proxy(larzstate.MemoryStore()))
        for step in SALE.steps:
            made = self.flow.step(lambda ctx, does=step.operation: ask(world, does, ctx["id"]), name=step.name)
            made.compensate(lambda ctx, undo=step.undo: ask(world, undo, ctx["id"]))

    def run(self, order):
        patiently(self.world, self.open.update, {order.id: True})
        return self.go_on(order.id)

    def recover(self):
        for sale in self.open:
            self.go_on(sale)

    def go_on(self, sale):
        done = patiently(self.world, self.once, sale)
        patiently(self.world, self.open.pop, sale, None)
        return done

    def once(self, sale):
        try:
            return self.flow.status(sale) != "failed" and self.flow.run(sale, {"id": sale}).ok
        except larzstate.WorkflowFailed:
            return False
