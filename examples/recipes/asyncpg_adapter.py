"""The saga of a hire, and which request is which operation."""

import sagafuzz

HIRE = sagafuzz.Saga(
    "hire",
    [sagafuzz.Step("vans", "vans.reserve", undo="vans.release"), sagafuzz.Step("cards", "cards.charge")],
)
ROUTES = {f"POST {operation.replace('.', '/')}": operation for operation in HIRE.by_operation}


@sagafuzz.service(saga=HIRE, http=ROUTES, saga_id="json:hire")
class Hires:
    app = "asyncpg_hires:app"

    def submit(self, order):
        return "POST", f"/hires/{order.id}", None
