"""Two inventories. The last piece of an item costs more, so what a reservation shows is acted upon."""

from sagafuzz import Rejected

STOCK = 2


def price(left):
    return 150 if left == 1 else 100


class Plain:
    """Each request is one local transaction, idempotent and well-behaved, and that is not enough."""

    def handle(self, request, tx):
        seen = (request.operation, request.saga)
        if seen not in tx.memory:
            tx.memory[seen] = self.act(request, tx)
        return tx.memory[seen]

    def act(self, request, tx):
        if request.operation == "inventory.reserve":
            return self.reserve(request, tx)
        if request.operation == "inventory.release":
            self.release(request, tx)
        else:
            tx.state["sold to " + request.saga] = request.payload["item"]
        return {}

    def reserve(self, request, tx):
        if ("inventory.release", request.saga) in tx.memory:  # the undo overtook it
            raise Rejected("already released")
        item = request.payload["item"]
        left = tx.read(item, STOCK)
        if left == 0:
            raise Rejected("out of stock")
        tx.write(item, left - 1)
        return {"price": price(left)}

    def release(self, request, tx):
        if ("inventory.reserve", request.saga) in tx.memory:
            item = request.payload["item"]
            tx.write(item, tx.read(item, STOCK) + 1)


class Locking(Plain):
    """With a semantic lock: an item is PENDING from its reservation to the end of the saga, and others wait."""

    def act(self, request, tx):
        item = request.payload["item"]
        if request.operation == "inventory.reserve" and not tx.lock(item):
            raise RuntimeError(f"{item} is PENDING")  # not a refusal: ask again later
        answer = super().act(request, tx)
        if request.operation != "inventory.reserve":  # released or confirmed
            tx.unlock(item)
        return answer
