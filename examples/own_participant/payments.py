"""Two payment services. Each handles a request inside a durable local transaction: all of it or nothing.

``tx.state`` is the business state; a request counts as effective when it changes it. ``tx.memory``
is for what serves deduplication. An answer travels back to the caller; Rejected refuses for good.
"""

from sagafuzz import Rejected


class CheckThenAct:
    """Wrong: it looks for the charge before it acts, so after a refund it no longer knows the request."""

    def handle(self, request, tx):
        if request.operation == "payment.charge":
            if request.saga not in tx.state:
                tx.state[request.saga] = request.payload["amount"]
        else:
            tx.state.pop(request.saga, None)
        return {"saga": request.saga}


class RemembersKeys:
    """Right: it remembers each key with its answer, and what was refunded, in the transaction that acts."""

    def handle(self, request, tx):
        seen = (request.operation, request.key)
        if seen in tx.memory:
            return tx.memory[seen]
        if request.operation == "payment.charge":
            if ("refunded", request.saga) in tx.memory:  # the refund overtook the charge
                raise Rejected("already refunded")
            tx.state[request.saga] = request.payload["amount"]
        else:
            tx.state.pop(request.saga, None)
            tx.memory["refunded", request.saga] = True
        tx.memory[seen] = {"saga": request.saga}
        return tx.memory[seen]
