"""A shop's stock that is sold through holds, and two orchestrators that sell it. Nothing of it knows a test tool."""

from sagafuzz import PortError, Rejected


class Stock:
    """Holds for each saga, in a durable local transaction. It gives out no more than it has, and remembers keys."""

    PIECES = 1

    def handle(self, request, tx):
        seen = f"{request.operation} {request.key}"
        if seen in tx.memory:
            return tx.memory[seen]
        held = tx.state.setdefault("held", [])
        if request.operation == "stock.hold":
            if f"released {request.saga}" in tx.memory:
                raise Rejected("already released")
            if len(held) == self.PIECES:
                raise Rejected("sold out")
            held.append(request.saga)
        else:
            tx.memory[f"released {request.saga}"] = True
            if request.saga in held:
                held.remove(request.saga)
        tx.memory[seen] = {}
        return {}


def checkout(world, order, *, pays_first):
    """Hold a piece and charge for it, in either order, and take back what was done where something fails."""
    steps = [("stock.hold", "stock.release"), ("payment.charge", "payment.refund")]
    steps = steps[::-1] if pays_first else steps
    for number, (do, _) in enumerate(steps):
        if not ask(world, do, order):
            for _, undo in reversed(steps[:number]):
                ask(world, undo, order)
            return False
    return True


def ask(world, operation, order):
    """Ask until there is a definite answer; whether that is a yes."""
    while True:
        try:
            world.call(operation, saga=order.id, key=f"{order.id}/{operation}", amount=order.amount)
        except Rejected:
            return False
        except PortError:
            world.sleep(0.1)
        else:
            return True
