"""What an idempotency key stands for at a participant: how widely it is known."""

from __future__ import annotations

from typing import Final

OPERATION: Final = "operation"
ACCOUNT: Final = "account"
TENANT: Final = "tenant"

KEY_SCOPES: Final = {
    OPERATION: "each operation has keys of its own",
    ACCOUNT: "a key is one request of one account, whatever the operation",
    TENANT: "a key is one request, whatever the operation and the account",
}
"""How widely a participant knows a key. Requests and undos have keys apart in each; to confirm what was reserved is
part of the same request."""

CONFIRMS: Final = ".confirm"
"""How an operation ends that makes a reservation final."""


def usual_scope(participant: str) -> str:
    """The scope where none is declared: that of payment gateways for payments, else that of services of one's own."""
    return TENANT if participant == "payment" else OPERATION
