"""celery-saga 0.1.1: of two steps at once that both succeeded, one is not undone when a later step fails.

Needs celery-saga, celery[redis] and redis-server. Ends with 1 where the bug shows.
"""

import os
import socket
import subprocess
import time

from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery_saga import Saga, StepResponse, saga_step, set_default_backend
from celery_saga.backends import RedisSagaBackend

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
server = ["redis-server", "--bind", "127.0.0.1", "--port", port, "--save", ""]
redis = subprocess.Popen(server, stdout=subprocess.DEVNULL)
url = f"redis://127.0.0.1:{port}/0"
app = Celery("checkout", broker=url, backend=url)
app.set_default()
states = RedisSagaBackend(url=url)
set_default_backend(states)
undone: list[str] = []


def step(name: str, fails: bool = False):
    @app.task(name=f"undo.{name}")
    def undo(compensation_data):
        undone.append(name)

    @saga_step(compensate=undo)
    @app.task(name=f"do.{name}")
    def do():
        if fails:
            StepResponse.permanent_failure("refused")
        time.sleep(0.1)  # a request
        return StepResponse(output={}, compensation_data={"done": name})

    return do


a, b, c = step("a"), step("b"), step("c", fails=True)
time.sleep(0.5)
missed = 0
with start_worker(app, loglevel="critical", pool="threads", concurrency=4, perform_ping_check=False):
    for number in range(10):
        undone.clear()
        saga = f"saga-{number}"
        Saga(saga).add_parallel(a, b).add_step(c).run(idempotency_key=saga)
        while (found := states.find_by_idempotency_key(saga)) is None or found.status.value != "compensated":
            time.sleep(0.02)
        print(f"{saga}: {found.status.value}; done: a, b; undone: {', '.join(sorted(undone)) or 'nothing'}")
        missed += sorted(undone) != ["a", "b"]
    print(f"not undone in {missed} of 10", flush=True)
    redis.kill()
    os._exit(missed > 0)  # what would reconnect is not waited for
