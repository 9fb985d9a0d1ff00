"""LRA, Narayana's coordinator 1.1.0.Final: an action that it was closing when it was killed is never closed.

Needs the program lra-coordinator, whose recovery runs each second, and has ten. Ends with 1 where the bug shows.
With "cancel" as argument the action is cancelled instead, which the coordinator that starts again finishes.
"""

import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

told: list[str] = []


class Participants(BaseHTTPRequestHandler):
    def do_PUT(self):
        told.append(self.path)
        if len(told) == 1:
            coordinator.kill()
        self.send_response(200)
        self.end_headers()


def asked(method, url, **headers):
    try:
        with urlopen(Request(url, method=method, headers=headers)) as answer:
            return answer.read().decode()
    except OSError:
        return ""  # it is away, or does not know the action


def started():
    process = subprocess.Popen(["lra-coordinator", SERVER.split(":")[2], store], stderr=subprocess.DEVNULL)
    while not asked("GET", f"{SERVER}/version"):
        time.sleep(0.05)
    return process


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    SERVER = f"http://127.0.0.1:{free.getsockname()[1]}"
services = ThreadingHTTPServer(("127.0.0.1", 0), Participants)
threading.Thread(target=services.serve_forever, daemon=True).start()
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as store:
    coordinator = started()
    action = asked("POST", f"{SERVER}/lra-coordinator/start?ClientID=checkout")
    for step in ("order", "payment"):
        urls = [f"http://127.0.0.1:{services.server_port}/{step}/{verb}" for verb in ("compensate", "complete")]
        asked("PUT", action, Link=f'<{urls[0]}>; rel="compensate", <{urls[1]}>; rel="complete"')
    asked("PUT", f"{action}/{sys.argv[1] if sys.argv[1:] else 'close'}")
    coordinator = started()
    time.sleep(10)
    print(f"it asked for {', '.join(told)}; the action is {asked('GET', f'{action}/status') or 'over'}")
    coordinator.kill()
sys.exit(len(told) < 3)
