"""The checkout under test: every plan of two faults, and Hypothesis beyond."""

import hypothesis
import pytest
from shop_adapter import ShopCheckoutFixed

import sagafuzz


@pytest.mark.saga(ShopCheckoutFixed, faults=2, random=0, scenarios="succeeds")
def test_checkout_survives_two_faults(saga):
    assert saga.report.counts.fired == saga.report.counts.planned


def test_two_orders_at_once(saga):
    report = saga.check(ShopCheckoutFixed, faults=1, random=0, scenarios="declined", sagas=2)
    exercised = {entry.id for entry in report.invariants if entry.checked}
    assert {"I1", "I4", "I5", "I18"} <= exercised  # no green without a look


class CheckoutMachine(sagafuzz.SagaMachine):
    """Hypothesis submits, delivers, drops, duplicates, crashes and restarts as it likes."""

    adapter = ShopCheckoutFixed


TestCheckoutMachine = CheckoutMachine.TestCase
TestCheckoutMachine.settings = hypothesis.settings(max_examples=20, stateful_step_count=20, deadline=None)
