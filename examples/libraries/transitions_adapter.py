"""transitions: the state of a machine is written down at each change of it, and read back when a process starts."""

from sale import SALE, ask, patiently
from transitions import Machine

import sagafuzz

STATES = ["holding", "charging", "releasing", "sold", "failed"]
CHANGES = [
    ["held", "holding", "charging"],
    ["refused", "holding", "failed"],
    ["charged", "charging", "sold"],
    ["refused", "charging", "releasing"],
    ["released", "releasing", "failed"],
]
ASKS = {
    "holding": ("stock.hold", "held"),
    "charging": ("card.charge", "charged"),
    "releasing": ("stock.release", "released"),
}


@sagafuzz.adapter(saga=SALE)
class Sales:
    def boot(self, world):
        self.world = world
        self.states = world.proxy({}, name="states")

    def run(self, order):
        return self.go_on(order.id)

    def recover(self):
        for sale in self.states:
            self.go_on(sale)

    def go_on(self, sale):
        machine = Machine(states=STATES, transitions=CHANGES, initial=self.states.get(sale, "holding"))
        while True:
            patiently(self.world, self.states.update, {sale: machine.state})
            if machine.state not in ASKS:
                return machine.state == "sold"
            operation, answered = ASKS[machine.state]
            try:
                ask(self.world, operation, sale)
                machine.trigger(answered)
            except sagafuzz.Rejected:
                machine.trigger("refused")
