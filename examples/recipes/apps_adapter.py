"""The saga of an order, and the apps of its participants: what they hold, a query tells."""

import sagafuzz

ORDER = sagafuzz.Saga(
    "order",
    [sagafuzz.Step("stock", "stock.take", undo="stock.put"), sagafuzz.Step("bank", "bank.pay")],
)
ROUTES = {f"POST {operation.replace('.', '/')}": operation for operation in ORDER.by_operation}
APPS = {
    "stock": sagafuzz.App("apps_stock:create_app", db="stock.db", effects="SELECT saga FROM taken WHERE held"),
    "bank": sagafuzz.App("apps_bank:app", db="bank.db", effects="SELECT saga FROM payments"),
}


@sagafuzz.service(saga=ORDER, http=ROUTES, saga_id="json:order", apps=APPS)
class Shop:
    app = "apps_shop:create_app"

    def submit(self, order):
        return "POST", f"/orders/{order.id}", None
