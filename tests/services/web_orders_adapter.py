"""All that has to be told of the service."""

import sagafuzz

ORDER = sagafuzz.Saga(
    "order",
    [
        sagafuzz.Step("reserve", "inventory.reserve", undo="inventory.release"),
        sagafuzz.Step("charge", "payment.charge", undo="payment.refund"),
        sagafuzz.Step("book", "shipping.book", undo="shipping.cancel"),
    ],
)
ROUTES = {f"POST {operation.replace('.', '/')}": operation for operation in ORDER.by_operation}


@sagafuzz.service(saga=ORDER, http=ROUTES, saga_id="json:order", code=["usual_orders"])
class Orders:
    app = "usual_orders.app:create_app"

    def submit(self, order):  # type: ignore[no-untyped-def]
        return "POST", "/orders", {"id": order.id, "sku": order.item, "qty": order.quantity, "cents": order.amount}
