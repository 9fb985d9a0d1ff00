"""The same, with a bug that is written every day: each try of the charge has a key of its own."""

from uuid import uuid4

from .booking import Booking
from .tables import Tour


class Forgetful(Booking):
    def charge_key(self, tour: Tour) -> str:
        return str(uuid4())
