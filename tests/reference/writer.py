"""A process that writes revision after revision of one saga, and says after each that it is durable.

python writer.py KIND PLACE SAGA
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from stores import open_store

kind, where, saga = sys.argv[1:]
store = open_store(kind, where)
revision = (store.load(saga) or {"revision": 0})["revision"]
while True:
    revision += 1
    record = {"id": saga, "revision": revision, "epoch": 1, "outcome": "", "padding": str(revision) * 500}
    store.save(record, (("outcome", "step"),))
    sys.stdout.write(f"{revision}\n")
    sys.stdout.flush()
