"""taskflow 6.5.0: what a task did before it failed stays, where its revert looks for a result. That is documented.

Needs taskflow.
"""

import taskflow.engines
from taskflow.patterns import linear_flow
from taskflow.task import Task
from taskflow.types.failure import Failure

ledger: list[str] = []


class Reserve(Task):
    def execute(self):
        ledger.append("reserved")
        return "receipt-1"

    def revert(self, result, **_):
        print("revert of reserve gets", result)
        if not isinstance(result, Failure):
            ledger.remove("reserved")


class Charge(Task):
    def execute(self):
        ledger.append("charged")  # the request took effect
        raise TimeoutError("its answer was lost")

    def revert(self, result, **_):
        print("revert of charge gets", type(result).__name__)
        if not isinstance(result, Failure):
            ledger.remove("charged")


try:
    taskflow.engines.run(linear_flow.Flow("checkout").add(Reserve(), Charge()))
except TimeoutError as error:
    print("the flow ends with:", error)
print("the ledger:", ledger)
