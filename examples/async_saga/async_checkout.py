"""An asyncio checkout: order and reservation at once, then the charge; on any trouble it rolls back."""

import asyncio

from sagafuzz import CallTimeout, Rejected, Unavailable

UNDO = {"order.create": "order.cancel", "inventory.reserve": "inventory.release", "payment.charge": "payment.refund"}
UNKNOWN = (Unavailable, CallTimeout, TimeoutError)


class AsyncCheckout:
    def __init__(self, db, call):
        self.db, self.call = db, call

    async def place(self, order):
        self.db.put(f"checkout/{order.id}", "placing", record="create")
        to_undo = []
        try:
            await asyncio.gather(
                self.step(order.id, "order.create", to_undo),
                self.step(order.id, "inventory.reserve", to_undo),
            )
            await self.step(order.id, "payment.charge", to_undo)
        except (Rejected, *UNKNOWN):
            await self.undo(order.id, to_undo)
            return False
        self.db.put(f"checkout/{order.id}", "completed", record="terminal")
        return True

    async def resume_pending(self):  # what was open when the process died is rolled back whole
        for key, state in self.db.items("checkout/"):
            if state == "placing":
                await self.undo(key.removeprefix("checkout/"), list(UNDO))

    async def step(self, saga, operation, to_undo):
        try:
            await self.ask(saga, operation)
        except UNKNOWN:
            to_undo.append(operation)  # it may have happened
            raise
        to_undo.append(operation)

    async def undo(self, saga, to_undo):
        for operation in reversed(UNDO):
            while operation in to_undo:
                try:
                    await self.ask(saga, UNDO[operation])
                    to_undo.remove(operation)
                except UNKNOWN:
                    await asyncio.sleep(60)
        self.db.put(f"checkout/{saga}", "compensated", record="terminal")

    async def ask(self, saga, operation):
        return await asyncio.wait_for(self.call(operation, saga=saga, key=f"{saga}/{operation}"), timeout=0.5)
