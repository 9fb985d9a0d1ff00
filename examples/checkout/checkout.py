"""A durable checkout in one file: kill it at any moment, start it again, and every order comes to its end."""

import sys

from sagafuzz import Rejected
from sagafuzz.reference_saga import Definition, Orchestrator
from sagafuzz.reference_saga.runtime import Runtime
from sagafuzz.reference_saga.services import CHECKOUT, Services, SQLiteDatabase
from sagafuzz.reference_saga.stores.sqlite import SQLiteStore

services = Services(SQLiteDatabase("shop.db"))
STORE = SQLiteStore("sagas.db")
services.endow(stock={"55": 10}, accounts={"customer": 5000})


def charge(request):  # a step of one's own, around the service's
    if request["amount"] > 1000:
        raise Rejected("over the limit")
    return services.operations["payment.charge"](request)


orchestrator = Orchestrator(
    Definition(CHECKOUT),
    ports=Runtime({**services.operations, "payment.charge": charge}),
    store=STORE,
)

if __name__ == "__main__":
    orchestrator.resume_pending()
    for order, amount in enumerate(map(int, sys.argv[1:]), 1):
        request = {"item": "55", "quantity": 1, "account": "customer", "amount": amount}
        print(f"order-{order}: {orchestrator.execute(f'order-{order}', request).value}")
