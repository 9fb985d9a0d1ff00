"""The saga that all of them run, and how each of them asks and writes."""

import sqlite3

import sagafuzz

NO_ANSWER = (sagafuzz.CallTimeout, sagafuzz.Unavailable, sagafuzz.StoreUnavailable, sqlite3.OperationalError)

SALE = sagafuzz.Saga(
    "sale",
    [
        sagafuzz.Step("stock", "stock.hold", undo="stock.release"),
        sagafuzz.Step("card", "card.charge", undo="card.refund"),
    ],
)


def patiently(world, act, *args, **options):
    """Do something until there is an answer."""
    while True:
        try:
            return act(*args, **options)
        except NO_ANSWER:
            world.sleep(1)


def ask(world, operation, sale):
    """Ask a participant, with one key for all tries."""
    return patiently(world, world.call, operation, saga=sale, key=f"{sale}/{operation}")
