"""An asyncio checkout: order and reservation at once, then the charge; on any trouble it rolls back."""

import asyncio

from sagafuzz import CallTimeout, Rejected, Unavailable

UNDO = {"order.create": "order.cancel", "inventory.reserve": "inventory.release", "payment.charge": "payment.refund"}
UNKNOWN = (Unavailable, CallTimeout, TimeoutError)


class AsyncCheckout:
    def __init__(self, db, call):
        self.db, self.call = db, call

    async def place(self, order):
        saga = {"id": order.id, "state": "placing", "to_undo": []}
        await self.save(saga)
        return await self.drive(saga)

    async def resume_pending(self):
        for _, saga in self.db.items("checkout/"):
            if saga["state"] in ("placing", "undoing"):
                await self.drive(saga)

    async def drive(self, saga):
        try:
            if saga["state"] == "placing":
                both = await asyncio.gather(
                    self.step(saga, "order.create"),
                    self.step(saga, "inventory.reserve"),
                    return_exceptions=True,  # wait for both, whatever becomes of one
                )
                for error in filter(None, both):
                    raise error
                await self.save(saga, to_undo=list(UNDO))  # before the charge is sent
                await self.step(saga, "payment.charge")
                await self.save(saga, "terminal", state="completed")
        except (Rejected, *UNKNOWN):
            await self.save(saga, state="undoing")
        if saga["state"] == "undoing":
            for operation in reversed(UNDO):
                if operation in saga["to_undo"]:
                    await self.ask(saga, UNDO[operation], until_done=True)
            await self.save(saga, "terminal", state="compensated")
        return saga["state"] == "completed"

    async def step(self, saga, operation):
        try:
            await self.ask(saga, operation)
        except UNKNOWN:
            saga["to_undo"].append(operation)  # it may have happened
            raise
        saga["to_undo"].append(operation)

    async def ask(self, saga, operation, *, until_done=False):
        key = f"{saga['id']}/{operation}"
        while True:
            try:
                return await asyncio.wait_for(self.call(operation, saga=saga["id"], key=key), timeout=0.5)
            except UNKNOWN:
                if not until_done:
                    raise
            await asyncio.sleep(60)

    async def save(self, saga, record="state", **changes):
        saga.update(changes)
        while True:
            try:
                return self.db.put(f"checkout/{saga['id']}", saga, record=record)
            except Unavailable:
                await asyncio.sleep(1)
