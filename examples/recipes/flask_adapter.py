"""The saga of a sale, and which request is which operation."""

import sagafuzz

SALE = sagafuzz.Saga(
    "sale",
    [sagafuzz.Step("seats", "seats.hold", undo="seats.release"), sagafuzz.Step("cards", "cards.charge")],
)
ROUTES = {f"POST {operation.replace('.', '/')}": operation for operation in SALE.by_operation}


@sagafuzz.service(saga=SALE, http=ROUTES, saga_id="json:sale")
class Tickets:
    app = "flask_tickets:create_app()"

    def submit(self, order):
        return "POST", "/sales", {"id": order.id}
