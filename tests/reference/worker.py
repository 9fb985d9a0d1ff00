"""A process that runs checkout after checkout until it is killed, beside what it finds open.

python worker.py KIND PLACE NAME     with NAME "-": only drive what is open to its end
"""

from __future__ import annotations

import itertools
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from stores import open_database, open_store

from sagafuzz.reference_saga import Definition, Orchestrator
from sagafuzz.reference_saga.runtime import Runtime
from sagafuzz.reference_saga.services import CHECKOUT, Services

THREADS = 3


def main(kind: str, where: str, name: str) -> None:
    services = Services(open_database(kind, where))
    services.endow(stock={"plenty": 10**6, "rare": 20}, accounts={"rich": 10**9, "poor": 300})
    orchestrator = Orchestrator(Definition(CHECKOUT), ports=Runtime(services.operations), store=open_store(kind, where))
    if name != "-":
        for thread in range(THREADS):
            threading.Thread(target=keep_buying, args=(orchestrator, f"{name}-{thread}")).start()
    orchestrator.resume_pending()


def keep_buying(orchestrator: Orchestrator, name: str) -> None:
    for n in itertools.count():
        request = {
            "item": "rare" if n % 5 == 2 else "plenty",
            "quantity": 1,
            "account": "poor" if n % 3 == 1 else "rich",
            "amount": 100,
        }
        outcome = orchestrator.execute(f"{name}-{n}", request)
        sys.stdout.write(f"{name}-{n} {outcome.value}\n")
        sys.stdout.flush()


main(*sys.argv[1:])
