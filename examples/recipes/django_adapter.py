"""The saga of a loan, and which request is which operation."""

import sagafuzz

LOAN = sagafuzz.Saga(
    "loan",
    [sagafuzz.Step("books", "books.lend", undo="books.return"), sagafuzz.Step("fees", "fees.charge")],
)
ROUTES = {f"POST {operation.replace('.', '/')}": operation for operation in LOAN.by_operation}


@sagafuzz.service(saga=LOAN, http=ROUTES, saga_id="json:loan")
class Loans:
    app = "django_loans:create_app()"

    def submit(self, order):
        return "GET", f"/loans/{order.id}", None
