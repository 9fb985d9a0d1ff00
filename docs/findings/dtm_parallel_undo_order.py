"""dtm 1.19.0: a step is undone while the undo of one that comes after it is still under way.

Needs the program dtm. Inventory and payment come after the order, at once; payment is refused while inventory is being
asked, and that answers with an error, so that what it did is not known. Ends with 1 where the bug shows.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TAKES_S = {"inventory/do": 0.5, "inventory/undo": 1.5}
STATUS = {"inventory/do": 500, "payment/do": 409}
undos: list[str] = []


class Service(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = self.path.partition("?")[0].strip("/")
        time.sleep(TAKES_S.get(asked, 0))
        if asked.endswith("undo"):
            undos.append(asked)
        print(f"{time.monotonic() - began:5.2f} s  {asked} is answered with {STATUS.get(asked, 200)}")
        self.send_response(STATUS.get(asked, 200))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def dtm(path, content=None):
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(f"http://127.0.0.1:36789/api/dtmsvr/{path}", body)
    return json.loads(urllib.request.urlopen(request).read())


os.chdir(tempfile.mkdtemp())
env = {**os.environ, "STORE_DRIVER": "boltdb", "LOG_LEVEL": "error", "TRANS_CRON_INTERVAL": "1"}
server = subprocess.Popen(["dtm"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
service = ThreadingHTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=service.serve_forever, daemon=True).start()
time.sleep(2)
began = time.monotonic()
url = f"http://127.0.0.1:{service.server_port}"
names = ("order", "inventory", "payment")
steps = [{"action": f"{url}/{name}/do", "compensate": f"{url}/{name}/undo"} for name in names]
after = {"concurrent": True, "orders": {1: [0], 2: [0]}}  # EnableConcurrent().AddBranchOrder(1, 0).AddBranchOrder(2, 0)
custom = {"payloads": ["{}"] * 3, "custom_data": json.dumps(after)}
dtm("submit", {"gid": "g", "trans_type": "saga", "steps": steps, **custom})
while dtm("query?gid=g")["transaction"]["status"] != "failed":
    time.sleep(0.1)
server.kill()
sys.exit(undos.index("order/undo") < undos.index("inventory/undo"))
