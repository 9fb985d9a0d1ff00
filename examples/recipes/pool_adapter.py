"""The saga of a parcel: two steps at the same time."""

import sagafuzz

PARCEL = sagafuzz.Saga(
    "parcel",
    [
        sagafuzz.Step("pack", "packer.pack", undo="packer.unpack", after=()),
        sagafuzz.Step("book", "courier.book", undo="courier.cancel", after=()),
    ],
)
ROUTES = {f"POST {operation.replace('.', '/')}": operation for operation in PARCEL.by_operation}


@sagafuzz.service(saga=PARCEL, http=ROUTES, saga_id="json:parcel")
class Parcels:
    app = "pool_parcels:create_app"

    def submit(self, order):
        return "POST", "/parcels", {"id": order.id}
