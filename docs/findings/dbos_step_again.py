"""dbos 3.4.0: a step whose process is killed after its effect is done again by the next process. That is documented.

Needs dbos. Runs itself twice: the first process dies in the step.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from dbos import DBOS, SetWorkflowID

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
LEDGER = FOLDER / "ledger"


@DBOS.step()
def charge() -> str:
    with LEDGER.open("a") as ledger:
        ledger.write("charged\n")  # the effect
    if len(LEDGER.read_text().splitlines()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return "paid"


@DBOS.workflow()
def checkout() -> str:
    return charge()


if len(sys.argv) > 1:
    quiet = {"log_level": "ERROR", "run_admin_server": False}
    who = {"name": "checkout", "executor_id": "only", "application_version": "1"}
    DBOS(config={"system_database_url": f"sqlite:///{FOLDER}/dbos.sqlite", **who, **quiet})
    DBOS.launch()  # takes up what was pending
    if DBOS.get_workflow_status("order-1") is None:
        with SetWorkflowID("order-1"):
            DBOS.start_workflow(checkout)
    print("the workflow ends with", DBOS.retrieve_workflow("order-1").get_result())
else:
    for _ in range(2):
        print("a process ends with", subprocess.run([sys.executable, __file__, str(FOLDER)]).returncode, flush=True)
    print("the ledger:", LEDGER.read_text().split())
