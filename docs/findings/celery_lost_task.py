"""celery 5.6: a task whose worker is killed while it runs is lost, with the usual settings. That is documented.

Needs celery[redis] and redis-server. The first worker is killed in the task; the second has twelve seconds to find it.
Ends with 1 where it does not. With the word "late" as argument the task is acknowledged late, and found.
"""

import os
import signal
import socket
import subprocess
import sys
import time

from celery import Celery

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    URL = os.environ.get("BROKER") or f"redis://127.0.0.1:{free.getsockname()[1]}/0"
app = Celery("checkout", broker=URL, backend=URL)
app.conf.broker_transport_options = {
    "visibility_timeout": 3,
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
}
app.conf.task_acks_late = "late" in sys.argv


@app.task(name="charge")
def charge():
    os.write(1, b"charge begins\n")
    if os.environ["LIFE"] == "1":
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    return "paid"


if os.environ.get("BROKER"):
    app.worker_main(["--quiet", "worker", "--pool=threads", "--loglevel=CRITICAL", "--without-gossip"])
server = ["redis-server", "--bind", "127.0.0.1", "--port", URL.split(":")[2].split("/")[0], "--save", ""]
redis = subprocess.Popen(server, stdout=subprocess.DEVNULL)
time.sleep(0.5)
asked = app.send_task("charge")
for life in ("1", "2"):
    env = {**os.environ, "BROKER": URL, "LIFE": life}
    worker = subprocess.Popen([sys.executable, *sys.argv], env=env, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 12
    while worker.poll() is None and not asked.ready() and time.monotonic() < until:
        time.sleep(0.1)
    worker.kill()
    print(f"worker {life} ends; charge is", asked.state, flush=True)
found = asked.ready()
redis.kill()
os._exit(not found)  # what would reconnect is not waited for
