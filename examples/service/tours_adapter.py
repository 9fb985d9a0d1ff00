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


CHARGES = "SELECT tour FROM charges"
CARDS = sagafuzz.App("cards.app:create_app", db="cards.db", effects=CHARGES)
LATE_CARDS = sagafuzz.App("cards.late:create_late_app", db="cards.db", effects=CHARGES)


@sagafuzz.service(saga=TOUR, code=["tours"], http=ROUTES, saga_id="json:tour", apps={"cards": CARDS})
class ToursAndCards(Tours):
    """The service, and the app of a participant."""


@sagafuzz.service(saga=TOUR, code=["tours"], http=ROUTES, saga_id="json:tour", apps={"cards": LATE_CARDS})
class ToursAndLateCards(Tours):
    """The same, with a participant that remembers its keys too late."""
