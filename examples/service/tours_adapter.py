"""All that sagafuzz has to be told of the service."""

from tours.app import create_app
from tours.forgetful import Forgetful

import sagafuzz

TOUR = sagafuzz.Saga(
    "tour",
    [
        sagafuzz.Step("seats", "seats.hold", undo="seats.release"),
        sagafuzz.Step("cards", "cards.charge", undo="cards.refund"),
        sagafuzz.Step("passes", "passes.issue", undo="passes.revoke"),
    ],
)
ROUTES = {f"POST {operation.replace('.', '/')}": operation for operation in TOUR.by_operation}


@sagafuzz.service(saga=TOUR, code=["tours"], http=ROUTES, saga_id="json:tour")
class Tours:
    app = staticmethod(create_app)

    def submit(self, order):
        return "POST", "/tours", {"id": order.id, "seats": order.quantity, "price": order.amount}


class ForgetfulTours(Tours):
    app = staticmethod(lambda: create_app(booking=Forgetful))
