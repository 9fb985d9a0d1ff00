"""safeact: its ledger is a database of the world. A key that is in doubt after a crash is settled by asking again."""

import sqlite3

import safeact
from safeact.store import Store
from sale import SALE, ask, patiently

import sagafuzz


class Ledger(Store):
    """A ledger in a database of the world, which is asked until it answers."""

    def __init__(self, world):
        self.world = world
        super().__init__("ledger")

    def _connect(self):
        connection = self.world.sqlite(self.path)
        connection.isolation_level, connection.row_factory = None, sqlite3.Row
        return connection

    def _claim(self, *args):
        return patiently(self.world, super()._claim, *args)

    def _record_succeeded(self, *args):
        patiently(self.world, super()._record_succeeded, *args)

    def _record_failed(self, *args):
        patiently(self.world, super()._record_failed, *args)

    def run(self, key, act, args, options, fn_name=None):
        try:
            return super().run(key, act, args, options, fn_name)
        except safeact.InDoubtError:  # it may have been done: the participant knows the key, so it is asked again
            act(*args, **options)
            patiently(self.world, self.resolve, key, True)


@sagafuzz.adapter(saga=SALE)
class Agent:
    def boot(self, world):
        self.world = world
        self.orders = world.proxy([], name="orders")
        self.ledger = Ledger(world)

    def run(self, order):
        patiently(self.world, self.orders.append, order.id)
        return self.sell(order.id)

    def recover(self):
        for sale in self.orders:
            self.sell(sale)

    def sell(self, sale):
        try:
            with safeact.Saga(sale, self.ledger) as saga:
                for step in SALE.steps:
                    saga.step(self.asking(step.operation, sale), compensate=self.asking(step.undo, sale))
        except safeact.SagaFailed:
            return False
        return True

    def asking(self, operation, sale):
        return lambda *_: ask(self.world, operation, sale)
