"""A sale that is told of as soon as it is on its topic: how it ends, its client is not told."""

from flask_adapter import ROUTES, SALE

import sagafuzz


@sagafuzz.service(saga=SALE, http=ROUTES, saga_id="json:sale", topics={"sales": sagafuzz.Topic(ordered=True)})
class Sales:
    app = "kafka_sales:create_app()"
    answers = {202: sagafuzz.Outcome.PENDING}

    def submit(self, order):
        return "POST", "/sales", {"id": order.id}
