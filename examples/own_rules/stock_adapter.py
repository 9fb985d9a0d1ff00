"""Two orders for one piece, and two rules of the shop's own, which no general invariant knows."""

from stock import Stock, checkout

import sagafuzz

SALE = sagafuzz.Saga(
    "sale",
    [
        sagafuzz.Step("hold", "stock.hold", undo="stock.release", after=()),
        sagafuzz.Step("payment", "payment.charge", undo="payment.refund", after=()),
    ],
)

LAST_PIECE = sagafuzz.Scenario(name="last-piece", about="two orders for the last piece", sagas=2)


@sagafuzz.rule(reads="moments", repair="hold the piece first, and charge for what is held")
def charged_for_what_is_held(view):
    """A customer is charged only while a piece is held for the order."""
    for moment in view.moments:
        held = moment.state("stock").get("held", [])
        for row in moment.state("payment")["rows"]:
            if moment.participant == "payment" and row["saga"] == moment.saga and moment.saga not in held:
                yield moment.wrong(f"{moment.saga} was charged, and nothing is held for it")


@sagafuzz.rule(reads="rest")
def sold_is_paid(view):
    """At rest each piece that is held is paid."""
    paid = {row["saga"] for row in view.rest.state("payment")["rows"]}
    held = view.rest.state("stock").get("held", [])
    return [f"{saga} holds a piece and did not pay" for saga in held if saga not in paid]


RULES = [charged_for_what_is_held, sold_is_paid]
DIES = ("crash-before-send", "crash-after-send", "crash-after-effect", "crash-after-ack")


@sagafuzz.adapter(
    saga=SALE, scenarios=[LAST_PIECE], participants={"stock": Stock}, invariants=RULES, cannot_suffer=DIES
)
class PaysFirst:
    """Charges before it holds."""

    pays_first = True

    def boot(self, world):
        self.world = world

    def run(self, order):
        return checkout(self.world, order, pays_first=self.pays_first)


@sagafuzz.adapter(
    saga=SALE, scenarios=[LAST_PIECE], participants={"stock": Stock}, invariants=RULES, cannot_suffer=DIES
)
class HoldsFirst(PaysFirst):
    """Holds before it charges."""

    pays_first = False
